"""An .onnx file comes in; a classifier run by onnxruntime goes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import onnxruntime
from jaxtyping import Float32, Num, Shaped, UInt8
from onnxruntime.capi import onnxruntime_pybind11_state

from lagotto.core.arguments.links import link_roots
from lagotto.core.devices.placement import CPU, Runtime
from lagotto.core.devices.runtimes import onnx_runtime, open_onnx
from lagotto.core.devices.use import DeviceUse, OutOfDeviceMemoryError, says_out_of_memory
from lagotto.core.errors import ModelError, reason
from lagotto.core.parsing.onnx_survey import check_operators, survey_onnx
from lagotto.core.parsing.onnx_versions import onnx_refusal
from lagotto.core.text.clean import clean_text
from lagotto.core.types import InputDtype, Layout, ModelSource
from lagotto.models.activation_stats import channels_first, evenly_spread, inner_layers
from lagotto.models.assembled import AssembledModel
from lagotto.models.classifier import ModelClassifier, Variants, load_classifier
from lagotto.models.device_batches import OpenBatches
from lagotto.models.files.activation import find_activation
from lagotto.models.files.lineage import (
    places_of_detections,
    places_of_maps,
    places_of_scores,
    tensors_before,
)
from lagotto.models.files.onnx_graph import (
    OnnxGraph,
    external_files,
    read_onnx_graph,
    with_forward_slashes,
    with_onnx_output,
)
from lagotto.models.files.onnx_outputs import (
    known_sizes,
    numpy_name,
    output_tensor,
    read_quantization,
    result_quantization,
)
from lagotto.models.files.tensors import (
    InputTensor,
    OutputTensor,
)
from lagotto.models.files.weights import (
    check_size,
    read_weights,
)
from lagotto.models.metadata.description import MAX_EDGE
from lagotto.models.metadata.embedded import EmbeddedMetadata
from lagotto.models.metadata.onnx import read_onnx_metadata
from lagotto.models.output_choice import choose_output
from lagotto.models.output_places import OutputRequest, PublishedOutput, best_place
from lagotto.models.picture_input import DeclaredInput, PictureInput, find_picture_input

_TRIAL_EDGE = 160
"""Of the pictures on which a known network is tried; graphs for any size were checked at it."""

_WITH_BODIES = ("If", "Loop", "Scan", "SequenceMap")
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


@dataclass(frozen=True, slots=True)
class OnnxProgram:
    """A model to open: its bytes, its graph, and where its external data is.

    External data is in files of `folder`, or in `weights`, contiguous arrays by the names of the
    initializers. A session reads `weights` in place, so an engine holds its program. `use` is where
    it is run.
    """

    data: bytes
    graph: OnnxGraph
    threads: int
    use: DeviceUse
    folder: Path | None = None
    weights: Mapping[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)


def model_runtime() -> Runtime:
    """What models in ONNX, and those that are translated to it, can run on here."""
    return onnx_runtime(onnxruntime)


def load_onnx(source: ModelSource, threads: int = 1, device: str = CPU) -> ModelClassifier:
    """Loads the model of an .onnx file; raises ModelError with the reason in one line."""
    data = read_weights(source.file)
    survey = survey_onnx(data, ModelError)
    check_operators(survey, ModelError)
    check_size(source.file, external_files(survey, source.file.parent))
    data = with_forward_slashes(data, survey)
    use = DeviceUse(device)
    program = OnnxProgram(data, read_onnx_graph(data), threads, use, source.file.parent)
    embedded = read_onnx_metadata(data)
    names = program.graph.class_names
    if names:  # they are those of the scores themselves; properties are written apart
        labels = tuple(clean_text(name) for name in names)
        embedded = replace(embedded, description=replace(embedded.description, labels=labels))
    return _load_program(source, program, "onnx", "NCHW", embedded)


def load_assembled(
    source: ModelSource, model: AssembledModel, threads: int = 1, device: str = CPU
) -> ModelClassifier:
    """Loads a model that Lagotto has written as ONNX from a file of another form.

    Args:
        source: The file of the other form, and the description beside it.
        model: The graph, its weights, and what the file says of them.
        threads: CPU threads of one run.
        device: Where it runs.

    Raises:
        ModelError: The model cannot be run; the reason is one line.
    """
    check_operators(survey_onnx(model.data, ModelError), ModelError)
    weights = {name: np.ascontiguousarray(value) for name, value in model.weights.items()}
    graph, use = read_onnx_graph(model.data), DeviceUse(device)
    program = OnnxProgram(model.data, graph, threads, use, weights=weights)
    is_for_any_size = model.embedded.description.input.size is None
    edge = _TRIAL_EDGE if model.embedded.architecture and is_for_any_size else MAX_EDGE
    loaded = _load_program(source, program, model.framework, model.layout, model.embedded, edge)
    if not model.spreads:
        return loaded
    layers = evenly_spread(tuple(model.spreads))
    others = {
        name: partial(_load_variant, source, assemble, threads, device)
        for name, assemble in model.variants.items()
    }
    spreads = tuple(model.spreads[name] for name in layers)
    return loaded.with_variants(
        Variants(spreads, partial(OnnxActivations, program, layers), others)
    )


def _load_variant(
    source: ModelSource, assemble: Callable[[], AssembledModel], threads: int, device: str
) -> ModelClassifier:
    return load_assembled(source, assemble(), threads, device)


def _load_program(
    source: ModelSource,
    program: OnnxProgram,
    framework: str,
    layout: Layout,
    embedded: EmbeddedMetadata,
    trial_edge: int = MAX_EDGE,
) -> ModelClassifier:
    engine = partial(OnnxEngine, program)
    activations = partial(OnnxActivations, program)
    loaded = load_classifier(source, framework, layout, engine, embedded, activations, trial_edge)
    return loaded if program.use.requested == CPU else loaded.with_device(program.use)


class OnnxEngine:
    """A session that returns one tensor: the output or, if asked for, the input of its activation.

    In place of an output that maps names to scores (ZipMap), or that holds the best few scores of
    each picture (TopK), the tensor of all scores is read.
    """

    def __init__(self, program: OnnxProgram, request: OutputRequest) -> None:
        graph = program.graph
        self._program = program
        places = {
            name: places_of_scores(graph.producers, name, name not in graph.bfloat16)
            for name in graph.outputs
        }
        maps = {name: places_of_maps(graph.producers, name) for name in graph.outputs}
        detections = places_of_detections(graph.producers)
        endings = {
            tensor: find_activation(graph.producers, tensor, graph.constant)
            for several in (*places.values(), *maps.values(), detections)
            for tensor, _ in several
        }
        added = dict.fromkeys(endings)
        if request.cut:
            added |= dict.fromkeys(end.feed for end in endings.values() if end and end.same_classes)
        self._session = _open_session(
            program, *[name for name in added if name not in graph.outputs]
        )
        by_name = {value.name: value for value in self._session.get_outputs()}

        def published(name: str, several: Sequence[tuple[str, str]]) -> list[PublishedOutput]:
            return [
                PublishedOutput(
                    name,
                    known_sizes(by_name[tensor].shape),
                    numpy_name(by_name[tensor].type),
                    tensor,
                    endings[tensor],
                    operator,
                )
                for tensor, operator in several
            ]

        outputs = [
            best_place(published(name, places[name]), published(name, maps[name]), request)
            for name in graph.outputs
        ]
        outputs += [item for item in published(graph.outputs[0], detections) if item.holds_classes]
        choice = choose_output(outputs, graph.producers, request)
        chosen = outputs[choice.index]
        self._kept = choice.kept
        self._read = [chosen.tensor]
        if self._kept is None:
            hint = choice.class_hint or chosen.class_hint
            feed = by_name.get(chosen.activation.feed) if chosen.activation else None
            chosen = chosen.read_as(hint, None if feed is None else known_sizes(feed.shape))
            tensor = output_tensor(graph, chosen.tensor, chosen.activation, request.cut)
            self._output = replace(tensor, is_row=chosen.is_row, class_hint=hint)
            self._read = [self._output.name]
        else:
            self._output = self._kept.output(chosen.name)
            self._read.append(graph.outputs[self._kept.classes])
        self._picture = _picture_input(self._session, graph, self._output.name)
        self._input = _input_tensor(self._picture, graph)
        self._use, self._batches = program.use, OpenBatches(program.use)
        if self._kept is None and self._output.is_row and program.use.is_gpu:
            self._input = replace(self._input, together=self._batches.most)
        self._notes = (*choice.notes, *self._picture.notes)

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
        """What was chosen of several outputs, and set for further inputs."""
        return self._notes

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        """The raw values of `output`; raises ModelError if onnxruntime refuses."""
        if self._input.together > 1 and self._input.shape[0] is None:
            return self._batches.run(tensor, self._run)
        return self._batches.run_whole(tensor, self._run)

    def _run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        try:
            raws = self._session.run(self._read, self._picture.feed(tensor))
        except _REFUSALS as error:
            if self._use.is_gpu and says_out_of_memory(error):
                raise OutOfDeviceMemoryError(reason(error)) from error
            raise ModelError(f"onnxruntime cannot run the model: {reason(error)}") from error
        if self._kept is not None:
            scores, classes = map(np.asarray, raws)
            return self._kept.rows(scores, classes, len(tensor))
        (raw,) = raws
        raw = np.asarray(raw) if isinstance(raw, np.generic) else raw
        if not isinstance(raw, np.ndarray):
            raise ModelError(f"output {self._output.name!r} is not a tensor; export plain scores")
        return raw


class OnnxActivations:
    """A session that returns the outputs of inner layers (the ActivationReader protocol).

    Without `layers`, their names, it returns those that tell how well a model is centered.
    """

    def __init__(self, program: OnnxProgram, layers: tuple[str, ...] | None = None) -> None:
        graph = program.graph
        self._program = program
        self._layers = inner_layers(graph.producers) if layers is None else layers
        added = [name for name in self._layers if name not in graph.outputs]
        self._session = _open_session(program, *added)
        self._picture = _picture_input(self._session, graph, *graph.outputs)
        self._quantized = [result_quantization(graph, name) for name in self._layers]

    def run(
        self, tensor: Num[np.ndarray, "batch a b c"]
    ) -> list[Float32[np.ndarray, "batch channels _"]]:
        """The output of each layer; raises ModelError if onnxruntime refuses."""
        if not self._layers:
            return []
        try:
            raws = self._session.run(list(self._layers), self._picture.feed(tensor))
        except _REFUSALS as error:
            raise ModelError(f"onnxruntime cannot run the model: {reason(error)}") from error
        return [
            channels_first(np.asarray(raw), 1, quantization)
            for raw, quantization in zip(raws, self._quantized, strict=True)
        ]


def _open_session(program: OnnxProgram, *added: str) -> onnxruntime.InferenceSession:
    """A session of the program, with `added` tensors as further outputs."""
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = program.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    held = {} if program.folder is None else _set_folder(options, program.data, program.folder)
    data = with_onnx_output(program.data, *added) if added else program.data
    try:
        if program.weights:
            values = map(onnxruntime.OrtValue.ortvalue_from_numpy, program.weights.values())
            options.add_external_initializers(list(program.weights), list(values))
        return cast(
            onnxruntime.InferenceSession,
            open_onnx(program.use, onnxruntime, partial(_session_of, data, options), ModelError),
        )
    finally:
        held.clear()  # the options hold no reference to the bytes, so they had to live until here


def _session_of(
    data: bytes, options: onnxruntime.SessionOptions, providers: list[Any]
) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except _REFUSALS as error:
        why = onnx_refusal(error, onnxruntime.__version__)
        raise ModelError(f"onnxruntime cannot load the model: {why}") from error


def _set_folder(
    options: onnxruntime.SessionOptions, data: bytes, folder: Path
) -> dict[str, UInt8[np.ndarray, " bytes"]]:
    """Says where the files with the external data of a model are.

    Returns:
        The bytes of those that are handed over; they must live until the session is open.
    """
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(folder)
    )
    linked = _linked_data(data, folder)
    if linked:
        options.add_external_initializers_from_files_in_memory(
            list(linked), list(linked.values()), [len(content) for content in linked.values()]
        )
    return linked


def _linked_data(data: bytes, folder: Path) -> dict[str, UInt8[np.ndarray, " bytes"]]:
    """The external data of a model in a snapshot of the Hugging Face cache, by name, mapped.

    There it is a link into the blobs of the repository. onnxruntime follows no link out of the
    model's folder, so it is handed the bytes. For every other folder there is nothing to hand over.
    """
    if len(link_roots(folder)) == 1:
        return {}
    files = external_files(survey_onnx(data, ModelError), folder)
    return {
        file.relative_to(folder).as_posix(): np.memmap(file, np.uint8, "r")
        for file in files
        if file.is_symlink() and file.stat().st_size
    }


def _picture_input(
    session: onnxruntime.InferenceSession, graph: OnnxGraph, *read: str
) -> PictureInput:
    inputs = [
        DeclaredInput(value.name, known_sizes(value.shape), numpy_name(value.type))
        for value in session.get_inputs()
    ]
    used = frozenset().union(*(tensors_before(graph.producers, name) for name in read))
    if any(node.op in _WITH_BODIES for node in graph.producers.values()):
        used |= {item.name for item in inputs}  # a body may use a tensor without naming it so
    return find_picture_input(inputs, graph.producers, used)


def _input_tensor(picture: PictureInput, graph: OnnxGraph) -> InputTensor:
    name = picture.name
    if picture.dtype not in get_args(InputDtype):
        allowed = ", ".join(get_args(InputDtype))
        raise ModelError(f"input {name!r} is {picture.dtype}; allowed: {allowed}: export it so")
    quantization = None
    consumer = graph.consumers.get(name)
    if consumer is not None and consumer.op in ("DequantizeLinear", "QLinearConv"):
        quantization = read_quantization(graph, consumer.inputs, 1)
    return InputTensor(name, picture.shape, cast(InputDtype, picture.dtype), quantization)
