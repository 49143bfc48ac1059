"""Embeddings of query pictures come in; for each, the captions that will vote go out.

X-MoRe (arXiv 2308.15273), section 3.2: take the nearest stored pictures, pool their captions
without duplicates, and re-rank the pool by cosine with the query picture. Captions that have no
picture join the pool directly, by their own cosine with the query.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from lagotto.neighbors.base import RowIndex
from lagotto.zeroshot.nearest import search_of
from lagotto.zeroshot.types import Captions

NEIGHBOURS = 200
MORE_NEIGHBOURS = 1_000
RETRIEVAL_POOL = 128
"""Captions that are re-ranked; if the pool holds fewer, MORE_NEIGHBOURS are searched."""

SAME_PICTURE_COSINE = 0.9999
"""A stored picture with at least this cosine counts as the query itself and is left out. Copies of
a file reach 1, but for rounding to float16; of 2,300 photos no two different ones exceeded 0.98."""

GATE_NEIGHBOURS = 10
"""Nearest pictures whose mean cosine is `Retrieval.neighbour_similarity`."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The captions of each query picture, best first, and how near the store is to the picture.

    Where a picture has fewer than k captions, `indices` is -1 and `present` is false.
    `neighbour_similarity` is the mean cosine of the GATE_NEIGHBOURS nearest stored pictures;
    minus infinity where the store has no picture.
    """

    indices: Int64[np.ndarray, "pictures k"]
    similarities: Float32[np.ndarray, "pictures k"]
    embeddings: Float32[np.ndarray, "pictures k dim"]
    neighbour_similarity: Float64[np.ndarray, " pictures"]

    @property
    def present(self) -> Bool[np.ndarray, "pictures k"]:
        """True where a picture has a caption."""
        return self.indices >= 0

    def top_k(self, k: int) -> "Retrieval":
        """The best k captions alone, equal to a retrieval with this k."""
        return Retrieval(
            self.indices[:, :k],
            self.similarities[:, :k],
            self.embeddings[:, :k],
            self.neighbour_similarity,
        )


class Retriever:
    """Searches a store for the captions of query pictures; memory is bounded (see ExactIndex).

    The search is that of the store, exact for one in a folder, unless the caller passes approximate
    indexes: `pictures` over all pictures, `texts` over the captions without a picture.
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
        self._pictures = pictures or search_of(captions, "pictures")
        self._texts = texts or search_of(captions, "text_only")

    def retrieve(self, queries: Float32[np.ndarray, "pictures dim"], k: int) -> Retrieval:
        """The best k captions of each query picture.

        A stored copy of the query picture itself is left out, with its captions.

        Args:
            queries: Unit embeddings of the pictures, by the encoder that made the store.
            k: Captions a picture, at most.
        """
        rows, cosines = self._pictures.search(queries, NEIGHBOURS + 1)
        wide_rows, wide_cosines = rows[:0], cosines[:0]
        text_rows, _ = self._texts.search(queries, RETRIEVAL_POOL)
        results = Retrieval(
            np.full((len(queries), k), -1, np.int64),
            np.zeros((len(queries), k), np.float32),
            np.zeros((len(queries), k, queries.shape[1]), np.float32),
            np.full(len(queries), -np.inf),
        )
        for i, query in enumerate(queries):
            neighbours = rows[i][cosines[i] < SAME_PICTURE_COSINE][:NEIGHBOURS]
            near_cosines = cosines[i][cosines[i] < SAME_PICTURE_COSINE][:GATE_NEIGHBOURS]
            if len(near_cosines):
                results.neighbour_similarity[i] = float(near_cosines.mean())
            pool, embeddings = self._pool(neighbours)
            if len(pool) < RETRIEVAL_POOL and self._pictures.count > NEIGHBOURS + 1:
                if not len(wide_rows):
                    wide_rows, wide_cosines = self._pictures.search(queries, MORE_NEIGHBOURS + 1)
                neighbours = wide_rows[i][wide_cosines[i] < SAME_PICTURE_COSINE][:MORE_NEIGHBOURS]
                pool, embeddings = self._pool(neighbours)
            if text_rows.shape[1]:
                pool, embeddings = self._unique(
                    np.concatenate([pool, text_rows[i]]), 2 * RETRIEVAL_POOL
                )
            scores = embeddings.astype(np.float32) @ query
            best = np.argsort(-scores, kind="stable")[:k]
            results.indices[i, : len(best)] = pool[best]
            results.similarities[i, : len(best)] = scores[best]
            results.embeddings[i, : len(best)] = embeddings[best]
        return results

    def _pool(
        self, pictures: Int64[np.ndarray, " rows"]
    ) -> tuple[Int64[np.ndarray, " pool"], Float[np.ndarray, "pool dim"]]:
        """The first RETRIEVAL_POOL different captions of the pictures, in the pictures' order."""
        starts, counts = self._starts[pictures], self._ends[pictures] - self._starts[pictures]
        offsets = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        captions = np.repeat(starts, counts) + offsets
        unique, embeddings = self._unique(captions[: 2 * RETRIEVAL_POOL], RETRIEVAL_POOL)
        if len(unique) == RETRIEVAL_POOL or len(captions) <= 2 * RETRIEVAL_POOL:
            return unique, embeddings
        return self._unique(captions, RETRIEVAL_POOL)

    def _unique(
        self, captions: Int64[np.ndarray, " captions"], limit: int
    ) -> tuple[Int64[np.ndarray, " unique"], Float[np.ndarray, "unique dim"]]:
        """The first caption of each embedding: equal texts have equal embeddings."""
        embeddings = np.ascontiguousarray(self._captions.text_embeddings[captions])
        rows = embeddings.view(np.dtype((np.void, embeddings.itemsize * embeddings.shape[1])))
        if len(set(rows[:, 0].tolist())) == len(captions):
            return captions[:limit], embeddings[:limit]
        _, positions = np.unique(rows[:, 0], return_index=True)
        keep = np.sort(positions)[:limit]
        return captions[keep], embeddings[keep]
