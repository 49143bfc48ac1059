"""The protocol of an image-text encoder: uint8 pixels or texts come in; unit embeddings go out."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.errors import UsageError
from lagotto.core.types import EncoderInfo


@runtime_checkable
class Encoder(Protocol):
    """Both towers of a dual encoder. Rows have unit length; each depends on its own input alone."""

    @property
    def info(self) -> EncoderInfo:
        """The name, the fingerprint, and what a caller needs to prepare inputs."""

    def embed_pixels(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images dim"]:
        """Embeddings of pictures already decoded to `info.pixels` (see core.images)."""

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """Embeddings of texts, without any prompt; each is truncated to the context length."""

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text before truncation, special tokens included."""


def check_pixels(pixels: np.ndarray, info: EncoderInfo) -> None:
    """Raises UsageError unless pixels have the shape and type that the encoder takes."""
    expected = info.pixels.shape
    if pixels.dtype != np.uint8 or pixels.shape[1:] != expected:
        raise UsageError(
            f"pixels of type {pixels.dtype} and shape {pixels.shape}; encoder "
            f"{info.name!r} takes uint8 of shape (images, {', '.join(map(str, expected))})"
        )
