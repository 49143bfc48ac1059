"""A query → the different pictures on which models are compared, and what is known of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.types import PixelSpec
from lagotto.encoders.base import Encoder
from lagotto.specialists.pixel_batches import (
    PixelBatch,
    PixelStage,
    SeenImages,
)

SAMPLE_PICTURES = 256
"""Different pictures that models are compared on, at most."""

MOST_READ = 2 * SAMPLE_PICTURES
"""Pictures that are read to find them, at most: in a query that repeats itself there are fewer."""

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class Sampled:
    """The pictures that were looked at to choose models, by their place in the query.

    `embeddings` are the encoder's; `logits` are those of the chosen models, in the same order;
    `rows` has the row of each picture; pictures that are the same share one. Those that cannot be
    read have their reason in `unreadable`, and no row.
    """

    rows: Mapping[int, int]
    unreadable: Mapping[int, str]
    embeddings: Float32[np.ndarray, "different dim"]
    logits: Mapping[str, Float64[np.ndarray, "different outputs"]]


class PictureSample:
    """A sample of a query that grows as it is looked at. A picture that was there is no evidence
    a second time: it has the row of the first."""

    def __init__(self, desk: PixelStage, encoder: Encoder) -> None:
        self._desk = desk
        self._encoder = encoder
        self._shown = SeenImages()
        self._places: Iterator[int] = islice(sample_places(desk.pictures), MOST_READ)
        self._rows: dict[int, int] = {}
        self._unreadable: dict[int, str] = {}
        self._embeddings = np.empty((0, encoder.info.dim), np.float32)

    @property
    def embeddings(self) -> Float32[np.ndarray, "different dim"]:
        """Of the pictures that were embedded so far."""
        return self._embeddings

    def look(self, most: int, specs: Iterable[PixelSpec]) -> PixelBatch:
        """At most so many different pictures more, none if the sample is whole."""
        left = min(most, SAMPLE_PICTURES - len(self._shown.row_of))
        looked = self._desk.look(self._places if left else (), specs, left, self._shown)
        self._rows |= looked.rows
        self._unreadable |= looked.unreadable
        return looked

    def embed(self, looked: PixelBatch) -> None:
        """Adds the embeddings of pictures that were looked at, in the order in which they were."""
        new = self._desk.embed(self._encoder, looked)
        self._embeddings = np.concatenate([self._embeddings, new])

    def with_logits(
        self, logits: Mapping[str, Float64[np.ndarray, "different outputs"]]
    ) -> Sampled:
        """The sample as it is by now, with what the chosen models say of it."""
        return Sampled(self._rows, self._unreadable, self._embeddings, logits)


def sample_places(pictures: int) -> Iterator[int]:
    """All places of a query, each once; however many are taken, they are spread evenly over it.

    Steps are of the golden section, which no pattern in the order of the pictures has.

    >>> list(sample_places(5))
    [0, 2, 4, 1, 3]
    """
    return iter(np.argsort((np.arange(pictures) * _GOLDEN) % 1, kind="stable").tolist())
