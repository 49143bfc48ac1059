"""A model opened by its framework comes in; a classifier from uint8 pixels to logits goes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Num, Shaped, UInt8

from lagotto.core.devices.use import DeviceUse
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
from lagotto.models.engine import Engine, run_batches
from lagotto.models.inputs import prepare_tensor
from lagotto.models.metadata.beside.label_choice import ChosenLabels
from lagotto.models.metadata.description import MAX_EDGE, Description, parse_description
from lagotto.models.metadata.embedded import EmbeddedMetadata
from lagotto.models.metadata.facts import Facts, gather_facts
from lagotto.models.metadata.input_spec import ResolvedInput, resolve_input
from lagotto.models.output_places import OutputRequest
from lagotto.models.outputs import (
    Reading,
    class_rows,
    is_class_row,
    plan_reading,
    plan_reduced_reading,
)
from lagotto.models.reductions.forms import ReductionEvidence
from lagotto.models.reductions.plan import is_reducible, plan_reduction

NO_METADATA = EmbeddedMetadata()


@runtime_checkable
class ActivationReader(Protocol):
    """A model opened so that the values of its inner layers can be read."""

    def run(
        self, tensor: Num[np.ndarray, "batch a b c"]
    ) -> list[Float32[np.ndarray, "batch channels _"]]:
        """The output of each layer, before any activation that is an operator of its own."""


OpenEngine = Callable[[OutputRequest], Engine]
OpenActivations = Callable[[], ActivationReader]


@dataclass(frozen=True, slots=True)
class Variants:
    """What tells whether the weights of a model are those of its network or of a similar one.

    Args:
        spreads: The standard deviations of the channels of normalized layers in training.
        open_reader: Opens a reader of these layers, in the same order.
        others: Opens the same weights as another network, by its name.
    """

    spreads: tuple[Float32[np.ndarray, " _"], ...]
    open_reader: OpenActivations
    others: "Mapping[str, Callable[[], ModelClassifier]]"


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
        variants: Variants | None = None,
        use: DeviceUse | None = None,
    ) -> None:
        self._engine = engine
        self._spec = spec
        self._reading = reading
        self._open_insides = open_activations
        self._variants = variants
        self._use = use

    @property
    def variants(self) -> Variants | None:
        """What tells which network its weights are of; None if only one is possible."""
        return self._variants

    @property
    def spec(self) -> ModelSpec:
        """The model as it is run."""
        return self._spec if self._use is None else replace(self._spec, device=self._use.device)

    @property
    def device_notes(self) -> tuple[str, ...]:
        """What its runs so far took otherwise than the device that was asked for, one line each."""
        return () if self._use is None else self._use.notes

    def with_input(
        self, spec: InputSpec, decisions: tuple[Decision, ...], notes: tuple[str, ...]
    ) -> "ModelClassifier":
        """The same loaded model with another input, decisions and notes."""
        return self._changed(
            replace(self._spec, input=spec, decisions=decisions, notes=notes), self._variants
        )

    def with_variants(self, variants: Variants) -> "ModelClassifier":
        """The same loaded model, with the networks that its weights fit, too."""
        return self._changed(self._spec, variants)

    def with_device(self, use: DeviceUse) -> "ModelClassifier":
        """The same loaded model, which says where its engine runs."""
        other = self._changed(self._spec, self._variants)
        other._use = use
        return other

    def _changed(self, spec: ModelSpec, variants: Variants | None) -> "ModelClassifier":
        insides = self._open_insides
        return ModelClassifier(self._engine, spec, self._reading, insides, variants, self._use)

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
        rows = run_batches(self._engine, self._spec.input, pixels, self._reading.rows)
        return self._reading.logits(rows)


def load_classifier(
    source: ModelSource,
    framework: str,
    default_layout: Layout,
    open_engine: OpenEngine,
    embedded: EmbeddedMetadata = NO_METADATA,
    open_activations: OpenActivations | None = None,
    trial_edge: int = MAX_EDGE,
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
        trial_edge: The largest edge of the two pictures where the graph takes any size.

    Returns:
        The classifier; its spec holds the input, the output, the labels and notes.

    Raises:
        ModelError: The model cannot be read or run; the reason is one line.
    """
    description = parse_description(source.description)
    facts = gather_facts(source.file, description, embedded)
    evidence = ReductionEvidence(
        fits_labels=lambda outputs: facts.labels(outputs).labels is not None, task=embedded.task
    )
    request = OutputRequest(
        name=description.output_name,
        fits_labels=evidence.fits_labels,
        is_reducible=partial(is_reducible, evidence=evidence),
        labels=facts.lists[0].names if facts.lists else None,
    )
    trial = _Trial(description, default_layout, facts, evidence, trial_edge)
    try:
        engine = open_engine(request)
        resolved, reading, raw = trial.run(engine)
    except ModelError:
        engine = open_engine(replace(request, cut=False))
        resolved, reading, raw = trial.run(engine)
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
        kind=reading.kind,
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


