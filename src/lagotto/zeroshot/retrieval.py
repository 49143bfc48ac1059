"""Stage 3 of zero-shot classification: query pictures → the captions that will vote.

X-MoRe (arXiv 2308.15273), section 3.2: nearest pictures, their captions without duplicates,
re-ranked by cosine with the query picture. Captions without a picture are ranked directly.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from lagotto.neighbors.base import RowIndex
from lagotto.neighbors.exact import NearestRows
from lagotto.zeroshot.types import Captions

NEIGHBOURS = 200
MORE_NEIGHBOURS = 1_000
RETRIEVAL_POOL = 128
"""Captions that are re-ranked; with fewer of them MORE_NEIGHBOURS are asked."""

SAME_PICTURE = 0.9999
"""A stored picture with at least this cosine is taken for the query itself and left out. Copies of
a file reach 1 but for float16; of 2,300 photos no two different ones were above 0.98."""

REACH_NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The captions of each query picture, best first, and how near the store is to it.

    `indices` is -1 (and `there` false) where a picture has fewer than k. `reach` is the mean
    cosine of the nearest stored pictures, minus infinity where the store has none.
    """

    indices: Int64[np.ndarray, "pictures k"]
    similarities: Float32[np.ndarray, "pictures k"]
    embeddings: Float32[np.ndarray, "pictures k dim"]
    reach: Float64[np.ndarray, " pictures"]

    @property
    def there(self) -> Bool[np.ndarray, "pictures k"]:
        """True where a picture has a caption."""
        return self.indices >= 0

    def first(self, k: int) -> "Retrieved":
        """The best k alone: what a retrieval with this k gives."""
        return Retrieved(
            self.indices[:, :k], self.similarities[:, :k], self.embeddings[:, :k], self.reach
        )


class Retriever:
    """Finds captions in a store. Memory is bounded: see NearestRows.

    Exact, unless indexes are given: `pictures` over all pictures, `texts` over the captions that
    have none.
    """

    def __init__(
        self,
        captions: Captions,
        pictures: RowIndex | None = None,
        texts: RowIndex | None = None,
    ) -> None:
        self._captions = captions
        self._starts = np.asarray(captions.starts[:-1], np.int64)
        self._ends = np.asarray(captions.ends, np.int64)
        self._pictures = pictures or NearestRows(captions.image_embeddings)
        self._texts = texts or NearestRows(captions.text_embeddings, text_only_spans(captions))

    def retrieve(self, queries: Float32[np.ndarray, "pictures dim"], k: int) -> Retrieved:
        """The captions of unit query embeddings. The query picture itself never lends its own."""
        rows, cosines = self._pictures.search(queries, NEIGHBOURS + 1)
        wide_rows, wide_cosines = rows[:0], cosines[:0]
        direct, _ = self._texts.search(queries, RETRIEVAL_POOL)
        found = Retrieved(
            np.full((len(queries), k), -1, np.int64),
            np.zeros((len(queries), k), np.float32),
            np.zeros((len(queries), k, queries.shape[1]), np.float32),
            np.full(len(queries), -np.inf),
        )
        for i, query in enumerate(queries):
            others = rows[i][cosines[i] < SAME_PICTURE][:NEIGHBOURS]
            near = cosines[i][cosines[i] < SAME_PICTURE][:REACH_NEIGHBOURS]
            if len(near):
                found.reach[i] = float(near.mean())
            pool, embeddings = self._pool(others)
            if len(pool) < RETRIEVAL_POOL and self._pictures.count > NEIGHBOURS + 1:
                if not len(wide_rows):
                    wide_rows, wide_cosines = self._pictures.search(queries, MORE_NEIGHBOURS + 1)
                others = wide_rows[i][wide_cosines[i] < SAME_PICTURE][:MORE_NEIGHBOURS]
                pool, embeddings = self._pool(others)
            if direct.shape[1]:
                pool, embeddings = self._unique(
                    np.concatenate([pool, direct[i]]), 2 * RETRIEVAL_POOL
                )
            scores = embeddings.astype(np.float32) @ query
            best = np.argsort(-scores, kind="stable")[:k]
            found.indices[i, : len(best)] = pool[best]
            found.similarities[i, : len(best)] = scores[best]
            found.embeddings[i, : len(best)] = embeddings[best]
        return found

    def _pool(
        self, pictures: Int64[np.ndarray, " rows"]
    ) -> tuple[Int64[np.ndarray, " pool"], Float[np.ndarray, "pool dim"]]:
        """The first POOL different captions of pictures, nearest first, with their embeddings."""
        starts, counts = self._starts[pictures], self._ends[pictures] - self._starts[pictures]
        ranks = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        captions = np.repeat(starts, counts) + ranks
        first, embeddings = self._unique(captions[: 2 * RETRIEVAL_POOL], RETRIEVAL_POOL)
        if len(first) == RETRIEVAL_POOL or len(captions) <= 2 * RETRIEVAL_POOL:
            return first, embeddings
        return self._unique(captions, RETRIEVAL_POOL)

    def _unique(
        self, captions: Int64[np.ndarray, " captions"], most: int
    ) -> tuple[Int64[np.ndarray, " unique"], Float[np.ndarray, "unique dim"]]:
        """The first of each group of captions with one embedding: texts that agree have one."""
        embeddings = np.ascontiguousarray(self._captions.text_embeddings[captions])
        rows = embeddings.view(np.dtype((np.void, embeddings.itemsize * embeddings.shape[1])))
        first = dict.fromkeys(rows[:, 0].tolist())  # bytes of each row, in order
        if len(first) == len(captions):
            return captions[:most], embeddings[:most]
        _, places = np.unique(rows[:, 0], return_index=True)
        keep = np.sort(places)[:most]
        return captions[keep], embeddings[keep]


def text_only_spans(captions: Captions) -> Int64[np.ndarray, "spans 2"]:
    """(first, end) of the ranges of captions that have no picture."""
    starts = np.asarray(captions.starts[:-1], np.int64)
    ends = np.asarray(captions.ends, np.int64)
    first = np.concatenate([np.zeros(1, np.int64), ends])
    last = np.concatenate([starts, np.array([len(captions.text_embeddings)], np.int64)])
    spans = np.stack([first, last], axis=1)
    return spans[spans[:, 0] < spans[:, 1]]
