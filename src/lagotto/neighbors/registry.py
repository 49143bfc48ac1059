"""Approximate indexes by name: where each adapter lives and the extra that installs it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64

from lagotto.core.registry import Adapter, load_adapter
from lagotto.neighbors.base import SavedRowIndex

DEFAULT_INDEX = "usearch"
INDEX_ADAPTERS = {
    DEFAULT_INDEX: Adapter("lagotto.neighbors.usearch", "UsearchIndex", "usearch", "ann")
}
"""Every adapter class has `build(rows, spans, advance)` and `open(path, rows, spans)`."""

_WHAT = "approximate index"


def build_index(
    name: str,
    rows: Float[np.ndarray, "rows dim"],
    spans: Int64[np.ndarray, "spans 2"],
    advance: Callable[[int], None],
) -> SavedRowIndex:
    """A new index over ranges of unit rows; `advance` is told of rows as they are done.

    Raises UsageError for an unknown name, MissingExtraError where its package is not installed.
    """
    index: SavedRowIndex = load_adapter(INDEX_ADAPTERS, name, _WHAT).build(rows, spans, advance)
    return index


def open_index(
    name: str,
    path: Path,
    rows: Float[np.ndarray, "rows dim"],
    spans: Int64[np.ndarray, "spans 2"],
) -> SavedRowIndex:
    """The index in a file, over the same rows as it was built from; errors as of `build_index`.

    Raises HubError for a file that the adapter did not write, or over other rows.
    """
    index: SavedRowIndex = load_adapter(INDEX_ADAPTERS, name, _WHAT).open(path, rows, spans)
    return index
