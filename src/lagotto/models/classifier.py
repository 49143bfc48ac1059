"""A classifier over any framework: resolves input and output, tries them, then answers logits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Num, Shaped, UInt8

from lagotto.core.errors import ModelError, UsageError
from lagotto.core.types import Decision, InputSpec, Layout, ModelSource, ModelSpec, PixelSpec
from lagotto.models.files.tensors import InputTensor, OutputTensor
from lagotto.models.inputs import prepare_tensor
from lagotto.models.metadata.description import (
    Description,
    labels_for,
    parse_description,
)
from lagotto.models.metadata.embedded import Embedded
from lagotto.models.metadata.input_spec import ResolvedInput, resolve_input
from lagotto.models.outputs import Reading, class_rows, plan_reading

NO_METADATA = Embedded()
_PREPARED_ELEMENTS = 1 << 18  # prepared at once: 1 MB of float32, so that it stays in the cache


@runtime_checkable
class Engine(Protocol):
    """A model inside its framework: one prepared tensor in, one raw output out."""

    @property
    def input(self) -> InputTensor:
        """The input as the file declares it."""

    @property
    def output(self) -> OutputTensor:
        """The tensor that `run` returns."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found out by running: a fallback taken."""

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        """The raw values of `output`; raises ModelError where the framework refuses."""


@runtime_checkable
class Insides(Protocol):
    """A model opened so that the values of its inner layers can be read."""

    def run(
        self, tensor: Num[np.ndarray, "batch a b c"]
    ) -> list[Float32[np.ndarray, "batch channels _"]]:
        """What each layer gives, before any activation that the file keeps apart from it."""


OpenEngine = Callable[[bool], Engine]
OpenInsides = Callable[[], Insides]


class ModelClassifier:
    """A loaded model (the Model protocol).

    Pictures are run one at a time where the model's batch is open, else in its fixed batches, the
    last one filled up with black: a picture's logits do not depend on what else is in the call.
    (Batches of 8 or 32 were measured to be no quicker on one thread.)
    """

    def __init__(
        self,
        engine: Engine,
        spec: ModelSpec,
        reading: Reading,
        open_insides: OpenInsides | None = None,
    ) -> None:
        self._engine = engine
        self._spec = spec
        self._reading = reading
        self._open_insides = open_insides

    @property
    def spec(self) -> ModelSpec:
        """The model as it is run."""
        return self._spec

    def fed(
        self, spec: InputSpec, decisions: tuple[Decision, ...], notes: tuple[str, ...]
    ) -> "ModelClassifier":
        """The same loaded model, fed in another way."""
        model = replace(self._spec, input=spec, decisions=decisions, notes=notes)
        return ModelClassifier(self._engine, model, self._reading, self._open_insides)

    def open_insides(self) -> Insides | None:
        """The model with its inner layers in view; None where its framework does not show them."""
        if self._open_insides is None:
            return None
        try:
            return self._open_insides()
        except ModelError:
            return None

    def prepared(
        self, pixels: UInt8[np.ndarray, "images height width channels"], spec: InputSpec
    ) -> Num[np.ndarray, "batch a b c"]:
        """The input tensor of at most one batch of pictures, filled up with black."""
        batch = self._engine.input.shape[0] or len(pixels)
        black = np.zeros((batch - len(pixels), *pixels.shape[1:]), np.uint8)
        return prepare_tensor(
            np.concatenate([pixels, black]), spec, self._engine.input.quantisation
        )

    @property
    def batch(self) -> int:
        """Pictures in one run."""
        return self._engine.input.shape[0] or 1

    def logits(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images logits"]:
        """Logits of pictures decoded to `spec.input.pixels`; raises ModelError if the run fails."""
        wanted = self._spec.input.pixels.shape
        if pixels.shape[1:] != wanted or pixels.dtype != np.uint8:
            raise UsageError(
                f"pictures are {pixels.dtype} {pixels.shape[1:]}; {self._spec.name!r} takes "
                f"uint8 {wanted} (height, width, channels)"
            )
        if not len(pixels):
            return np.empty((0, self._spec.outputs), np.float32)
        return self._reading.logits(_run_all(self._engine, self._spec.input, pixels))


def load_classifier(
    source: ModelSource,
    framework: str,
    usual_layout: Layout,
    open_engine: OpenEngine,
    embedded: Embedded = NO_METADATA,
    open_insides: OpenInsides | None = None,
) -> ModelClassifier:
    """The model of a source, tried on two fixed pictures.

    `open_engine(True)` opens the model so that the tensor before its final activation is read,
    where there is one; `open_engine(False)` reads the published output, which is done where the
    first way does not work. `embedded` fills what model.json leaves out. Raises ModelError with
    the reason in one line.
    """
    description = parse_description(source.description)
    try:
        engine, resolved, raw = _try(open_engine(True), description, usual_layout, embedded)
    except ModelError:
        engine, resolved, raw = _try(open_engine(False), description, usual_layout, embedded)
    reading = plan_reading(raw, engine.output, description.output)
    if not np.isfinite(reading.logits(raw)).any():
        raise ModelError(
            "every output is NaN or infinite on two plain pictures; "
            "the weights are damaged or input.scale in model.json is wrong"
        )
    outputs = raw.shape[1]
    named = description
    if named.labels is None:
        named = replace(description, labels=embedded.description.labels)
    labels, label_notes = labels_for(named, source.file, outputs)
    notes = (*embedded.notes, *engine.notes, *reading.notes, *label_notes)
    model = ModelSpec(
        name=source.name,
        file=source.file,
        framework=framework,
        input=resolved.spec,
        outputs=outputs,
        output=reading.output,
        logits_source=reading.source,
        labels=labels,
        notes=(*resolved.notes, *notes),
        decisions=resolved.decisions,
    )
    return ModelClassifier(engine, model, reading, open_insides)


def trial_pictures(spec: PixelSpec) -> UInt8[np.ndarray, "2 height width channels"]:
    """Two fixed pictures: a smooth slope of colours, and a check of squares."""
    rows, columns = np.mgrid[: spec.height, : spec.width]
    slope = (rows * 160 // spec.height + columns * 80 // spec.width)[..., None]
    slope = (slope + 5 * np.arange(spec.shape[2])) % 256
    squares = ((rows * 6 // spec.height + columns * 6 // spec.width) % 2)[..., None]
    squares = 40 + squares * (170 - 30 * np.arange(spec.shape[2]))
    return np.stack([slope, squares]).astype(np.uint8)


def _try(
    engine: Engine, description: Description, usual_layout: Layout, embedded: Embedded
) -> tuple[Engine, ResolvedInput, Num[np.ndarray, "2 classes"]]:
    """The engine, how it is fed, and its raw output; where the layout is open, whichever runs."""
    said, read = description.input, embedded.description.input
    other: Layout = "NHWC" if usual_layout == "NCHW" else "NCHW"
    resolved = resolve_input(engine.input, said, usual_layout, read)
    try:
        raw = _run_all(engine, resolved.spec, trial_pictures(resolved.spec.pixels))
    except ModelError:
        second = resolve_input(engine.input, said, other, read)
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
        tensor = prepare_tensor(piece, spec, engine.input.quantisation)
        for first in range(0, len(tensor), batch):
            raw = engine.run(tensor[first : first + batch])
            rows.append(class_rows(raw, batch, engine.output.name))
            if rows[-1].shape[1] != rows[0].shape[1]:
                raise ModelError(
                    f"its outputs change from picture to picture ({rows[0].shape[1]}, then "
                    f"{rows[-1].shape[1]}); a classifier has the same ones for every picture"
                )
    return np.concatenate(rows)[:images]
