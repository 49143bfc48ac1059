"""Names of devices, and what becomes of them where a GPU is and where none is."""

from pathlib import Path

import pytest

from gpu_fakes import CudaOnnxruntime, cuda_torch
from lagotto.core.devices import runtimes
from lagotto.core.devices.placement import (
    Runtime,
    check_device,
    nvidia_files,
    nvidia_gpus,
    place,
)
from lagotto.core.devices.runtimes import onnx_providers, onnx_runtime, torch_runtime
from lagotto.core.errors import UsageError

TWO = Runtime("onnxruntime", "1.22", True, (0, 1), "onnxruntime-gpu")


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:0", "cuda:12", "auto"])
def test_these_are_devices(device: str) -> None:
    assert check_device(device) == device


@pytest.mark.parametrize("device", ["gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "", "cuda:1\n"])
def test_anything_else_is_refused_with_what_is_allowed(device: str) -> None:
    with pytest.raises(UsageError, match=r"allowed: cpu, cuda, cuda:N .*, auto"):
        check_device(device)


@pytest.mark.parametrize(
    ("device", "found"),
    [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("auto", "cuda:0")],
)
def test_a_gpu_that_is_there_is_taken(device: str, found: str) -> None:
    placed = place(device, TWO)
    assert (placed.device, placed.note, placed.is_gpu) == (found, "", found != "cpu")


def test_a_gpu_that_is_not_there_is_one_line_that_says_what_is() -> None:
    with pytest.raises(UsageError, match=r"'cuda:7' .* no GPU 7; seen are cuda:0, cuda:1; allowed"):
        place("cuda:7", TWO)
    with pytest.raises(UsageError, match="no NVIDIA GPU is seen on this machine; allowed: cpu"):
        place("cuda", Runtime("torch", "2", True, (), "x"))


def test_a_build_without_cuda_says_what_to_install() -> None:
    without = Runtime("onnxruntime", "1.22", False, (0,), runtimes.ONNX_REMEDY)
    with pytest.raises(UsageError, match="install onnxruntime-gpu"):
        place("cuda", without)
    placed = place("auto", without)
    assert placed.device == "cpu"
    assert placed.note.startswith("device auto is the CPU here: onnxruntime 1.22 is built without")


def test_gpus_are_found_by_their_device_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert nvidia_gpus(tmp_path / "none") == ()
    for name in ("nvidia1", "nvidia0", "nvidiactl", "nvidia-uvm", "null", "nvidia10x"):
        (tmp_path / name).touch()
    assert nvidia_gpus(tmp_path) == (0, 1)
    assert {path.name for path in nvidia_files(tmp_path)} == {
        *("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia10x")
    }
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")  # CUDA then calls it 0
    assert nvidia_gpus(tmp_path) == (0,)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert nvidia_gpus(tmp_path) == ()


def test_the_gpu_of_wsl_has_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "dxg").touch()
    assert nvidia_gpus(tmp_path) == (0,)
    assert nvidia_files(tmp_path) == (tmp_path / "dxg",)


def test_runtimes_say_what_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "nvidia_gpus", lambda: (0,))
    assert onnx_runtime(CudaOnnxruntime()).has_cuda
    assert onnx_runtime(CudaOnnxruntime()).gpus == (0,)
    assert torch_runtime(cuda_torch(2)).gpus == (0, 1)
    assert not torch_runtime(cuda_torch(0, None)).has_cuda
    assert torch_runtime(cuda_torch(0)).gpus == ()


def test_a_session_keeps_full_precision_and_has_the_cpu_for_what_cuda_lacks() -> None:
    (name, options), other = onnx_providers("cuda:3")
    assert (name, other) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options["device_id"] == "3"
    assert options["use_tf32"] == "0"
    assert onnx_providers("cpu") == ["CPUExecutionProvider"]
