"""The protocols of a search over rows: unit queries in, row numbers and exact cosines out."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64


@runtime_checkable
class RowIndex(Protocol):
    """Finds the rows nearest to queries. Rows and queries are unit length.

    An approximate one may miss a row; the cosines that it gives are exact all the same.
    """

    @property
    def count(self) -> int:
        """Rows that can be found."""

    def search(
        self, queries: Float32[np.ndarray, "queries dim"], top: int
    ) -> tuple[Int64[np.ndarray, "queries top"], Float32[np.ndarray, "queries top"]]:
        """Numbers and cosines of the `top` nearest rows, best first, of equals the lower number.

        No row twice; fewer columns only where there are fewer rows.
        """


@runtime_checkable
class SavedRowIndex(RowIndex, Protocol):
    """A RowIndex whose making is worth keeping; the rows themselves are kept elsewhere."""

    def save(self, path: Path) -> None:
        """Writes the file that the registry's `open_index` reads; HubError if it cannot."""

    @property
    def parameters(self) -> dict[str, str | int]:
        """What it was made with, for the record beside the file."""
