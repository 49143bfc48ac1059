"""The protocols of an index: unit queries come in; row numbers and exact cosines go out."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64


@runtime_checkable
class StoredRows(Protocol):
    """Rows of floats of one length: an array, a memory map, or rows that a server holds.

    What is read of them, by a slice or by an array of row numbers, is an array.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, dim)."""

    def __len__(self) -> int:
        """How many rows."""

    def __getitem__(self, key: Any, /) -> Any:
        """The rows of a slice or of an array of row numbers, as an array."""


@runtime_checkable
class RowIndex(Protocol):
    """Finds the rows nearest to queries. Rows and queries have unit length.

    An approximate index may miss a row, but the cosines that it returns are exact.
    """

    @property
    def count(self) -> int:
        """Number of rows in the index."""

    def search(
        self, queries: Float32[np.ndarray, "queries dim"], top: int
    ) -> tuple[Int64[np.ndarray, "queries top"], Float32[np.ndarray, "queries top"]]:
        """Row numbers and cosines of the `top` nearest rows, best first.

        Of equal rows the one with the lower number comes first. No row comes twice. There are fewer
        than `top` columns only if the index has fewer rows.
        """


@runtime_checkable
class SavedRowIndex(RowIndex, Protocol):
    """A RowIndex that can be saved to a file; the file does not hold the rows."""

    def save(self, path: Path) -> None:
        """Writes the file that `open_index` of the registry reads; HubError if that fails."""

    @property
    def parameters(self) -> dict[str, str | int]:
        """The settings that it was built with, for the record beside the file."""
