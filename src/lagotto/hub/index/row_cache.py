"""Between search and blocks: rows of a table that are made when first asked for, and then kept."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int64


class RowCache:
    """A table whose rows `make` makes, each when it is first asked for.

    It takes memory for the rows that were asked. Threads may ask at once.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        make: Callable[[Int64[np.ndarray, " asked"]], Float32[np.ndarray, "asked columns"]],
    ) -> None:
        self._make = make
        self._made = np.zeros(shape[0], dtype=bool)
        self._table = np.empty(shape, np.float32)

    def __call__(self, asked: Int64[np.ndarray, " asked"]) -> Float32[np.ndarray, "asked columns"]:
        """The rows asked for, in that order."""
        missing = asked[~self._made[asked]]
        if missing.size:
            self._table[missing] = self._make(missing)
            self._made[missing] = True  # last: another thread may be looking
        return np.asarray(self._table[asked])
