"""A model opened by its framework comes in; a classifier from uint8 pixels to logits goes out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Num, Shaped, UInt8

from lagotto.core.errors import ModelError, UsageError
from lagotto.core.types import (
    Decision,
    InputSpec,
    Layout,
    ModelSource,
    ModelSpec,
    Origin,
    PixelSpec,
)
from lagotto.models.files.tensors import InputTensor, OutputTensor
from lagotto.models.inputs import prepare_tensor
from lagotto.models.metadata.beside.label_choice import ChosenLabels
from lagotto.models.metadata.description import Description, parse_description
from lagotto.models.metadata.embedded import EmbeddedMetadata
from lagotto.models.metadata.facts import Facts, gather_facts
from lagotto.models.metadata.input_spec import ResolvedInput, resolve_input
from lagotto.models.output_choice import OutputRequest
from lagotto.models.outputs import Reading, class_rows, plan_reading

NO_METADATA = EmbeddedMetadata()
_PREPARED_ELEMENTS = 1 << 18  # of one prepared tensor: 1 MB of float32, which fits a CPU cache


@runtime_checkable
class Engine(Protocol):
    """A model opened by its framework: takes one prepared tensor, returns one raw output."""

    @property
    def input(self) -> InputTensor:
        """The input as the file declares it."""

    @property
    def output(self) -> OutputTensor:
        """The tensor that `run` returns."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each fallback that a run took."""

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        """The raw values of `output`; raises ModelError where the framework refuses."""


@runtime_checkable
class ActivationReader(Protocol):
    """A model opened so that the values of its inner layers can be read."""

    def run(
        self, tensor: Num[np.ndarray, "batch a b c"]
    ) -> list[Float32[np.ndarray, "batch channels _"]]:
        """The output of each layer, before any activation that is an operator of its own."""


OpenEngine = Callable[[OutputRequest], Engine]
OpenActivations = Callable[[], ActivationReader]


