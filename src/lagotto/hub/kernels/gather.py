"""A few logits and the blocks come in; their values, blended values and weighted sums go out."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Int8, Int64, Integer

from lagotto.hub.kernels.dispatch import current_kernel
from lagotto.hub.kernels.kernel import Kernel, KernelName, Table, WholeTable
from lagotto.hub.kernels.pages import is_large, read_scattered, take_rows
from lagotto.hub.kernels.thread_pool import run_parallel

Positions: TypeAlias = slice | Int64[np.ndarray, " positions"]

_COLUMNS_A_BLEND = 128
_COLUMNS_A_COPY = 128
_LEAST_PARALLEL_VALUES = 20_000


def gather_values(
    tables: Sequence[Table],
    columns: Int64[np.ndarray, " columns"],
    rows: Integer[np.ndarray, " k"],
) -> tuple[Int8[np.ndarray, "k columns"], Float32[np.ndarray, " columns"]]:
    """Some logits of all tables, on some rows, as a table of their own.

    Args:
        tables: Values and steps of each block.
        columns: The logits, numbered over all tables; any order, also several times.
        rows: The probes, in the order of the rows that come back.

    Returns:
        Values and steps, which can be scanned like a block's.
    """
    values = np.empty((len(rows), len(columns)), np.int8)
    steps = np.empty(len(columns), np.float32)
    tasks = []
    for table, positions, local in split_columns([own.size for _, own in tables], columns):
        table_values, table_steps = tables[table]
        tasks.append((table_values, rows, local, values, positions))
        steps[positions] = table_steps[local]
    _run_parallel_if_large(_copy_values, tasks, values.size)
    return values, steps


def _copy_values(
    table: Int8[np.ndarray, "probes logits"],
    rows: Integer[np.ndarray, " k"],
    local: Int64[np.ndarray, " own"],
    values: Int8[np.ndarray, "k columns"],
    positions: Positions,
) -> None:
    """Writes one table's part of gathered values."""
    values[:, positions] = table[np.ix_(rows, local)]


def split_columns(
    widths: Sequence[int], columns: Int64[np.ndarray, " columns"]
) -> Iterator[tuple[int, Positions, Int64[np.ndarray, " own"]]]:
    """The columns of each table, where columns are numbered over all tables.

    Args:
        widths: How many columns each table has.
        columns: Some columns, in any order.

    Yields:
        For each table that has any: its number, the positions of its columns in `columns` (a slice
        if all ascend), and their numbers within the table.
    """
    ends = np.cumsum(widths, dtype=np.int64)
    ascending = not (columns[1:] < columns[:-1]).any()
    order = None if ascending else np.argsort(columns, kind="stable")
    ordered = columns if order is None else columns[order]
    begin = 0
    for table, end in enumerate(np.searchsorted(ordered, ends).tolist()):
        if end > begin:
            positions = slice(begin, end) if order is None else order[begin:end]
            yield table, positions, ordered[begin:end] - (int(ends[table]) - widths[table])
        begin = end


def blend_values(
    values: Int8[np.ndarray, "rows columns"],
    quantiles: Int8[np.ndarray, "columns quantiles"],
    probes: int,
    steps: Float32[np.ndarray, " columns"],
    kernel: KernelName | None = None,
) -> Float32[np.ndarray, "rows columns"]:
    """Blended descriptors of gathered values (see rank_blend.py); both kernels give the same bits.

    Args:
        values: Whole numbers of some logits on some probes.
        quantiles: The quantiles of the same logits, as whole numbers.
        probes: On how many probes the quantiles were measured.
        steps: What a whole number of each logit is worth.
        kernel: By default the compiled one if it is loaded, else numpy's.
    """
    result = np.empty(values.shape, np.float32)
    columns = values.shape[1]
    tasks = [
        (values, quantiles, steps, probes, result, first, min(first + _COLUMNS_A_BLEND, columns))
        for first in range(0, columns, _COLUMNS_A_BLEND)
    ]
    _run_parallel_if_large(current_kernel(kernel).blend, tasks, values.size)
    return result


