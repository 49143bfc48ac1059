"""Rows of a memory map and queries come in; the exact nearest rows of each query go out."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.vectors import top_k
from lagotto.neighbors.base import StoredRows

BLOCK_BYTES = 32 * 2**20
_QUERIES_AT_ONCE = 256
CACHE_BYTES = 256 * 2**20


class ExactIndex:
    """Exact search over the rows of a memory map, by matrix products of blocks of rows.

    `rows` has shape [rows, dim] and any float type. `spans` are the ranges [first, end) of rows to
    search; None for all. If the rows fit CACHE_BYTES as float32 and `keep` is True, they are
    converted once and stay in memory. Otherwise every call reads and converts them, `block_bytes`
    at a time.
    """

    def __init__(
        self,
        rows: StoredRows,
        spans: Int64[np.ndarray, "spans 2"] | None = None,
        *,
        keep: bool = True,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._rows = rows
        self._spans = np.array([[0, len(rows)]], np.int64) if spans is None else spans
        self.count = int((self._spans[:, 1] - self._spans[:, 0]).sum())
        row_bytes = 4 * max(1, rows.shape[1])
        self._step = max(1, block_bytes // row_bytes)
        self._cached: list[tuple[Int64[np.ndarray, " block"], np.ndarray]] | None = None
        if keep and self.count * row_bytes <= CACHE_BYTES:
            self._cached = list(self._read())

    def search(
        self, queries: Float32[np.ndarray, "queries dim"], top: int
    ) -> tuple[Int64[np.ndarray, "queries top"], Float32[np.ndarray, "queries top"]]:
        """Row numbers and cosines of the `top` nearest rows, best first; see RowIndex."""
        numbers = np.empty((len(queries), 0), np.int64)
        cosines = np.empty((len(queries), 0), np.float32)
        for row_numbers, block in self._cached if self._cached is not None else self._read():
            best, block_cosines = _top_of_block(queries, block, top)
            numbers = np.concatenate([numbers, row_numbers[best]], axis=1)
            cosines = np.concatenate([cosines, block_cosines], axis=1)
            order = top_k(cosines, top)
            numbers = np.take_along_axis(numbers, order, 1)
            cosines = np.take_along_axis(cosines, order, 1)
        return numbers, cosines

    def _read(self) -> Iterator[tuple[Int64[np.ndarray, " block"], np.ndarray]]:
        """(row numbers, float32 rows) of blocks of at most `block_bytes`, in order."""
        pending: list[np.ndarray] = []
        size = 0
        for start, end in self._spans.tolist():
            for first in range(start, end, self._step):
                part = np.arange(first, min(first + self._step, end), dtype=np.int64)
                if size + len(part) > self._step:
                    yield self._block(pending)
                    pending, size = [], 0
                pending.append(part)
                size += len(part)
        if pending:
            yield self._block(pending)

    def _block(
        self, parts: list[np.ndarray]
    ) -> tuple[Int64[np.ndarray, " block"], Float32[np.ndarray, "block dim"]]:
        row_numbers = np.concatenate(parts)
        block = [self._rows[int(p[0]) : int(p[-1]) + 1].astype(np.float32) for p in parts]
        return row_numbers, np.concatenate(block)


def _top_of_block(
    queries: Float32[np.ndarray, "queries dim"], block: Float32[np.ndarray, "block dim"], top: int
) -> tuple[Int64[np.ndarray, "queries top"], Float32[np.ndarray, "queries top"]]:
    """Positions in the block and cosines of each query's best rows, 256 queries at a time."""
    positions, cosines = [], []
    for start in range(0, max(len(queries), 1), _QUERIES_AT_ONCE):
        scores = queries[start : start + _QUERIES_AT_ONCE] @ block.T
        positions.append(top_k(scores, top))
        cosines.append(np.take_along_axis(scores, positions[-1], 1))
    return np.concatenate(positions), np.concatenate(cosines)