class ModelClassifier:
    """A loaded model (implements the Model protocol).

    If the batch dimension is open, pictures are run one at a time. If it is fixed, the last batch
    is filled up with black pictures. So the logits of a picture do not depend on the other pictures
    of the call. (On one thread, batches of 8 or 32 were measured to be no faster.)
    """

    def __init__(
        self,
        engine: Engine,
        spec: ModelSpec,
        reading: Reading,
        open_activations: OpenActivations | None = None,
    ) -> None:
        self._engine = engine
        self._spec = spec
        self._reading = reading
        self._open_insides = open_activations

    @property
    def spec(self) -> ModelSpec:
        """The model as it is run."""
        return self._spec

    def with_input(
        self, spec: InputSpec, decisions: tuple[Decision, ...], notes: tuple[str, ...]
    ) -> "ModelClassifier":
        """The same loaded model with another input, decisions and notes."""
        model = replace(self._spec, input=spec, decisions=decisions, notes=notes)
        return ModelClassifier(self._engine, model, self._reading, self._open_insides)

    def with_decisions(self, decisions: tuple[Decision, ...]) -> "ModelClassifier":
        """The same loaded model with other origins of its input."""
        return self.with_input(self._spec.input, decisions, self._spec.notes)

    def open_activations(self) -> ActivationReader | None:
        """A reader of the inner layers; None if the framework cannot show them."""
        if self._open_insides is None:
            return None
        try:
            return self._open_insides()
        except ModelError:
            return None

    def prepared(
        self, pixels: UInt8[np.ndarray, "images height width channels"], spec: InputSpec
    ) -> Num[np.ndarray, "batch a b c"]:
        """The input tensor of at most one batch of pictures, filled up with black pictures."""
        batch = self._engine.input.shape[0] or len(pixels)
        black = np.zeros((batch - len(pixels), *pixels.shape[1:]), np.uint8)
        return prepare_tensor(
            np.concatenate([pixels, black]), spec, self._engine.input.quantization
        )

    @property
    def batch(self) -> int:
        """Number of pictures in one run."""
        return self._engine.input.shape[0] or 1

    def logits(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images logits"]:
        """Logits of pictures decoded to `spec.input.pixels`.

        Raises UsageError for pixels of another shape or type, ModelError if the run fails.
        """
        expected = self._spec.input.pixels.shape
        if pixels.shape[1:] != expected or pixels.dtype != np.uint8:
            raise UsageError(
                f"pictures are {pixels.dtype} {pixels.shape[1:]}; {self._spec.name!r} takes "
                f"uint8 {expected} (height, width, channels)"
            )
        if not len(pixels):
            return np.empty((0, self._spec.outputs), np.float32)
        return self._reading.logits(_run_all(self._engine, self._spec.input, pixels))


def load_classifier(
    source: ModelSource,
    framework: str,
    default_layout: Layout,
    open_engine: OpenEngine,
    embedded: EmbeddedMetadata = NO_METADATA,
    open_activations: OpenActivations | None = None,
) -> ModelClassifier:
    """Loads the model of a source and tries it on two fixed pictures.

    Args:
        source: The weights file and the description beside it.
        framework: Name of the framework, for the record.
        default_layout: The layout to assume if the shape of the input fits both.
        open_engine: Opens the model for a request. If it fails, it is asked for the published
            output instead of the tensor before the final activation.
        embedded: Metadata inside the file; it fills what model.json leaves out.
        open_activations: Opens the model as a reader of its inner layers, if the framework can.

    Returns:
        The classifier; its spec holds the input, the output, the labels and notes.

    Raises:
        ModelError: The model cannot be read or run; the reason is one line.
    """
    description = parse_description(source.description)
    facts = gather_facts(source.file, description, embedded)
    request = OutputRequest(
        name=description.output_name,
        fits_labels=lambda outputs: facts.labels(outputs).labels is not None,
    )
    try:
        engine, resolved, raw = _try(open_engine(request), description, default_layout, facts)
    except ModelError:
        request = replace(request, cut=False)
        engine, resolved, raw = _try(open_engine(request), description, default_layout, facts)
    reading = plan_reading(raw, engine.output, description.output)
    if not np.isfinite(reading.logits(raw)).any():
        raise ModelError(
            "every output is NaN or infinite on two plain pictures; "
            "the weights are damaged or input.scale in model.json is wrong"
        )
    outputs = raw.shape[1]
    chosen = facts.labels(outputs)
    if outputs == 1 and chosen.labels is None:
        chosen = _label_of_unit(facts.labels(2)) or chosen
    notes = (*facts.notes, *engine.notes, *reading.notes, *chosen.notes)
    model = ModelSpec(
        name=source.name,
        file=source.file,
        framework=framework,
        input=resolved.spec,
        outputs=outputs,
        output=reading.output,
        logits_source=reading.source,
        labels=chosen.labels,
        notes=(*resolved.notes, *notes),
        decisions=resolved.decisions,
        output_origin=_output_origin(reading, description),
        labels_origin=chosen.origin,
        architecture=embedded.architecture,
    )
    return ModelClassifier(engine, model, reading, open_activations)


def _label_of_unit(pair: ChosenLabels) -> ChosenLabels | None:
    """The label of the only output of a model that has two labels; None if it has not.

    Training tools count such a unit as the second class: its sigmoid is the probability of the
    second label, and the first one has the rest.
    """
    if pair.labels is None:
        return None
    first, second = pair.labels
    note = f"one output for two labels: it is taken as {second!r}, and {first!r} as its complement"
    return replace(pair, labels=(second,), notes=(*pair.notes, note))


def _output_origin(reading: Reading, description: Description) -> Origin:
    """Where the kind of the output is from: the graph, model.json, or the trial pictures."""
    if reading.tensor.ending is not None:
        return "file"
    return "model.json" if description.output == reading.output else "inferred"


def trial_pictures(spec: PixelSpec) -> UInt8[np.ndarray, "2 height width channels"]:
    """Two fixed pictures: a color gradient and a checkerboard."""
    rows, columns = np.mgrid[: spec.height, : spec.width]
    slope = (rows * 160 // spec.height + columns * 80 // spec.width)[..., None]
    slope = (slope + 5 * np.arange(spec.shape[2])) % 256
    squares = ((rows * 6 // spec.height + columns * 6 // spec.width) % 2)[..., None]
    squares = 40 + squares * (170 - 30 * np.arange(spec.shape[2]))
    return np.stack([slope, squares]).astype(np.uint8)


def _try(
    engine: Engine, description: Description, default_layout: Layout, facts: Facts
) -> tuple[Engine, ResolvedInput, Num[np.ndarray, "2 classes"]]:
    """The engine, its input, and its raw output; if the layout is open, the one that can be run."""
    declared, found = description.input, facts.inputs
    other: Layout = "NHWC" if default_layout == "NCHW" else "NCHW"
    resolved = resolve_input(engine.input, declared, default_layout, found)
    try:
        raw = _run_all(engine, resolved.spec, trial_pictures(resolved.spec.pixels))
    except ModelError:
        second = resolve_input(engine.input, declared, other, found)
        if second.spec.layout == resolved.spec.layout:
            raise
        raw = _run_all(engine, second.spec, trial_pictures(second.spec.pixels))
        resolved = second
    return engine, resolved, raw


def _run_all(
    engine: Engine,
    spec: InputSpec,
    pixels: UInt8[np.ndarray, "images height width channels"],
) -> Num[np.ndarray, "images classes"]:
    images = len(pixels)
    batch = engine.input.shape[0] or 1
    group = batch * max(1, _PREPARED_ELEMENTS // (batch * pixels[0].size))
    rows = []
    for start in range(0, images, group):
        piece = pixels[start : start + group]
        missing = -len(piece) % batch
        if missing:
            black = np.zeros((missing, *piece.shape[1:]), np.uint8)
            piece = np.concatenate([piece, black])
        tensor = prepare_tensor(piece, spec, engine.input.quantization)
        for first in range(0, len(tensor), batch):
            raw = engine.run(tensor[first : first + batch])
            rows.append(class_rows(raw, batch, engine.output.name))
            if rows[-1].shape[1] != rows[0].shape[1]:
                raise ModelError(
                    f"its outputs change from picture to picture ({rows[0].shape[1]}, then "
                    f"{rows[-1].shape[1]}); a classifier has the same ones for every picture"
                )
    return np.concatenate(rows)[:images]
