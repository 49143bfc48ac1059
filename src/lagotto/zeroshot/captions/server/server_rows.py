"""A table with embeddings on a server comes in; rows of it go out, fetched when asked for."""

from typing import Any, LiteralString

import numpy as np
from jaxtyping import Float16, Int64

from lagotto.zeroshot.captions.server.psycopg_session import Session, array_of

_ROWS_AT_ONCE = 8_192


class ServerRows:
    """The first rows of a table, as `StoredRows`: slices and arrays of row numbers give arrays.

    Args:
        session: The connection.
        statement: A SELECT of (number, embedding) of the rows whose numbers are in one parameter.
        shape: (rows, dim).
    """

    dtype = np.dtype(np.float16)

    def __init__(self, session: Session, statement: LiteralString, shape: tuple[int, int]) -> None:
        self._session = session
        self._statement = statement
        self.shape = shape
        self._samples: dict[tuple[int, int, int], Float16[np.ndarray, "rows dim"]] = {}

    def __len__(self) -> int:
        """How many rows."""
        return self.shape[0]

    def __getitem__(self, key: Any, /) -> Any:
        """The rows of a slice, or of an array of row numbers or of truth values.

        Every n-th row, a sample of the store from which means are taken, is fetched once.
        """
        if not isinstance(key, slice):
            numbers = np.asarray(key)
            return self._fetch(np.flatnonzero(numbers) if numbers.dtype == bool else numbers)
        wanted = key.indices(len(self))
        numbers = np.arange(*wanted, dtype=np.int64)
        if wanted[2] == 1:
            return self._fetch(numbers)
        if wanted not in self._samples:
            self._samples[wanted] = self._fetch(numbers)
        return self._samples[wanted]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All rows."""
        return np.asarray(self[:], dtype)

    def _fetch(self, numbers: Int64[np.ndarray, " rows"]) -> Float16[np.ndarray, "rows dim"]:
        unique, places = np.unique(numbers, return_inverse=True)
        if len(unique) and not 0 <= unique[0] <= unique[-1] < len(self):
            raise IndexError(f"rows {unique[0]} to {unique[-1]} of {len(self)}")
        parts = [
            self._rows(unique[start : start + _ROWS_AT_ONCE])
            for start in range(0, len(unique), _ROWS_AT_ONCE)
        ]
        rows = np.concatenate(parts or [np.empty((0, self.shape[1]), np.float16)])
        return rows[places.reshape(-1)]

    def _rows(self, unique: Int64[np.ndarray, " rows"]) -> Float16[np.ndarray, "rows dim"]:
        answer = self._session.ask(self._statement, unique.tolist())
        by_number: dict[int, Any] = dict(answer)
        missing = [number for number in unique.tolist() if number not in by_number]
        if missing:
            raise self._session.altered(f"row {missing[0]} is gone")
        return array_of([by_number[number] for number in unique.tolist()], self.shape[1])
