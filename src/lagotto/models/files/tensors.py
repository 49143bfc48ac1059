"""Descriptions of the input and output tensors of a model, common to all frameworks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Num

from lagotto.core.types import InputDtype, OutputKind

INTEGERS: tuple[InputDtype, ...] = ("uint8", "int8", "int32", "int64")
"""The types of input that take pixels as they are."""


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
    """The input tensor as the file declares it; an open dimension is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: InputDtype
    quantization: Quantization | None = None


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """The tensor that is read as the output.

    `ending` is the activation at the end of the graph, None if there is none. `cut` is True if the
    tensor before that activation is read instead of the published output. If it is not cut, the
    values are the probabilities times `gain`, in steps of `step` (as probabilities; 0 if they are
    not rounded), or their logs if `is_log`.
    """

    name: str
    ending: OutputKind | None
    cut: bool
    quantization: Quantization | None = None
    gain: float = 1.0
    step: float = 0.0
    is_log: bool = False


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape for an error message: [?, 224, 224, 3]."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
