"""Raw model outputs come in; logits, with quantization and activation undone, go out."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Num, Shaped

from lagotto.core.errors import ModelError
from lagotto.core.types import LogitsSource, ModelKind, OutputKind
from lagotto.models.files.tensors import (
    SCORE_DTYPES,
    OutputTensor,
    quantization_step,
    real_values,
    shape_text,
)
from lagotto.models.reductions.reduction import Reduction

Inverse: TypeAlias = Literal["none", "log", "logit"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the values of the tensor that is read become logits.

    `output` is the kind of output that the file publishes. `inverse` undoes its activation, if the
    tensor before it cannot be read; the values are divided by `gain` before. `notes` tell a reader
    what was decided. `reduction` makes one value a class of the boxes of a detector or the pixels
    of a segmenter; a classifier has none.
    """

    tensor: OutputTensor
    output: OutputKind
    source: LogitsSource
    inverse: Inverse = "none"
    notes: tuple[str, ...] = ()
    gain: float = 1.0
    reduction: Reduction | None = None

    @property
    def kind(self) -> ModelKind:
        """What the model is."""
        return self.tensor.kind if self.reduction is None else self.reduction.kind

    def rows(
        self, raw: Shaped[np.ndarray, "..."], images: int
    ) -> Num[np.ndarray, "images classes"]:
        """The output of a run as one row of values a picture; ModelError for another shape."""
        if self.reduction is not None:
            return self.reduction.rows(raw, images, self.tensor)
        return class_rows(raw, images, self.tensor.name)

    def logits(self, raw: Num[np.ndarray, "rows classes"]) -> Float32[np.ndarray, "rows classes"]:
        """Logits of raw output rows."""
        real = real_values(raw, self.tensor)
        if self.inverse == "none":
            return real.astype(np.float32, copy=False)
        low, high = _floors(raw, self.tensor)
        with np.errstate(invalid="ignore"):
            values = real.astype(np.float64) / self.gain
            logits = np.log(np.maximum(values, low))
            if self.inverse == "logit":
                logits -= np.log(np.maximum(1 - values, high))
        return logits.astype(np.float32)


def class_rows(
    raw: Shaped[np.ndarray, "..."], images: int, name: str
) -> Num[np.ndarray, "images classes"]:
    """The output as [images, classes]; axes of length 1 are dropped.

    The output of a single image may lack the axis of images, wherever its scores lie: [8],
    [8, 1, 1], and [] for a single score.

    Raises ModelError naming the shape if it is not one row of scores an image, or the dtype if it
    is not one of scores.
    """
    if raw.dtype.name not in SCORE_DTYPES:
        raise ModelError(
            f"output {name!r} has dtype {raw.dtype.name}; a classifier's scores are one of "
            f"{', '.join(SCORE_DTYPES)}: export the model with its scores as output"
        )
    if not is_class_row(raw, images):
        raise ModelError(
            f"output {name!r} has shape {shape_text(raw.shape)} for {images} picture(s); a "
            "classifier's output is [batch, classes]"
        )
    return raw.reshape(images, -1)


def is_class_row(raw: Shaped[np.ndarray, "..."], images: int) -> bool:
    """Whether an output has one row of values for each of some pictures."""
    if raw.size == 0:
        return False
    if images == 1:
        return len([size for size in raw.shape if size != 1]) <= 1
    wide = [size for size in raw.shape[1:] if size != 1]
    return raw.ndim >= 2 and raw.shape[0] == images and len(wide) <= 1


def plan_reading(
    raw: Num[np.ndarray, "rows classes"], tensor: OutputTensor, declared: OutputKind | None
) -> Reading:
    """Decides how an output becomes logits.

    The end of the graph decides first, then `declared` (from model.json), then the values
    themselves. Values that cannot be probabilities are logits, whatever model.json says.

    Args:
        raw: The raw output on the trial pictures.
        tensor: The tensor that was read.
        declared: The kind of output that model.json declares, if any.

    Returns:
        The reading, with notes on every doubtful decision.
    """
    if tensor.ending is not None:
        return _of_ending(tensor, tensor.ending, declared)
    real = real_values(raw, tensor)
    step = 0.0 if raw.dtype.kind == "f" else quantization_step(raw, tensor)
    like_softmax = _sums_to_one(real, step)
    if not like_softmax and _sums_to_one(real / 100, step / 100):
        return _percentages(tensor, declared)
    if declared == "logits" or (declared is None and not like_softmax):
        note = "outputs look like probabilities, but model.json says logits: taken as logits"
        if not like_softmax:
            note = _looks_bounded(real) if declared is None else ""
        return Reading(tensor, "logits", "declared", notes=(note,) if note else ())
    if declared is None:
        note = "outputs look like probabilities and no softmax is in the graph: logs taken"
        return Reading(tensor, "softmax", "log", "log", (note,))
    if (declared == "softmax" and like_softmax) or (declared == "sigmoid" and _within_one(real)):
        note = f"no final {declared} found in the graph: logs of the probabilities taken"
        return Reading(tensor, declared, "log", _inverse(declared), (note,))
    note = f"model.json says {declared}, but the outputs are not probabilities: taken as logits"
    return Reading(tensor, "logits", "declared", notes=(note,))


