"""The protocol of a classifier: uint8 pixels come in; logits before any softmax go out."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.types import ModelSpec


@runtime_checkable
class Model(Protocol):
    """A loaded classifier. It does its own scaling, layout, quantization and batching."""

    @property
    def spec(self) -> ModelSpec:
        """The input, output and labels of the model."""

    def logits(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images logits"]:
        """Logits of pictures decoded to `spec.input.pixels` (RGB or L, channels last)."""
