"""An encoder comes in; one that many threads may call, and that is loaded once, goes out."""

from collections.abc import Callable, Sequence
from threading import RLock

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.types import EncoderInfo
from lagotto.encoders.base import Encoder


class SharedEncoder:
    """An encoder that is loaded at its first use and called by one thread at a time.

    Args:
        load: Loads it.
    """

    def __init__(self, load: Callable[[], Encoder]) -> None:
        self._load = load
        self._loaded: Encoder | None = None
        self._lock = RLock()

    def _encoder(self) -> Encoder:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    @property
    def info(self) -> EncoderInfo:
        """The name, the fingerprint, and what a caller needs to prepare inputs."""
        with self._lock:
            return self._encoder().info

    def embed_pixels(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images dim"]:
        """Embeddings of pictures that are decoded to `info.pixels`."""
        with self._lock:
            return self._encoder().embed_pixels(pixels)

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """Embeddings of texts, without any prompt."""
        with self._lock:
            return self._encoder().embed_texts(texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text before truncation."""
        with self._lock:
            return self._encoder().token_counts(texts)
