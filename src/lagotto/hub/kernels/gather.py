"""Stage 5 of hub search: a few chosen logits × the blocks → their values, blended ones, sums.

A block is read where the logits are, by whichever kernel is loaded (see kernel.py).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Int8, Int64, Integer

from lagotto.hub.kernels.dispatch import (
    KernelName,
    Table,
    loaded,
)
from lagotto.hub.kernels.thread_pool import run_parallel

Places: TypeAlias = slice | Int64[np.ndarray, " own"]
WholeTable: TypeAlias = tuple[
    Int8[np.ndarray, "probes _"],
    Float32[np.ndarray, " _"],
    Int8[np.ndarray, "_ knots"],
    Int8[np.ndarray, "_ dim"],
    Float32[np.ndarray, " _"],
]
"""A block's values, steps, knots, directions and their steps, as blocks.py has them."""

_COLUMNS_A_BLEND = 128
_VALUES_TO_SHARE = 20_000


def gather_codes(
    tables: Sequence[Table],
    columns: Int64[np.ndarray, " columns"],
    rows: Integer[np.ndarray, " k"],
    kernel: KernelName | None = None,
) -> tuple[Int8[np.ndarray, "k columns"], Float32[np.ndarray, " columns"]]:
    """Some logits of all tables, on some rows, as a table of their own: to be scanned again.

    `columns` count over all tables. Unless `kernel` is given, it is compiled where that is loaded.
    """
    values = np.empty((len(rows), len(columns)), np.int8)
    steps = np.empty(len(columns), np.float32)
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    tasks, places = [], []
    for table, mine, local in split_columns([own.size for _, own in tables], columns):
        own_values, own_steps = tables[table]
        tasks.append((own_values, rows, local, np.empty((len(rows), len(local)), np.int8)))
        places.append(mine)
        steps[mine] = own_steps[local]
    _share_if_many(loaded(kernel).gather, tasks, values.size)
    for (*_, part), mine in zip(tasks, places, strict=True):
        values[:, mine] = part
    return values, steps


def split_columns(
    widths: Sequence[int], columns: Int64[np.ndarray, " columns"]
) -> Iterator[tuple[int, Places, Int64[np.ndarray, " own"]]]:
    """Each table that holds some of the columns, which ones (a slice if all ascend), and where."""
    ends = np.cumsum(widths, dtype=np.int64)
    ascending = not (columns[1:] < columns[:-1]).any()
    order = None if ascending else np.argsort(columns, kind="stable")
    own = columns if order is None else columns[order]
    begin = 0
    for table, end in enumerate(np.searchsorted(own, ends).tolist()):
        if end > begin:
            mine = slice(begin, end) if order is None else order[begin:end]
            yield table, mine, own[begin:end] - (int(ends[table]) - widths[table])
        begin = end


def blend_codes(
    codes: Int8[np.ndarray, "rows columns"],
    knots: Int8[np.ndarray, "columns knots"],
    probes: int,
    steps: Float32[np.ndarray, " columns"],
    kernel: KernelName | None = None,
) -> Float32[np.ndarray, "rows columns"]:
    """Blended descriptors of gathered logits (see blending.py), the same to the last bit by both.

    Unless `kernel` is given, they are compiled where that is loaded.
    """
    result = np.empty(codes.shape, np.float32)
    columns = codes.shape[1]
    tasks = [
        (codes, knots, steps, probes, result, first, min(first + _COLUMNS_A_BLEND, columns))
        for first in range(0, columns, _COLUMNS_A_BLEND)
    ]
    _share_if_many(loaded(kernel).blend, tasks, codes.size)
    return result


def weighted_scores(
    tables: Sequence[WholeTable],
    columns: Int64[np.ndarray, " columns"],
    rows: Integer[np.ndarray, " k"],
    weights: Float32[np.ndarray, " k"],
    direction: Float32[np.ndarray, " dim"],
    kernel: KernelName | None = None,
) -> tuple[Float32[np.ndarray, " columns"], Float32[np.ndarray, " columns"]]:
    """Of some logits, weighted sums of their blended descriptors and dot products of directions.

    `columns` count over all tables; `rows` are the probes that the weights are for. Unless `kernel`
    is given, it is compiled where that is loaded.
    """
    sums, along = np.empty(len(columns), np.float32), np.empty(len(columns), np.float32)
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    direction = np.ascontiguousarray(direction, dtype=np.float32)
    tasks, places = [], []
    for table, mine, local in split_columns([own[1].size for own in tables], columns):
        made = np.empty(len(local), np.float32), np.empty(len(local), np.float32)
        tasks.append((tables[table], local, rows, weights, direction, *made))
        places.append(mine)
    _share_if_many(loaded(kernel).weigh, tasks, len(columns) * (len(rows) + len(direction)))
    for (*_, own_sums, own_along), mine in zip(tasks, places, strict=True):
        sums[mine], along[mine] = own_sums, own_along
    return sums, along


def _share_if_many(
    function: Callable[..., None], tasks: Sequence[tuple[Any, ...]], values: int
) -> None:
    """On all cores from so many values that another thread is quicker there than it comes."""
    if values >= _VALUES_TO_SHARE:
        run_parallel(function, tasks)
    else:
        for task in tasks:
            function(*task)
