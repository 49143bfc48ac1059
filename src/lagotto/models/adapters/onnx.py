"""An .onnx file comes in; a classifier run by onnxruntime on the CPU goes out."""

from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from jaxtyping import Float32, Num, Shaped
from onnxruntime.capi import onnxruntime_pybind11_state

from lagotto.core.errors import ModelError
from lagotto.core.parsing.onnx_survey import check_operators, survey_onnx
from lagotto.core.types import InputDtype, ModelSource
from lagotto.models.activation_stats import channels_first, inner_layers
from lagotto.models.classifier import ModelClassifier, load_classifier
from lagotto.models.files.activation import Activation, find_activation
from lagotto.models.files.onnx_graph import (
    OnnxGraph,
    external_files,
    read_onnx_graph,
    with_onnx_output,
)
from lagotto.models.files.tensors import (
    InputTensor,
    OutputTensor,
    Quantization,
)
from lagotto.models.files.weights import (
    check_size,
    read_weights,
    reason,
)
from lagotto.models.metadata.onnx import read_onnx_metadata
from lagotto.models.outputs import pick_output

_DTYPES: dict[str, InputDtype] = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}
# For operators with integer results: which input holds the scale; the zero point comes next.
_RESULT_SCALE_AT = {"QuantizeLinear": 1, "QLinearSoftmax": 3, "QLinearSigmoid": 3, "QGemm": 7}
_RESULT_SCALE_AT |= {"QLinearMatMul": 6, "QLinearConv": 6, "QLinearAdd": 6}
# onnxruntime raises its own types, all of them direct children of Exception.
_REFUSALS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    MemoryError,
    *(
        value
        for value in vars(onnxruntime_pybind11_state).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ),
)


def load_onnx(source: ModelSource, threads: int = 1) -> ModelClassifier:
    """Loads the model of an .onnx file; raises ModelError with the reason in one line."""
    data = read_weights(source.file)
    survey = survey_onnx(data, ModelError)
    check_operators(survey, ModelError)
    check_size(source.file, external_files(survey, source.file.parent))
    graph = read_onnx_graph(data)
    engine = partial(OnnxEngine, data, graph, source.file.parent, threads)
    activations = partial(OnnxActivations, data, graph, source.file.parent, threads)
    return load_classifier(source, "onnx", "NCHW", engine, read_onnx_metadata(data), activations)


class OnnxEngine:
    """A session that returns one tensor: the output or, with `cut`, the input of its activation."""

    def __init__(
        self, data: bytes, graph: OnnxGraph, folder: Path, threads: int, cut: bool
    ) -> None:
        endings = {name: find_activation(graph.producers, name) for name in graph.outputs}
        if cut:
            feeds = {ending.feed for ending in endings.values() if ending is not None}
            for feed in sorted(feeds - set(graph.outputs)):
                data = with_onnx_output(data, feed)
        self._session = _open_session(data, folder, threads)
        self._input = _input_tensor(self._session, graph)
        outputs = self._session.get_outputs()[: len(graph.outputs)]  # without those that were added
        index = pick_output([(value.name, _sizes(value.shape)) for value in outputs])
        name = outputs[index].name
        self._output = _output_tensor(graph, name, endings.get(name), cut)

    @property
    def input(self) -> InputTensor:
        """The input as the file declares it."""
        return self._input

    @property
    def output(self) -> OutputTensor:
        """The tensor that `run` returns."""
        return self._output

    @property
    def notes(self) -> tuple[str, ...]:
        """Always empty: onnxruntime either runs a model or refuses it."""
        return ()

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        """The raw values of `output`; raises ModelError if onnxruntime refuses."""
        try:
            (raw,) = self._session.run([self._output.name], {self._input.name: tensor})
        except _REFUSALS as error:
            raise ModelError(f"onnxruntime cannot run the model: {reason(error)}") from error
        if not isinstance(raw, np.ndarray):
            raise ModelError(f"output {self._output.name!r} is not a tensor; export plain scores")
        return raw


class OnnxActivations:
    """A session that returns the outputs of the inner layers (the ActivationReader protocol)."""

    def __init__(self, data: bytes, graph: OnnxGraph, folder: Path, threads: int) -> None:
        self._layers = inner_layers(graph.producers)
        added = [name for name in self._layers if name not in graph.outputs]
        self._session = _open_session(with_onnx_output(data, *added), folder, threads)
        self._input = self._session.get_inputs()[0].name
        self._quantized = [_result_quantization(graph, name) for name in self._layers]

    def run(
        self, tensor: Num[np.ndarray, "batch a b c"]
    ) -> list[Float32[np.ndarray, "batch channels _"]]:
        """The output of each layer; raises ModelError if onnxruntime refuses."""
        if not self._layers:
            return []
        try:
            raws = self._session.run(list(self._layers), {self._input: tensor})
        except _REFUSALS as error:
            raise ModelError(f"onnxruntime cannot run the model: {reason(error)}") from error
        return [
            channels_first(np.asarray(raw), 1, quantization)
            for raw, quantization in zip(raws, self._quantized, strict=True)
        ]


def _open_session(data: bytes, folder: Path, threads: int) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(folder)
    )
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _REFUSALS as error:
        raise ModelError(f"onnxruntime cannot load the model: {reason(error)}") from error


def _input_tensor(session: onnxruntime.InferenceSession, graph: OnnxGraph) -> InputTensor:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(f"{value.name!r} {value.type}" for value in inputs) or "none"
        raise ModelError(f"the model has {len(inputs)} inputs ({names}); allowed: one, the picture")
    name, kind = inputs[0].name, inputs[0].type
    if kind not in _DTYPES:
        allowed = ", ".join(_DTYPES)
        raise ModelError(f"input {name!r} is {kind}; allowed: {allowed}")
    quantization = None
    consumer = graph.consumers.get(name)
    if consumer is not None and consumer.op in ("DequantizeLinear", "QLinearConv"):
        quantization = _quantization(graph, consumer.inputs, 1)
    return InputTensor(name, _sizes(inputs[0].shape), _DTYPES[kind], quantization)


def _sizes(shape: list[int | str | None]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in shape)


def _output_tensor(
    graph: OnnxGraph, published: str, ending: Activation | None, cut: bool
) -> OutputTensor:
    if ending is None or not cut:
        kind = ending.kind if ending is not None else None
        return OutputTensor(published, kind, False, _result_quantization(graph, published))
    quantization = None
    if ending.node.op.startswith("QLinear"):
        quantization = _quantization(graph, ending.node.inputs, 1)
    return OutputTensor(ending.feed, ending.kind, True, quantization)


def _result_quantization(graph: OnnxGraph, tensor: str) -> Quantization | None:
    node = graph.producers.get(tensor)
    if node is None or node.op not in _RESULT_SCALE_AT:
        return None
    return _quantization(graph, node.inputs, _RESULT_SCALE_AT[node.op])


def _quantization(graph: OnnxGraph, inputs: tuple[str, ...], at: int) -> Quantization | None:
    if len(inputs) <= at:
        return None
    return graph.quantization(inputs[at], inputs[at + 1] if len(inputs) > at + 1 else None)
