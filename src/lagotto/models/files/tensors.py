"""What a model file says of the tensors at its two ends, whatever the framework."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Num

from lagotto.core.types import InputDtype, OutputKind


@dataclass(frozen=True, slots=True)
class Quantization:
    """Integers stand for `(integer - zero_point) * scale`."""

    scale: float
    zero_point: int

    def real(self, integers: Num[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        """The values that the integers stand for."""
        return (integers.astype(np.float32) - self.zero_point) * np.float32(self.scale)


@dataclass(frozen=True, slots=True)
class InputTensor:
    """The input as the file declares it; a dimension that is open is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: InputDtype
    quantization: Quantization | None = None


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """The tensor whose values are read.

    `ending` is the activation that the graph ends in, None if it has none. `cut` is True where
    the tensor that feeds that activation is read instead of the published output.
    """

    name: str
    ending: OutputKind | None
    cut: bool
    quantization: Quantization | None = None


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape for an error message: [?, 224, 224, 3]."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
