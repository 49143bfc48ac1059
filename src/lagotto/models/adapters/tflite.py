"""A .tflite file comes in; a classifier run by ai-edge-litert goes out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast, get_args

import ai_edge_litert
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from jaxtyping import Float32, Num, Shaped

from lagotto.core.errors import ModelError, reason
from lagotto.core.types import InputDtype, ModelSource
from lagotto.models.activation_stats import channels_first, inner_layers
from lagotto.models.classifier import ModelClassifier, load_classifier
from lagotto.models.files.activation import find_activation
from lagotto.models.files.lineage import (
    places_of_detections,
    places_of_maps,
    places_of_scores,
)
from lagotto.models.files.tensors import InputTensor, OutputTensor
from lagotto.models.files.tflite_graph import (
    TfliteGraph,
    read_tflite_graph,
    with_tflite_output,
)
from lagotto.models.files.weights import read_weights
from lagotto.models.metadata.tflite import read_tflite_metadata
from lagotto.models.output_choice import choose_output
from lagotto.models.output_places import OutputRequest, PublishedOutput, best_place
from lagotto.models.picture_input import DeclaredInput, PictureInput, find_picture_input

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
    """An interpreter that returns one tensor: the output or, if asked for, its activation's input.

    In place of the best few scores of each picture (TopK), the tensor of all scores is read.

    The fast kernels (XNNPACK) are tried first. If they refuse the model, the plain kernels run it
    and a note is added. Both give the same classes, but not the same last bits.
    """

    def __init__(
        self, data: bytes, graph: TfliteGraph, make: MakeInterpreter, request: OutputRequest
    ) -> None:
        outputs = [_published(graph, index, request) for index in graph.outputs]
        detections = places_of_detections(graph.producers)
        found = _at_places(graph, graph.outputs[0], detections)
        outputs += [item for item in found if item.holds_classes]
        choice = choose_output(outputs, graph.producers, request)
        if choice.kept is not None:
            raise ModelError(
                "it publishes only the boxes that it kept, which are not read from a TFLite file: "
                "export the scores of all boxes, [batch, boxes, classes]"
            )
        hint = choice.class_hint or outputs[choice.index].class_hint
        ending = outputs[choice.index].activation
        feed = None if ending is None else graph.tensors[int(ending.feed)].shape
        chosen = outputs[choice.index].read_as(hint, feed)
        tensor, read = _output_tensor(graph, chosen, request.cut)
        self._output = replace(tensor, is_row=chosen.is_row, class_hint=hint)
        self._output_index = choice.index if choice.index < len(graph.outputs) else 0
        if read != graph.outputs[self._output_index]:
            data = with_tflite_output(data, graph, self._output_index, read)
        self._picture = _picture_input(graph)
        self._input = _input_tensor(graph, self._picture)
        self._make = partial(make, model_content=data)
        self._notes: tuple[str, ...] = (*choice.notes, *self._picture.notes)
        self._shape: tuple[int, ...] = ()
        self._interpreter: Any = None
        self._plain = False

    @property
    def input(self) -> InputTensor:
        """The input as the file declares it, with four axes."""
        return self._input

    @property
    def output(self) -> OutputTensor:
        """The tensor that `run` returns."""
        return self._output

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen of several outputs; one line if the fast kernels refused the model."""
        return self._notes

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        """The raw values of `output`; raises ModelError if the interpreter refuses."""
        tensor = self._picture.fold(tensor)
        try:
            return self._invoke(tensor)
        except _REFUSALS as error:
            if self._plain:
                raise _refusal(error) from error
            refusal = f"XNNPACK refused the model, plain kernels used: {reason(error)}"
        self._plain, self._interpreter = True, None
        try:
            raw = self._invoke(tensor)
        except _REFUSALS as error:
            raise _refusal(error) from error
        self._notes = (*self._notes, refusal)
        return raw

    def _invoke(self, tensor: Num[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
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
        self._picture = _picture_input(graph)
        self._layers = [int(name) for name in inner_layers(graph.producers)]
        self._quantized = [graph.tensors[layer].quantization for layer in self._layers]
        try:
            self._interpreter = make(
                model_content=data,
                experimental_op_resolver_type=_PLAIN,
                experimental_preserve_all_tensors=True,
            )
        except _REFUSALS as error:
            raise _refusal(error) from error
        self._shape: tuple[int, ...] = ()

    def run(
        self, tensor: Num[np.ndarray, "batch a b c"]
    ) -> list[Float32[np.ndarray, "batch channels _"]]:
        """The output of each layer; raises ModelError if the interpreter refuses."""
        entry = self._interpreter.get_input_details()[0]
        tensor = self._picture.fold(tensor)
        try:
            if tensor.shape != self._shape:
                self._interpreter.resize_tensor_input(entry["index"], tensor.shape)
                self._interpreter.allocate_tensors()
                self._shape = tensor.shape
            self._interpreter.set_tensor(entry["index"], tensor)
            self._interpreter.invoke()
            raws = [self._interpreter.get_tensor(layer) for layer in self._layers]
        except _REFUSALS as error:
            raise _refusal(error) from error
        return [
            channels_first(raw, -1, quantization)
            for raw, quantization in zip(raws, self._quantized, strict=True)
        ]


def _refusal(error: Exception) -> ModelError:
    """What the interpreter says; for a file that is newer than it, both versions to compare."""
    text = f"the TFLite interpreter: {reason(error)}"
    if "with a newer model" in text or "with newer model" in text:
        text += (
            f" (installed: ai-edge-litert {ai_edge_litert.__version__}); "
            "`pip install -U ai-edge-litert`, or convert the model with an older converter"
        )
    return ModelError(text)


def _published(graph: TfliteGraph, index: int, request: OutputRequest) -> PublishedOutput:
    """An output by its index; the tensor before it that holds all scores, if there is one."""
    scores = _at_places(graph, index, places_of_scores(graph.producers, str(index)))
    maps = _at_places(graph, index, places_of_maps(graph.producers, str(index)))
    return best_place(scores, maps, request)


def _at_places(
    graph: TfliteGraph, index: int, places: Sequence[tuple[str, str]]
) -> list[PublishedOutput]:
    """Tensors in which the scores of an output may be, each with the operator after it."""
    found = []
    for scores, operator in places:
        tensor = graph.tensors[int(scores)]
        ending = find_activation(graph.producers, scores, graph.numbers.get)
        name = graph.tensors[index].name
        found.append(PublishedOutput(name, tensor.shape, tensor.dtype, scores, ending, operator))
    return found


def _picture_input(graph: TfliteGraph) -> PictureInput:
    tensors = [graph.tensors[index] for index in graph.inputs]
    declared = [DeclaredInput(tensor.name, tensor.shape, tensor.dtype) for tensor in tensors]
    if len(declared) > 1:
        listed = ", ".join(item.text for item in declared[:8])
        raise ModelError(
            f"the model has {len(declared)} inputs ({listed}); allowed: one, the picture: "
            "export it with the picture as its only input"
        )
    return find_picture_input(declared, graph.producers, frozenset())


def _input_tensor(graph: TfliteGraph, picture: PictureInput) -> InputTensor:
    tensor = graph.tensors[graph.inputs[0]]
    allowed = get_args(InputDtype)
    if tensor.dtype not in allowed:
        raise ModelError(f"input {tensor.name!r} is {tensor.dtype}; allowed: {', '.join(allowed)}")
    dtype = cast(InputDtype, tensor.dtype)
    return InputTensor(tensor.name, picture.shape, dtype, tensor.quantization)


def _output_tensor(
    graph: TfliteGraph, chosen: PublishedOutput, cut: bool
) -> tuple[OutputTensor, int]:
    """The tensor that is read, and its index."""
    scores, ending = int(chosen.tensor), chosen.activation
    tensor = graph.tensors[scores]
    if ending is None:
        return OutputTensor(tensor.name, None, False, tensor.quantization), scores
    if not cut or not ending.same_classes:
        read = OutputTensor(
            name=tensor.name,
            ending=ending.kind,
            cut=False,
            quantization=tensor.quantization,
            gain=ending.gain,
            step=ending.step,
            is_log=ending.is_log,
        )
        return read, scores
    feed = graph.tensors[int(ending.feed)]
    return OutputTensor(feed.name, ending.kind, True, feed.quantization), int(ending.feed)