def weighted_scores(
    tables: Sequence[WholeTable],
    columns: Int64[np.ndarray, " columns"],
    rows: Integer[np.ndarray, " k"],
    weights: Float32[np.ndarray, " k"],
    direction: Float32[np.ndarray, " dim"],
    kernel: KernelName | None = None,
    ends: Sequence[int] | None = None,
) -> tuple[Float32[np.ndarray, " columns"], Float32[np.ndarray, " columns"]]:
    """Weighted sums of some logits' blended descriptors, and their direction scores.

    Args:
        tables: All blocks.
        columns: The logits, numbered over all tables.
        rows: The probes that are weighed.
        weights: The weight of each of these probes.
        direction: A concept's direction in the encoder's space.
        kernel: By default the compiled one if it is loaded, else numpy's.
        ends: As for `dispatch.scan_sums`.

    Returns:
        The sums, and the dot product of each logit's direction with `direction`.
    """
    sums, direction_scores = np.empty((2, len(columns)), np.float32)
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    direction = np.ascontiguousarray(direction, dtype=np.float32)
    tasks, parts = [], []
    widths, used = [own[1].size for own in tables], current_kernel(kernel)
    if is_large(tables):  # what belongs to these logits alone lies apart, perhaps on the disk
        for table, _, local in split_columns(widths, columns):
            read_scattered(tables[table][2], local)
            read_scattered(tables[table][3], local)
    for positions, some in _groups(tables, widths, columns, ends, apart=used.columns_apart):
        results = np.empty(len(some), np.float32), np.empty(len(some), np.float32)
        tasks.append((used, tables, widths, some, rows, weights, direction, *results))
        parts.append(positions)
    values = len(columns) * (len(rows) + len(direction))
    _run_parallel_if_large(_weigh_group, tasks, values)
    for (*_, table_sums, table_scores), positions in zip(tasks, parts, strict=True):
        sums[positions], direction_scores[positions] = table_sums, table_scores
    return sums, direction_scores


def _weigh_group(
    kernel: Kernel,
    tables: Sequence[WholeTable],
    widths: Sequence[int],
    columns: Int64[np.ndarray, " group"],
    rows: Int64[np.ndarray, " k"],
    *others: Any,
) -> None:
    """Writes the sums and the direction scores of some logits."""
    table, local = _one_table(tables, widths, columns, rows)
    kernel.weigh(table, local, rows, *others)


def _groups(
    tables: Sequence[WholeTable],
    widths: Sequence[int],
    columns: Int64[np.ndarray, " columns"],
    ends: Sequence[int] | None,
    *,
    apart: bool,
) -> Iterator[tuple[Positions, Int64[np.ndarray, " group"]]]:
    """The logits that are weighed together: their positions in `columns`, and they themselves.

    They are those of a block. In a large hub these are copied, and the blocks are many: where a
    logit has the same bits whichever are beside it (`apart`), so many are copied at once.
    """
    if apart and is_large(tables):
        order = np.argsort(columns, kind="stable")
        for first in range(0, len(order), _COLUMNS_A_COPY):
            part = order[first : first + _COLUMNS_A_COPY]
            yield part, columns[part]
        return
    blocks = widths if ends is None else np.diff(ends, prepend=0).tolist()
    starts = np.cumsum([0, *blocks]).tolist()
    for block, positions, in_block in split_columns(blocks, columns):
        yield positions, in_block + starts[block]


def _one_table(
    tables: Sequence[WholeTable],
    widths: Sequence[int],
    columns: Int64[np.ndarray, " columns"],
    rows: Int64[np.ndarray, " k"],
) -> tuple[WholeTable, Int64[np.ndarray, " columns"]]:
    """A table that has some logits, and their columns in it; a copy if they lie in several.

    A copy has the values of some rows only. It is made of a large hub, too.
    """
    owners = list(split_columns(widths, columns))
    if len(owners) == 1 and not is_large(tables):
        table, _, local = owners[0]
        return tables[table], local
    _, _, quantiles, directions, _ = tables[0]
    probes, count = len(tables[0][0]), len(columns)
    copied: WholeTable = (
        np.zeros((probes, count), np.int8),
        np.empty(count, np.float32),
        np.empty((count, quantiles.shape[1]), np.int8),
        np.empty((count, directions.shape[1]), np.int8),
        np.empty(count, np.float32),
    )
    for table, positions, local in owners:
        values, steps, quantiles, directions, direction_steps = tables[table]
        some = np.arange(count)[positions]
        copied[0][np.ix_(rows, some)] = values[np.ix_(rows, local)]
        copied[1][some], copied[4][some] = steps[local], direction_steps[local]
        copied[2][some], copied[3][some] = take_rows(quantiles, local), take_rows(directions, local)
    return copied, np.arange(count)


def _run_parallel_if_large(
    function: Callable[..., None], tasks: Sequence[tuple[Any, ...]], values: int
) -> None:
    """Runs tasks on all cores where they read so many values that it is worth another thread."""
    if values >= _LEAST_PARALLEL_VALUES:
        run_parallel(function, tasks)
    else:
        for task in tasks:
            function(*task)
