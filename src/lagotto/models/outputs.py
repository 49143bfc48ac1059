"""Raw model outputs come in; logits, with quantization and activation undone, go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Num, Shaped

from lagotto.core.errors import ModelError
from lagotto.core.types import LogitsSource, OutputKind
from lagotto.models.files.tensors import OutputTensor, shape_text

Inverse: TypeAlias = Literal["none", "log", "logit"]
_SCORE_NAMES = ("logit", "output", "prob", "class", "score")
_READABLE = ("float16", "float32", "float64", "uint8", "int8", "int16")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the values of the tensor that is read become logits.

    `output` is the kind of output that the file publishes. `inverse` undoes its activation, if the
    tensor before it cannot be read. `notes` tell a reader what was decided.
    """

    tensor: OutputTensor
    output: OutputKind
    source: LogitsSource
    inverse: Inverse = "none"
    notes: tuple[str, ...] = ()

    def logits(self, raw: Num[np.ndarray, "rows classes"]) -> Float32[np.ndarray, "rows classes"]:
        """Logits of raw output rows."""
        real = real_values(raw, self.tensor)
        if self.inverse == "none":
            return real.astype(np.float32, copy=False)
        low, high = _floors(raw, self.tensor)
        with np.errstate(invalid="ignore"):
            values = real.astype(np.float64)
            logits = np.log(np.maximum(values, low))
            if self.inverse == "logit":
                logits -= np.log(np.maximum(1 - values, high))
        return logits.astype(np.float32)


def pick_output(outputs: Sequence[tuple[str, tuple[int | None, ...]]]) -> int:
    """The index of the output that holds the scores.

    `outputs` are pairs of (name, shape). A single output is taken. Of several, the one with the
    shape [batch, classes] is taken; of several of those, the first whose name is usual for scores.
    Raises ModelError, with a list of the outputs, if none is left.
    """
    indices = list(range(len(outputs)))
    fitting = [index for index in indices if len(indices) == 1 or _is_row(outputs[index][1])]
    named = [
        index for word in _SCORE_NAMES for index in fitting if word in outputs[index][0].lower()
    ]
    if len(fitting) != 1 and not named:
        listed = ", ".join(f"{name!r} {shape_text(shape)}" for name, shape in outputs)
        raise ModelError(
            f"which of the outputs holds the classes is unclear: {listed}; "
            "export the model with one output [batch, classes]"
        )
    return fitting[0] if len(fitting) == 1 else named[0]


def class_rows(
    raw: Shaped[np.ndarray, "..."], images: int, name: str
) -> Num[np.ndarray, "images classes"]:
    """The output as [images, classes]; axes of length 1 are dropped.

    Raises ModelError naming the shape if it is not one row of scores an image, or the dtype if it
    is not one of scores.
    """
    if raw.dtype.name not in _READABLE:
        raise ModelError(
            f"output {name!r} has dtype {raw.dtype.name}; a classifier's scores are one of "
            f"{', '.join(_READABLE)}: export the model with its scores as output"
        )
    wide = [size for size in raw.shape[1:] if size != 1]
    if raw.ndim < 2 or raw.shape[0] != images or len(wide) > 1 or raw.size == 0:
        raise ModelError(
            f"output {name!r} has shape {shape_text(raw.shape)} for {images} picture(s); a "
            "classifier's output is [batch, classes]"
        )
    return raw.reshape(images, -1)


def real_values(
    raw: Num[np.ndarray, "rows classes"], tensor: OutputTensor
) -> Num[np.ndarray, "rows classes"]:
    """The output as real numbers; integers without a known scale are mapped to 0..1."""
    if raw.dtype.kind == "f":
        return raw
    if tensor.quantization is not None:
        return tensor.quantization.real(raw)
    zero = np.iinfo(raw.dtype).min
    return (raw.astype(np.float32) - zero) * np.float32(_step(raw, tensor))


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
    ending = tensor.ending
    if ending is not None:
        notes = _disagreement(declared, ending)
        if tensor.cut:
            return Reading(tensor, ending, "cut", notes=notes)
        note = f"the tensor before the {ending} cannot be read: logs of the probabilities taken"
        return Reading(tensor, ending, "log", _inverse(ending), (*notes, note))
    real = real_values(raw, tensor)
    step = 0.0 if raw.dtype.kind == "f" else _step(raw, tensor)
    like_softmax = _sums_to_one(real, step)
    if declared == "logits" or (declared is None and not like_softmax):
        note = "outputs look like probabilities, but model.json says logits: taken as logits"
        return Reading(tensor, "logits", "declared", notes=(note,) if like_softmax else ())
    if declared is None:
        note = "outputs look like probabilities and no softmax is in the graph: logs taken"
        return Reading(tensor, "softmax", "log", "log", (note,))
    if (declared == "softmax" and like_softmax) or (declared == "sigmoid" and _within_one(real)):
        note = f"no final {declared} found in the graph: logs of the probabilities taken"
        return Reading(tensor, declared, "log", _inverse(declared), (note,))
    note = f"model.json says {declared}, but the outputs are not probabilities: taken as logits"
    return Reading(tensor, "logits", "declared", notes=(note,))


def _is_row(shape: tuple[int | None, ...]) -> bool:
    return len(shape) >= 2 and sum(size != 1 for size in shape[1:]) <= 1


def _inverse(kind: OutputKind) -> Inverse:
    return "logit" if kind == "sigmoid" else "log"


def _disagreement(declared: OutputKind | None, ending: OutputKind) -> tuple[str, ...]:
    if declared in (None, ending):
        return ()
    return (f"model.json says output {declared}, but the graph ends in a {ending}",)


def _step(raw: Num[np.ndarray, "..."], tensor: OutputTensor) -> float:
    if tensor.quantization is not None:
        return tensor.quantization.scale
    return 1.0 / (np.iinfo(raw.dtype).max - np.iinfo(raw.dtype).min + 1)


def _floors(raw: Num[np.ndarray, "..."], tensor: OutputTensor) -> tuple[float, float]:
    """Lower bounds of a probability and of its complement before a log is taken.

    For integers it is half a quantization step. For floats it is the smallest normal number, down
    to which they keep their relative precision; for the complement, half of their spacing below 1.
    """
    if raw.dtype.kind != "f":
        half = _step(raw, tensor) / 2
        return half, half
    kind = np.finfo(raw.dtype)
    return float(kind.smallest_normal), float(kind.epsneg) / 2


def _within_one(real: Num[np.ndarray, "rows classes"]) -> bool:
    return bool(np.all((real >= -1e-6) & (real <= 1 + 1e-4)))


def _sums_to_one(real: Num[np.ndarray, "rows classes"], step: float) -> bool:
    slack = min(1e-3 + step * real.shape[1] / 2, 0.5)
    sums = real.astype(np.float64).sum(axis=1)
    return real.shape[1] > 1 and _within_one(real) and bool(np.all(np.abs(sums - 1) <= slack))
