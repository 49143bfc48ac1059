"""Builds of onnxruntime and torch for a GPU, on a machine without one: they compute on the CPU."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as state

import lagotto.core.devices.runtimes as runtimes
import lagotto.encoders.onnx as encoder_adapter
import lagotto.models.adapters.onnx as model_adapter

NO_MEMORY = "Failed to allocate memory for requested buffer of size 12345678"
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class CudaOnnxruntime:
    """onnxruntime as `onnxruntime-gpu` is, with room for some rows on its GPU.

    `starts` False: CUDA itself fails to start, and sessions come without it. `loads` False: the
    weights do not fit. `batches` holds the rows of each run, `options` those of each session.
    """

    def __init__(self, rows: int = 1000, *, starts: bool = True, loads: bool = True) -> None:
        self.rows, self.starts, self.loads = rows, starts, loads
        self.batches: list[int] = []
        self.options: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(onnxruntime, name)

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def InferenceSession(self, data: Any, options: Any, providers: list[Any]) -> Any:  # noqa: N802
        self.options.append(providers)
        on_gpu = providers[0] != CPU
        if on_gpu and not self.loads:
            raise state.Fail(f"[ONNXRuntimeError] : 1 : FAIL : {NO_MEMORY}")
        return _CudaSession(self, data, options, on_gpu=on_gpu)


class _CudaSession(onnxruntime.InferenceSession):
    def __init__(self, build: CudaOnnxruntime, data: Any, options: Any, *, on_gpu: bool) -> None:
        super().__init__(data, options, providers=[CPU])
        self._build, self._on_gpu = build, on_gpu

    def get_providers(self) -> list[str]:
        return [CUDA, CPU] if self._on_gpu and self._build.starts else [CPU]

    def run(self, names: Any, feed: dict[str, Any], *rest: Any) -> Any:
        rows = max(len(array) for array in feed.values())
        self._build.batches.append(rows)
        if self._on_gpu and self._build.starts and rows > self._build.rows:
            raise state.Fail(f"[ONNXRuntimeError] : 1 : FAIL : {NO_MEMORY}")
        return super().run(names, feed, *rest)


def put_in(monkeypatch: Any, build: CudaOnnxruntime, gpus: tuple[int, ...] = (0,)) -> None:
    """Has models and encoders in ONNX run by a build, on a machine with these GPUs."""
    monkeypatch.setattr(model_adapter, "onnxruntime", build)
    monkeypatch.setattr(encoder_adapter, "onnxruntime", build)
    monkeypatch.setattr(runtimes, "nvidia_gpus", lambda: gpus)


def cuda_torch(gpus: int = 1, built_with: str | None = "12.8") -> Any:
    """torch as far as it is asked about GPUs; `emptied` counts how often its cache was."""
    made = SimpleNamespace(__version__="2.9.0", version=SimpleNamespace(cuda=built_with), emptied=0)

    def empty() -> None:
        made.emptied += 1

    made.cuda = SimpleNamespace(
        device_count=lambda: gpus, is_available=lambda: gpus > 0, empty_cache=empty
    )
    made.backends = SimpleNamespace(
        cudnn=SimpleNamespace(allow_tf32=True),
        cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True)),
    )
    return made


def write_open_batch(file: Path, *, mixes: bool = False, only_one: bool = False) -> Path:
    """A model of 3 outputs that takes any number of pictures.

    `mixes`: what it says of one depends on all; `only_one`: it says that, and cannot.
    """
    weights = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)
    constants = [numpy_helper.from_array(weights, "w")]
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"])]
    if only_one:
        constants.append(numpy_helper.from_array(np.array([1, 3], np.int64), "shape"))
        nodes.append(helper.make_node("Reshape", ["p", "shape"], ["f"]))
    else:
        nodes.append(helper.make_node("Flatten", ["p"], ["f"]))
    if mixes:
        nodes += [
            helper.make_node("ReduceMean", ["f"], ["m"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["f", "m"], ["d"]),
            helper.make_node("MatMul", ["d", "w"], ["y"]),
        ]
    else:
        nodes.append(helper.make_node("MatMul", ["f", "w"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "open",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, file)
    return file
