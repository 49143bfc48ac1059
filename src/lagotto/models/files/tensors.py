"""Descriptions of the input and output tensors of a model, common to all frameworks."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Num

from lagotto.core.types import InputDtype, ModelKind, OutputKind

INTEGERS: tuple[InputDtype, ...] = ("uint8", "int8", "int32", "int64")
"""The types of input that take pixels as they are."""

SCORE_DTYPES = ("float16", "float32", "float64", "uint8", "int8", "int16")
"""numpy names of the types that scores have."""

ClassHint: TypeAlias = Literal["", "first", "last", "map"]
"""What the operators after a tensor, or the outputs beside it, say of its classes: they are the
first axis after the pictures, the last one, or those that the winner of each pixel is one of."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """An integer means `(integer - zero_point) * scale`."""

    scale: float
    zero_point: int

    def real(self, integers: Num[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        """The real values of quantized integers."""
        return (integers.astype(np.float32) - self.zero_point) * np.float32(self.scale)


@dataclass(frozen=True, slots=True)
class InputTensor:
    """The input tensor as the file declares it; an open dimension is None.

    `together` is how many pictures a run takes where the first dimension, the batch, is open.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: InputDtype
    quantization: Quantization | None = None
    together: int = 1


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """The tensor that is read as the output.

    `ending` is the activation at the end of the graph, None if there is none. `cut` is True if the
    tensor before that activation is read instead of the published output. If it is not cut, the
    values are the probabilities times `gain`, in steps of `step` (as probabilities; 0 if they are
    not rounded), or their logs if `is_log`. `is_row` is True if the file publishes one row
    of scores a picture. For many boxes or pixels, `class_hint` is what it says of the classes.
    `kind` is what the model is, if a row of scores does not say so.
    """

    name: str
    ending: OutputKind | None
    cut: bool
    quantization: Quantization | None = None
    gain: float = 1.0
    step: float = 0.0
    is_log: bool = False
    is_row: bool = True
    class_hint: ClassHint = ""
    kind: ModelKind = "classifier"


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape for an error message: [?, 224, 224, 3]."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def real_values(raw: Num[np.ndarray, "*shape"], tensor: OutputTensor) -> Num[np.ndarray, "*shape"]:
    """The output as real numbers; integers without a known scale are mapped to 0..1.

    Integers that the graph itself scaled, such as rounded percentages, stay as they are.
    """
    if raw.dtype.kind == "f":
        return raw
    if tensor.quantization is not None:
        return tensor.quantization.real(raw)
    if tensor.gain != 1:
        return raw.astype(np.float32)
    zero = np.iinfo(raw.dtype).min
    return (raw.astype(np.float32) - zero) * np.float32(quantization_step(raw, tensor))


def quantization_step(raw: Num[np.ndarray, "..."], tensor: OutputTensor) -> float:
    """The distance of two neighbouring integers of an output, as real numbers."""
    if tensor.quantization is not None:
        return tensor.quantization.scale
    return 1.0 / (np.iinfo(raw.dtype).max - np.iinfo(raw.dtype).min + 1)
