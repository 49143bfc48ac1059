"""The protocol of an image-text encoder: uint8 pixels or texts in, unit embeddings out."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.errors import UsageError
from lagotto.core.types import EncoderInfo


@runtime_checkable
class Encoder(Protocol):
    """Both towers of a dual encoder. Rows are unit length; a row depends on its own input alone."""

    @property
    def info(self) -> EncoderInfo:
        """Identity and what callers must know to feed it."""

    def embed_pixels(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images dim"]:
        """Embeddings of pictures already decoded to `info.pixels` (see core.images)."""

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """Embeddings of texts as given (no prompt is added); longer ones are cut at the context."""

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before any cut, special tokens included."""


def check_pixels(pixels: np.ndarray, info: EncoderInfo) -> None:
    """Raises UsageError unless these are pictures as the encoder takes them."""
    wanted = info.pixels.shape
    if pixels.dtype != np.uint8 or pixels.shape[1:] != wanted:
        raise UsageError(
            f"pixels of type {pixels.dtype} and shape {pixels.shape}; encoder "
            f"{info.name!r} takes uint8 of shape (images, {', '.join(map(str, wanted))})"
        )
