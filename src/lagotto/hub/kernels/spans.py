"""Tables of logits as they lie on disk come in; those of a hub that was made at once go out.

A hub grows by segments, and the columns of one model are not always beside those of the next. But a
matrix product rounds a column's sum by the column's place in the matrix. So that what a hub answers
depends on its models alone, such products are taken over the blocks of a hub that was made at once:
a block that lies in one table is read there, another is put together from its parts.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Int8, Int64
from numpy.lib.stride_tricks import as_strided

from lagotto.hub.kernels.kernel import Table

LOGITS_AT_ONCE = 65_536
"""Whole models make up a block of at most so many logits; a wider model has one to itself."""


def block_ends(firsts: Int64[np.ndarray, " models"], logits: int) -> list[int]:
    """Where each block of a hub that was made at once ends, by the first columns of its models."""
    borders, ends, start = np.append(firsts, logits), [], 0
    while start < logits:
        last = int(np.searchsorted(borders, start + LOGITS_AT_ONCE, side="right")) - 1
        end = int(borders[last])
        if end <= start:  # one model that is wider
            end = int(borders[last + 1])
        ends.append(end)
        start = end
    return ends


def split_range(widths: Sequence[int], first: int, last: int) -> Iterator[tuple[int, slice]]:
    """The tables that hold the columns from `first` to `last`, and their own columns in each."""
    ends = np.cumsum(widths)
    table = int(np.searchsorted(ends, first, side="right"))
    while first < last:
        start = int(ends[table]) - widths[table]
        end = min(last, int(ends[table]))
        yield table, slice(first - start, end - start)
        first, table = end, table + 1


def join_columns(tables: Sequence[Table], first: int, last: int) -> Table:
    """Values and steps of the columns from `first` to `last`; a copy if they lie in several."""
    parts = [
        (tables[table][0][:, part], tables[table][1][part])
        for table, part in split_range([steps.size for _, steps in tables], first, last)
    ]
    if len(parts) == 1:
        return parts[0]
    values, steps = zip(*parts, strict=True)
    return np.concatenate(values, axis=1), np.concatenate(steps)


def whole_tables(tables: Sequence[Table], ends: Sequence[int]) -> Iterator[Table]:
    """Values and steps of each block that ends at one of `ends`."""
    for first, last in pairwise([0, *ends]):
        yield join_columns(tables, first, last)


def as_whole_rows(values: Int8[np.ndarray, "probes columns"]) -> Int8[np.ndarray, "probes width"]:
    """The rows of the table that some columns are a part of, from the first of these on.

    Compiled code reads tables whose rows follow each other. Only these columns may be read.
    """
    if values.flags.c_contiguous:
        return values
    return np.asarray(as_strided(values, (len(values), values.strides[0]), writeable=False))