@dataclass(frozen=True, slots=True)
class _Trial:
    """Runs a model on the trial pictures; what is known of it decides how it is fed and read."""

    description: Description
    default_layout: Layout
    facts: Facts
    evidence: ReductionEvidence
    edge: int

    def run(self, engine: Engine) -> tuple[ResolvedInput, Reading, Num[np.ndarray, "2 classes"]]:
        """The input, the reading, and the rows of the two pictures.

        If the layout is open, the one that can be run is taken.
        """
        declared, found = self.description.input, self.facts.inputs
        resolved = resolve_input(engine.input, declared, self.default_layout, found)
        try:
            return self._run_with(engine, resolved)
        except ModelError:
            other: Layout = "NHWC" if self.default_layout == "NCHW" else "NCHW"
            second = resolve_input(engine.input, declared, other, found)
            if second.spec.layout == resolved.spec.layout:
                raise
            return self._run_with(engine, second)

    def _run_with(
        self, engine: Engine, resolved: ResolvedInput
    ) -> tuple[ResolvedInput, Reading, Num[np.ndarray, "2 classes"]]:
        pictures = trial_pictures(self._pixels(engine, resolved.spec.pixels))
        reduced: list[Reading] = []

        def rows(raw: Shaped[np.ndarray, "..."], images: int) -> Num[np.ndarray, "images classes"]:
            if engine.output.is_row or (not reduced and is_class_row(raw, images)):
                return class_rows(raw, images, engine.output.name)
            if not reduced:
                reduced.append(self._plan_reduced(engine, resolved, raw, images))
            return reduced[0].rows(raw, images)

        raw = run_batches(engine, resolved.spec, pictures, rows)
        if reduced:
            reading = reduced[0]
        else:
            reading = plan_reading(raw, engine.output, self.description.output)
        seen = resolved if reading.kind == "classifier" else _seen_whole(resolved)
        return seen, reading, raw

    def _pixels(self, engine: Engine, pixels: PixelSpec) -> PixelSpec:
        edge = self.edge if engine.input.shape[1:].count(None) > 1 else MAX_EDGE
        return replace(pixels, height=min(pixels.height, edge), width=min(pixels.width, edge))

    def _plan_reduced(
        self,
        engine: Engine,
        resolved: ResolvedInput,
        raw: Shaped[np.ndarray, "..."],
        images: int,
    ) -> Reading:
        """How the first output that is no row of scores a picture is read."""
        pixels, tensor = resolved.spec.pixels, engine.output
        evidence = replace(
            self.evidence,
            size=(pixels.height, pixels.width),
            ending=tensor.ending,
            class_hint=tensor.class_hint,
        )
        reduction = plan_reduction(raw, images, tensor, evidence)
        return plan_reduced_reading(raw, tensor, reduction, self.description.output)


def _seen_whole(resolved: ResolvedInput) -> ResolvedInput:
    """The input of a detector or a segmenter: pictures are stretched, unless something says else.

    So that what stands at the sides of a picture is found, too.
    """
    if all(item.origin != "assumed" for item in resolved.decisions if item.field == "resize"):
        return resolved
    pixels = replace(resolved.spec.pixels, resize="stretch")
    decisions = tuple(
        replace(item, value="stretch") if item.field == "resize" else item
        for item in resolved.decisions
    )
    return replace(resolved, spec=replace(resolved.spec, pixels=pixels), decisions=decisions)
