"""The name of an approximate index comes in; an index, built or opened, goes out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lagotto.core.registry import Adapter, load_adapter
from lagotto.neighbors.base import SavedRowIndex, StoredRows

DEFAULT_INDEX = "usearch"
INDEX_ADAPTERS = {
    DEFAULT_INDEX: Adapter("lagotto.neighbors.usearch", "UsearchIndex", "usearch", "ann")
}
"""Every adapter class has the class methods `build` and `open`; see ADDING.md."""

_WHAT = "approximate index"


def build_index(
    name: str,
    rows: StoredRows,
    spans: Int64[np.ndarray, "spans 2"],
    advance: Callable[[int], None],
) -> SavedRowIndex:
    """Builds an index over ranges of unit rows.

    Args:
        name: A name in INDEX_ADAPTERS.
        rows: Unit rows, of any float type.
        spans: The ranges [first, end) of rows to index.
        advance: Called with the number of rows that were added since the last call.

    Returns:
        The index, in memory.

    Raises:
        UsageError: The name is unknown.
        MissingExtraError: The package of the index is not installed.
    """
    index: SavedRowIndex = load_adapter(INDEX_ADAPTERS, name, _WHAT).build(rows, spans, advance)
    return index


def open_index(
    name: str,
    path: Path,
    rows: StoredRows,
    spans: Int64[np.ndarray, "spans 2"],
) -> SavedRowIndex:
    """Opens the index in a file, over the same rows and spans that it was built from.

    Raises HubError for a file that the adapter did not write or that is over other rows, and else
    as `build_index`.
    """
    index: SavedRowIndex = load_adapter(INDEX_ADAPTERS, name, _WHAT).open(path, rows, spans)
    return index
