"""Encoders on a GPU: the embeddings of the CPU, in batches that fit; said once if they did not."""

from pathlib import Path

import numpy as np
import pytest

import colour_world
from gpu_fakes import CudaOnnxruntime, put_in
from lagotto.core.devices.use import DEVICE_LOG
from lagotto.core.errors import EncoderError, UsageError
from lagotto.encoders.registry import load_encoder

PICTURES = np.random.default_rng(0).integers(0, 256, (150, 16, 16, 3), np.uint8)
TEXTS = [f"red {number}" for number in range(150)]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said of devices."""
    lines: list[str] = []
    monkeypatch.setattr(DEVICE_LOG, "handle", lambda record: lines.append(record.getMessage()))
    monkeypatch.setattr(DEVICE_LOG, "disabled", False)
    return lines


def test_embeddings_are_those_of_the_cpu_and_a_full_gpu_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    folder = str(colour_world.write_encoder(tmp_path / "encoder"))
    expected = load_encoder(folder)
    build = CudaOnnxruntime(rows=20)
    put_in(monkeypatch, build)
    encoder = load_encoder(folder, device="cuda")
    for _ in range(2):
        assert np.allclose(
            encoder.embed_pixels(PICTURES), expected.embed_pixels(PICTURES), atol=1e-5
        )
        assert np.allclose(encoder.embed_texts(TEXTS), expected.embed_texts(TEXTS), atol=1e-5)
    assert encoder.info == expected.info
    assert build.batches[:4] == [128, 64, 32, 16]
    (line,) = told
    assert "cuda:0 does not hold 128 rows at a time" in line


def test_auto_without_a_gpu_runs_on_the_cpu_and_says_so(tmp_path: Path, told: list[str]) -> None:
    folder = str(colour_world.write_encoder(tmp_path / "encoder"))
    encoder = load_encoder(folder, device="auto")
    assert np.array_equal(
        encoder.embed_pixels(PICTURES), load_encoder(folder).embed_pixels(PICTURES)
    )
    (line,) = told
    assert line.startswith("device auto is the CPU here: onnxruntime")


def test_a_gpu_that_is_not_there_is_refused_before_a_graph_is_read(tmp_path: Path) -> None:
    folder = str(colour_world.write_encoder(tmp_path / "encoder"))
    with pytest.raises(UsageError, match="install onnxruntime-gpu"):
        load_encoder(folder, device="cuda")
    with pytest.raises(UsageError, match="'gpu' is not known"):
        load_encoder(folder, device="gpu")


def test_a_driver_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(colour_world.write_encoder(tmp_path / "encoder"))
    put_in(monkeypatch, CudaOnnxruntime(starts=False))
    encoder = load_encoder(folder, device="cuda")
    with pytest.raises(EncoderError, match=r"onnxruntime could not start CUDA .*--device cpu"):
        encoder.embed_texts(["red"])
