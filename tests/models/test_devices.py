"""Models on a GPU: the logits of the CPU, in batches that fit; onnxruntime for a GPU is a fake."""

from pathlib import Path

import numpy as np
import pytest

from gpu_fakes import CudaOnnxruntime, put_in, write_open_batch
from lagotto.core.errors import ModelError, UsageError
from lagotto.core.types import ModelSource
from lagotto.models.classifier import ModelClassifier
from lagotto.models.registry import load_model, place_models

PICTURES = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), np.uint8)


def load(file: Path, device: str) -> ModelClassifier:
    model = load_model(ModelSource("m", file), device=device)
    assert isinstance(model, ModelClassifier)
    return model


def on_the_cpu(file: Path) -> np.ndarray:
    return load_model(ModelSource("m", file)).logits(PICTURES)


def test_a_gpu_takes_many_pictures_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_open_batch(tmp_path / "m.onnx")
    expected = on_the_cpu(file)
    build = CudaOnnxruntime()
    put_in(monkeypatch, build)
    model = load(file, "cuda:0")
    build.batches.clear()
    assert np.allclose(model.logits(PICTURES), expected, atol=1e-5)
    assert max(build.batches) == 32
    assert len(build.batches) < 10
    assert (model.spec.device, model.device_notes) == ("cuda:0", ())
    assert build.options[0][0][1]["device_id"] == "0"


def test_batches_that_do_not_fit_are_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_open_batch(tmp_path / "m.onnx")
    expected = on_the_cpu(file)
    build = CudaOnnxruntime(rows=9)
    put_in(monkeypatch, build)
    model = load(file, "cuda")
    assert np.allclose(model.logits(PICTURES), expected, atol=1e-5)
    assert build.batches[-1] <= 8
    (note,) = model.device_notes
    assert "does not hold 32 rows at a time" in note


def test_a_picture_that_does_not_fit_is_the_reason_of_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_open_batch(tmp_path / "m.onnx")
    put_in(monkeypatch, CudaOnnxruntime(rows=0))
    with pytest.raises(ModelError, match="cuda:0 has too little free memory for one picture"):
        load(file, "cuda")


@pytest.mark.parametrize("form", ["mixes", "only_one"])
def test_a_model_that_is_not_made_for_batches_sees_one_picture_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    file = write_open_batch(tmp_path / "m.onnx", **{form: True})
    expected = on_the_cpu(file)
    build = CudaOnnxruntime()
    put_in(monkeypatch, build)
    model = load(file, "cuda")
    build.batches.clear()
    assert np.allclose(model.logits(PICTURES), expected, atol=1e-5)
    assert set(build.batches) == {1}


@pytest.mark.parametrize("build", [CudaOnnxruntime(starts=False), CudaOnnxruntime(loads=False)])
def test_a_gpu_that_fails_is_an_error_and_auto_falls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: CudaOnnxruntime
) -> None:
    file = write_open_batch(tmp_path / "m.onnx")
    expected = on_the_cpu(file)
    put_in(monkeypatch, build)
    with pytest.raises(ModelError, match="device 'cuda' cannot be used"):
        load(file, "cuda")
    model = load(file, "auto")
    assert np.array_equal(model.logits(PICTURES), expected)
    assert model.spec.device == "cpu"
    (note,) = model.device_notes
    assert note.startswith("device auto is the CPU here: cuda:0 cannot be used")


def test_without_a_gpu_one_line_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="install onnxruntime-gpu") as caught:
        place_models("cuda")
    assert "\n" not in str(caught.value)
    assert not place_models("auto").is_gpu
    assert not place_models("cpu").is_gpu
    with pytest.raises(ModelError, match="install onnxruntime-gpu"):
        load(write_open_batch(tmp_path / "m.onnx"), "cuda")
