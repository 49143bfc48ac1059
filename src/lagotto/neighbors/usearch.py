"""Rows of a memory map and queries come in; their approximate nearest rows go out (HNSW, usearch).

This is the only file that imports usearch. A process that loads usearch (2.26, Linux wheel) before
onnxruntime crashes when it loads onnxruntime. The other order works, so onnxruntime comes first
here.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime  # noqa: F401  # before usearch, see above
from jaxtyping import Float32, Int64
from usearch.index import Index

from lagotto.core.errors import HubError
from lagotto.neighbors.base import StoredRows
from lagotto.neighbors.exact import ExactIndex
from lagotto.neighbors.rescoring import best_candidates

CONNECTIVITY = 16
EXPANSION_ADD = 128
EXPANSION_SEARCH = 512
"""Candidates that a search considers, at least `top`; a higher value means more recall and time."""

_ROWS_AT_ONCE = 4_096
_GATHER_BYTES = 32 * 2**20


class UsearchIndex:
    """Approximate search over the rows of a memory map; the cosines are computed exactly.

    The graph holds a float16 copy of the rows. One thread builds it, so that the same rows give the
    same file.
    """

    def __init__(self, rows: StoredRows, spans: Int64[np.ndarray, "spans 2"], graph: Index) -> None:
        self._rows = rows
        self._spans = spans
        self._graph = graph

    @classmethod
    def build(
        cls,
        rows: StoredRows,
        spans: Int64[np.ndarray, "spans 2"],
        advance: Callable[[int], None],
    ) -> "UsearchIndex":
        """Builds the index in memory; `advance` is called with the number of rows just added."""
        graph = Index(
            ndim=rows.shape[1],
            metric="cos",
            dtype="f16",
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        )
        for start, end in spans.tolist():
            for first in range(start, end, _ROWS_AT_ONCE):
                last = min(first + _ROWS_AT_ONCE, end)
                block = np.ascontiguousarray(rows[first:last], np.float16)
                graph.add(np.arange(first, last, dtype=np.uint64), block, threads=1)
                advance(last - first)
        return cls(rows, spans, graph)

    @classmethod
    def open(
        cls, path: Path, rows: StoredRows, spans: Int64[np.ndarray, "spans 2"]
    ) -> "UsearchIndex":
        """Opens a file that `save` wrote, as a memory map.

        Raises HubError for a file that is no index, or that is over other rows.
        """
        try:
            graph = Index.restore(path, view=True)
        except (RuntimeError, ValueError, OSError) as error:
            raise HubError(f"{path} is no usearch index: {error}; build it again") from error
        if graph is None:
            raise HubError(f"no usearch index at {path}; build it again")
        graph.expansion_search = EXPANSION_SEARCH  # kept in no file
        opened = cls(rows, spans, graph)
        expected = int((spans[:, 1] - spans[:, 0]).sum())
        if (opened.count, graph.ndim) != (expected, rows.shape[1]):
            raise HubError(
                f"{path} holds {opened.count} rows of {graph.ndim} numbers, the store {expected} "
                f"of {rows.shape[1]}; build it again"
            )
        return opened

    @property
    def count(self) -> int:
        """Number of rows in the graph."""
        return len(self._graph)

    @property
    def parameters(self) -> dict[str, str | int]:
        """The settings of the graph and of the search."""
        return {
            "metric": "cos",
            "dtype": "f16",
            "connectivity": CONNECTIVITY,
            "expansion_add": EXPANSION_ADD,
            "expansion_search": EXPANSION_SEARCH,
        }

    def save(self, path: Path) -> None:
        """Writes the graph to `path`; HubError if it cannot be written."""
        try:
            self._graph.save(str(path))
        except RuntimeError as error:
            raise HubError(
                f"cannot write {path}: {error}; free space or check the folder"
            ) from error

    def search(
        self, queries: Float32[np.ndarray, "queries dim"], top: int
    ) -> tuple[Int64[np.ndarray, "queries top"], Float32[np.ndarray, "queries top"]]:
        """Row numbers and exact cosines of nearly the `top` nearest rows; see RowIndex.

        If the graph reaches fewer than `top` rows for a query, the exact search is used for it.
        """
        top = min(top, self.count)
        numbers = np.zeros((len(queries), top), np.int64)
        cosines = np.zeros((len(queries), top), np.float32)
        if not numbers.size:
            return numbers, cosines
        step = max(1, _GATHER_BYTES // (4 * top * queries.shape[1]))
        short = []
        for start in range(0, len(queries), step):
            part = queries[start : start + step]
            for i, candidates in enumerate(self._candidates(part, top), start):
                if len(candidates) < top:
                    short.append(i)
                    continue
                numbers[i], cosines[i] = best_candidates(
                    queries[i], candidates, self._rows[candidates], top
                )
        if short:
            exact = ExactIndex(self._rows, self._spans, keep=False)
            numbers[short], cosines[short] = exact.search(queries[short], top)
        return numbers, cosines

    def _candidates(
        self, queries: Float32[np.ndarray, "queries dim"], top: int
    ) -> list[Int64[np.ndarray, " candidates"]]:
        """The row numbers that the graph returns for each query, ascending, each once."""
        matches = self._graph.search(queries, top)
        if len(queries) == 1:
            return [np.unique(matches.keys.astype(np.int64))]
        rows = zip(matches.keys.astype(np.int64), matches.counts.tolist(), strict=True)
        return [np.unique(keys[:count]) for keys, count in rows]
