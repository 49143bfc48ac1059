"""Queries come in; the nearest rows that a server's index finds go out, scored again exactly."""

from dataclasses import dataclass
from typing import LiteralString

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.neighbors.rescoring import best_candidates
from lagotto.zeroshot.captions.server.psycopg_session import (
    AnswerRow,
    Session,
    array_of,
    half_vector,
)
from lagotto.zeroshot.nearest import StorePart

LEAST_EXPANSION, MOST_EXPANSION = 400, 1_000
"""Candidates that the index keeps while it searches: hnsw.ef_search, of which 1,000 is the most."""

_MORE = 0.25
"""Candidates beyond those asked for, as a share: exact scores may order them otherwise."""

_QUERIES_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class SearchTexts:
    """The statements of a search: by the index, and exact. Both take the query and a number.

    The exact one computes with the query in single precision, the index with half of that.
    """

    by_index: LiteralString
    exact: LiteralString


SEARCHES: dict[StorePart, SearchTexts] = {
    "pictures": SearchTexts(
        "SELECT number, embedding FROM {schema}.pictures ORDER BY embedding <#> %s LIMIT %s",
        "SELECT number, embedding FROM {schema}.pictures WHERE number < %s "
        "ORDER BY embedding::vector <#> %s::vector, number LIMIT %s",
    ),
    "captions": SearchTexts(
        "SELECT number, embedding FROM {schema}.captions ORDER BY embedding <#> %s LIMIT %s",
        "SELECT number, embedding FROM {schema}.captions WHERE number < %s "
        "ORDER BY embedding::vector <#> %s::vector, number LIMIT %s",
    ),
    "text_only": SearchTexts(
        "SELECT number, embedding FROM {schema}.captions WHERE picture IS NULL "
        "ORDER BY embedding <#> %s LIMIT %s",
        "SELECT number, embedding FROM {schema}.captions WHERE picture IS NULL AND number < %s "
        "ORDER BY embedding::vector <#> %s::vector, number LIMIT %s",
    ),
}
"""The searches by the parts of a store; see `StorePart`."""


class ServerSearch:
    """A `RowIndex` over a part of the rows of a store on a server.

    Args:
        session: The connection.
        texts: The statements.
        rows: (rows of the part, rows of the table when the store was opened, dim).
        indexed: Whether the server has an index over them; without one the search is exact.
    """

    def __init__(
        self, session: Session, texts: SearchTexts, rows: tuple[int, int, int], indexed: bool
    ) -> None:
        self._session = session
        self._texts = texts
        self.count, self._end, self._dim = rows
        self._indexed = indexed

    def search(
        self, queries: Float32[np.ndarray, "queries dim"], top: int
    ) -> tuple[Int64[np.ndarray, "queries top"], Float32[np.ndarray, "queries top"]]:
        """AnswerRow numbers and exact cosines of nearly the `top` nearest rows; see RowIndex.

        If the index reaches fewer than `top` rows for a query, the exact search is used for it.
        """
        top = min(top, self.count)
        numbers = np.zeros((len(queries), top), np.int64)
        cosines = np.zeros((len(queries), top), np.float32)
        if not numbers.size:
            return numbers, cosines
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = queries[start : start + _QUERIES_AT_ONCE]
            for i, (found, rows) in enumerate(self._candidates(part, top), start):
                numbers[i], cosines[i] = best_candidates(queries[i], found, rows, top)
        return numbers, cosines

    def _candidates(
        self, queries: Float32[np.ndarray, "queries dim"], top: int
    ) -> list[tuple[Int64[np.ndarray, " found"], np.ndarray]]:
        """The rows that are worth scoring for each query, at least `top`."""
        limit = top + max(8, int(_MORE * top))
        if not self._indexed:
            return [self._exact(query, limit) for query in queries]
        expansion = min(MOST_EXPANSION, max(LEAST_EXPANSION, 2 * limit))
        answers = self._session.ask_each(
            self._texts.by_index,
            [(half_vector(query), limit) for query in queries],
            {"hnsw.ef_search": str(expansion), "enable_seqscan": "off"},
        )
        found = [self._known(answer) for answer in answers]
        return [
            each if len(each[0]) >= top else self._exact(query, limit)
            for query, each in zip(queries, found, strict=True)
        ]

    def _exact(
        self, query: Float32[np.ndarray, " dim"], limit: int
    ) -> tuple[Int64[np.ndarray, " found"], np.ndarray]:
        return self._known(self._session.ask(self._texts.exact, self._end, query.tolist(), limit))

    def _known(self, answer: list[AnswerRow]) -> tuple[Int64[np.ndarray, " found"], np.ndarray]:
        """The rows of an answer that were there when the store was opened."""
        kept = [row for row in answer if row[0] < self._end]
        numbers = np.array([row[0] for row in kept], np.int64)
        return numbers, array_of([row[1] for row in kept], self._dim)
