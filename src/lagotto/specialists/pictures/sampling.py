"""The pictures of a query come in; a sample of different pictures, with embeddings, goes out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.types import PixelSpec
from lagotto.encoders.base import Encoder
from lagotto.specialists.pictures.pixel_batches import (
    PixelBatch,
    PixelStage,
    SeenImages,
)

SAMPLE_PICTURES = 256
"""Different pictures on which models are compared, at most."""

MAX_PICTURES_READ = 2 * SAMPLE_PICTURES
"""Pictures that are read to find different ones, at most: a query may contain copies."""

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class SampleResult:
    """The pictures on which models were selected, by their position in the query.

    `rows` has the row of each picture in `embeddings` (the encoder's) and `logits` (of each
    selected model); equal pictures share a row. `unreadable` says why a picture has no row.
    """

    rows: Mapping[int, int]
    unreadable: Mapping[int, str]
    embeddings: Float32[np.ndarray, "different dim"]
    logits: Mapping[str, Float64[np.ndarray, "different outputs"]]


class PictureSample:
    """A sample of a query that grows step by step.

    A copy of an earlier picture is no new evidence: it shares the row of the first.
    """

    def __init__(self, stage: PixelStage, encoder: Encoder) -> None:
        self._stage = stage
        self._encoder = encoder
        self._seen_images = SeenImages()
        self._positions: Iterator[int] = islice(sample_positions(stage.pictures), MAX_PICTURES_READ)
        self._rows: dict[int, int] = {}
        self._unreadable: dict[int, str] = {}
        self._embeddings = np.empty((0, encoder.info.dim), np.float32)

    @property
    def embeddings(self) -> Float32[np.ndarray, "different dim"]:
        """The embeddings of the sample so far."""
        return self._embeddings

    def load(self, limit: int, specs: Iterable[PixelSpec]) -> PixelBatch:
        """Loads up to `limit` more different pictures; none if the sample is complete."""
        remaining = min(limit, SAMPLE_PICTURES - len(self._seen_images.row_of))
        batch = self._stage.load(
            self._positions if remaining else (), specs, remaining, self._seen_images
        )
        self._rows |= batch.rows
        self._unreadable |= batch.unreadable
        return batch

    def embed(self, batch: PixelBatch) -> None:
        """Embeds a loaded batch; batches must be embedded in the order of loading."""
        new = self._stage.embed(self._encoder, batch)
        self._embeddings = np.concatenate([self._embeddings, new])

    def with_logits(
        self, logits: Mapping[str, Float64[np.ndarray, "different outputs"]]
    ) -> SampleResult:
        """The sample so far, with the logits of the selected models."""
        return SampleResult(self._rows, self._unreadable, self._embeddings, logits)


def sample_positions(pictures: int) -> Iterator[int]:
    """All positions of a query, each once, so that every prefix is spread evenly over the query.

    Successive positions differ by the golden ratio of the length, so a periodic order of the
    pictures does not bias the sample.

    >>> list(sample_positions(5))
    [0, 2, 4, 1, 3]
    """
    return iter(np.argsort((np.arange(pictures) * _GOLDEN) % 1, kind="stable").tolist())