def plan_reduced_reading(
    raw: Shaped[np.ndarray, "..."],
    tensor: OutputTensor,
    reduction: Reduction,
    declared: OutputKind | None,
) -> Reading:
    """Decides how the reduced output of a detector or a segmenter becomes logits.

    As with `plan_reading`, the end of the graph decides first, then `declared`, then the values.

    Args:
        raw: The raw output on a trial picture.
        tensor: The tensor that was read.
        reduction: Where its classes lie, and what their values are.
        declared: The kind of output that model.json declares, if any.
    """
    if reduction.objectness is not None:
        if raw.dtype.kind != "f":
            tensor = replace(tensor, step=quantization_step(raw, tensor))
        reading = Reading(tensor, "sigmoid", "log", "logit")
    elif tensor.ending is not None:
        reading = _of_ending(tensor, tensor.ending, declared)
    elif reduction.values == "logits" or declared == "logits":
        reading = Reading(tensor, "logits", "declared")
    else:
        kind = reduction.values
        note = f"its scores are probabilities and no {kind} is in the graph: logs taken"
        reading = Reading(tensor, kind, "log", _inverse(kind), (note,))
    return replace(reading, reduction=reduction, notes=(*reduction.notes, *reading.notes))


def _of_ending(tensor: OutputTensor, ending: OutputKind, declared: OutputKind | None) -> Reading:
    """The reading of a tensor that the graph itself ends in a softmax or sigmoid."""
    notes = _disagreement(declared, ending)
    if tensor.cut:
        return Reading(tensor, ending, "cut", notes=notes)
    if tensor.is_log:
        note = f"the file publishes logs of its {ending}: they are taken as logits"
        return Reading(tensor, ending, "log", notes=(*notes, note))
    note = f"the tensor before the {ending} cannot be read: logs of the probabilities taken"
    return Reading(tensor, ending, "log", _inverse(ending), (*notes, note), tensor.gain)


def _percentages(tensor: OutputTensor, declared: OutputKind | None) -> Reading:
    """The reading of values that sum to 100 and are not the end of a softmax in the graph."""
    if declared == "logits":
        note = "outputs look like percentages, but model.json says logits: taken as logits"
        return Reading(tensor, "logits", "declared", notes=(note,))
    note = "outputs sum to 100 and no softmax is in the graph: logs of the percentages taken"
    kind: OutputKind = declared or "softmax"
    return Reading(tensor, kind, "log", _inverse(kind), (note,), 100.0)


def _looks_bounded(real: Num[np.ndarray, "rows classes"]) -> str:
    """A note on values that may be probabilities of a sigmoid, or percentages; else empty."""
    if real.shape[1] < 2 or not np.all(real >= 0) or not np.all(real <= 100):
        return ""
    top = "1" if np.all(real <= 1) else "100"
    advice = 'if they are probabilities, say "output": "sigmoid" in model.json'
    return f"all outputs lie within 0 and {top}, and are taken as logits; {advice}"


def _inverse(kind: OutputKind) -> Inverse:
    return "logit" if kind == "sigmoid" else "log"


def _disagreement(declared: OutputKind | None, ending: OutputKind) -> tuple[str, ...]:
    if declared in (None, ending):
        return ()
    return (f"model.json says output {declared}, but the graph ends in a {ending}",)


def _floors(raw: Num[np.ndarray, "..."], tensor: OutputTensor) -> tuple[float, float]:
    """Lower bounds of a probability and of its complement before a log is taken.

    For integers it is half a quantization step. For floats it is the smallest normal number, down
    to which they keep their relative precision; for the complement, half of their spacing below 1.
    """
    if tensor.step:
        return tensor.step / 2, tensor.step / 2
    if raw.dtype.kind != "f":
        half = quantization_step(raw, tensor) / 2
        return half, half
    kind = np.finfo(raw.dtype)
    return float(kind.smallest_normal), float(kind.epsneg) / 2


def _within_one(real: Num[np.ndarray, "rows classes"]) -> bool:
    return bool(np.all((real >= -1e-6) & (real <= 1 + 1e-4)))


def _sums_to_one(real: Num[np.ndarray, "rows classes"], step: float) -> bool:
    slack = min(1e-3 + step * real.shape[1] / 2, 0.5)
    sums = real.astype(np.float64).sum(axis=1)
    return real.shape[1] > 1 and _within_one(real) and bool(np.all(np.abs(sums - 1) <= slack))
