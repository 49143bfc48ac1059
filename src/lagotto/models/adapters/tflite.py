"""A .tflite file comes in; a classifier run by ai-edge-litert goes out."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast, get_args

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from jaxtyping import Float32, Num, Shaped

from lagotto.core.errors import ModelError
from lagotto.core.types import InputDtype, ModelSource
from lagotto.models.activation_stats import channels_first, inner_layers
from lagotto.models.classifier import ModelClassifier, load_classifier
from lagotto.models.files.activation import Activation, find_activation
from lagotto.models.files.tensors import InputTensor, OutputTensor
from lagotto.models.files.tflite_graph import (
    TfliteGraph,
    TfliteTensor,
    read_tflite_graph,
    with_tflite_output,
)
from lagotto.models.files.weights import read_weights, reason
from lagotto.models.metadata.tflite import read_tflite_metadata
from lagotto.models.outputs import pick_output

_REFUSALS = (RuntimeError, ValueError, MemoryError)
_PLAIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
MakeInterpreter = Callable[..., Any]


def load_tflite(
    source: ModelSource, threads: int = 1, make_interpreter: MakeInterpreter = Interpreter
) -> ModelClassifier:
    """Loads the model of a .tflite file; raises ModelError with the reason in one line."""
    data = read_weights(source.file)
    graph = read_tflite_graph(data)
    make = partial(make_interpreter, num_threads=threads)
    engine = partial(TfliteEngine, data, graph, make)
    activations = partial(TfliteActivations, data, graph, make)
    return load_classifier(
        source, "tflite", "NHWC", engine, read_tflite_metadata(data), activations
    )


class TfliteEngine:
    """An interpreter that returns one tensor: the output or, with `cut`, its activation's input.

    The fast kernels (XNNPACK) are tried first. If they refuse the model, the plain kernels run it
    and a note is added. Both give the same classes, but not the same last bits.
    """

    def __init__(self, data: bytes, graph: TfliteGraph, make: MakeInterpreter, cut: bool) -> None:
        self._input = _input_tensor(graph)
        published = [graph.tensors[tensor] for tensor in graph.outputs]
        index = pick_output([(tensor.name, tensor.shape) for tensor in published])
        ending = find_activation(graph.producers, str(graph.outputs[index]))
        if cut and ending is not None:
            data = with_tflite_output(data, graph, index, int(ending.feed))
        self._output = _output_tensor(graph, published[index], ending, cut)
        self._output_index = index
        self._make = partial(make, model_content=data)
        self._notes: tuple[str, ...] = ()
        self._shape: tuple[int, ...] = ()
        self._interpreter: Any = None
        self._plain = False

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
        """One line if the fast kernels refused the model."""
        return self._notes

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        """The raw values of `output`; raises ModelError if the interpreter refuses."""
        try:
            return self._invoke(tensor)
        except _REFUSALS as error:
            if self._plain:
                raise ModelError(f"the TFLite interpreter: {reason(error)}") from error
            refusal = f"XNNPACK refused the model, plain kernels used: {reason(error)}"
        self._plain, self._interpreter = True, None
        try:
            raw = self._invoke(tensor)
        except _REFUSALS as error:
            raise ModelError(f"the TFLite interpreter: {reason(error)}") from error
        self._notes = (refusal,)
        return raw

    def _invoke(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        if self._interpreter is None or tensor.shape != self._shape:
            self._start(tensor.shape)
        self._interpreter.set_tensor(self._input_at, tensor)
        self._interpreter.invoke()
        return cast(np.ndarray, self._interpreter.get_tensor(self._output_at))

    def _start(self, shape: tuple[int, ...]) -> None:
        resolver = _PLAIN if self._plain else OpResolverType.AUTO
        interpreter = self._make(experimental_op_resolver_type=resolver)
        entry = interpreter.get_input_details()[0]
        if tuple(entry["shape"]) != shape:
            interpreter.resize_tensor_input(entry["index"], shape)
        interpreter.allocate_tensors()
        self._input_at = entry["index"]
        self._output_at = interpreter.get_output_details()[self._output_index]["index"]
        self._interpreter, self._shape = interpreter, shape


class TfliteActivations:
    """An interpreter on the plain kernels that returns the outputs of the inner layers.

    Implements the ActivationReader protocol.
    """

    def __init__(self, data: bytes, graph: TfliteGraph, make: MakeInterpreter) -> None:
        self._layers = [int(name) for name in inner_layers(graph.producers)]
        self._quantized = [graph.tensors[layer].quantization for layer in self._layers]
        try:
            self._interpreter = make(
                model_content=data,
                experimental_op_resolver_type=_PLAIN,
                experimental_preserve_all_tensors=True,
            )
        except _REFUSALS as error:
            raise ModelError(f"the TFLite interpreter: {reason(error)}") from error
        self._shape: tuple[int, ...] = ()

    def run(
        self, tensor: Num[np.ndarray, "batch a b c"]
    ) -> list[Float32[np.ndarray, "batch channels _"]]:
        """The output of each layer; raises ModelError if the interpreter refuses."""
        entry = self._interpreter.get_input_details()[0]
        try:
            if tensor.shape != self._shape:
                self._interpreter.resize_tensor_input(entry["index"], tensor.shape)
                self._interpreter.allocate_tensors()
                self._shape = tensor.shape
            self._interpreter.set_tensor(entry["index"], tensor)
            self._interpreter.invoke()
            raws = [self._interpreter.get_tensor(layer) for layer in self._layers]
        except _REFUSALS as error:
            raise ModelError(f"the TFLite interpreter: {reason(error)}") from error
        return [
            channels_first(raw, -1, quantization)
            for raw, quantization in zip(raws, self._quantized, strict=True)
        ]


def _input_tensor(graph: TfliteGraph) -> InputTensor:
    if len(graph.inputs) != 1:
        raise ModelError(f"the model has {len(graph.inputs)} inputs; allowed: one, the picture")
    tensor = graph.tensors[graph.inputs[0]]
    allowed = get_args(InputDtype)
    if tensor.dtype not in allowed:
        raise ModelError(f"input {tensor.name!r} is {tensor.dtype}; allowed: {', '.join(allowed)}")
    dtype = cast(InputDtype, tensor.dtype)
    return InputTensor(tensor.name, tensor.shape, dtype, tensor.quantization)


def _output_tensor(
    graph: TfliteGraph,
    published: TfliteTensor,
    ending: Activation | None,
    cut: bool,
) -> OutputTensor:
    if ending is None or not cut:
        kind = ending.kind if ending is not None else None
        return OutputTensor(published.name, kind, False, published.quantization)
    feed = graph.tensors[int(ending.feed)]
    return OutputTensor(feed.name, ending.kind, True, feed.quantization)
