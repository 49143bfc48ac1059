"""Row numbers come in; the rows of a table, computed at first use and cached, go out."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int64


class RowCache:
    """A table whose rows are computed by `make` when they are first read.

    It takes memory for the rows that were read. Several threads may read at once.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        make: Callable[[Int64[np.ndarray, " rows"]], Float32[np.ndarray, "rows columns"]],
    ) -> None:
        self._make = make
        self._present = np.zeros(shape[0], dtype=bool)
        self._table = np.empty(shape, np.float32)

    def __call__(self, rows: Int64[np.ndarray, " rows"]) -> Float32[np.ndarray, "rows columns"]:
        """A copy of some rows, in their order."""
        missing = rows[~self._present[rows]]
        if missing.size:
            self._table[missing] = self._make(missing)
            self._present[missing] = True  # last: another thread may be reading
        return np.asarray(self._table[rows])
