"""Stage 5 of hub search: a query's k probes × descriptor blocks → its distance to every logit.

A scan reads k rows of each block once: distances (the paper's rule) or weighted sums (the default
rule). Of the few logits that it finds, more is read: `gather`, `blend`, `along`. Two kernels give
the same: numpy, and a compiled one. What is made of their answers is in selection.py.
"""

import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Int8, Int64, Integer

from lagotto.core.errors import MissingExtraError
from lagotto.hubsearch import numpy_kernel
from lagotto.hubsearch.shared_work import share_out

KernelName: TypeAlias = Literal["numpy", "numba"]
Table: TypeAlias = tuple[Int8[np.ndarray, "probes _"], Float32[np.ndarray, " _"]]
Directions: TypeAlias = tuple[Int8[np.ndarray, "_ dim"], Float32[np.ndarray, " _"]]
Fill: TypeAlias = Callable[
    [
        Int8[np.ndarray, "probes logits"],
        Float32[np.ndarray, " logits"],
        Int64[np.ndarray, " k"],
        Float32[np.ndarray, " k"],
        Float32[np.ndarray, " logits"],
        int,
        int,
    ],
    None,
]
Places: TypeAlias = slice | Int64[np.ndarray, " own"]

# Loading the compiled kernel takes about 0.6 s, in which numpy scans about this many values (k x
# logits). A process loads it once it has scanned so many: it never waits more than twice the best.
NUMPY_VALUES_BEFORE_NUMBA = 600_000_000

_COLUMNS_A_TASK = 65_536
_COLUMNS_A_BLEND = 128
_VALUES_TO_SHARE = 20_000


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The two scans of one implementation, and how it reads chosen logits."""

    distances: Fill
    sums: Fill
    gather: Callable[..., None]
    blend: Callable[..., None]
    along: Callable[..., None]


@dataclass(slots=True)
class _State:
    """What this process has scanned so far, and the compiled kernel once it is loaded."""

    values: int = 0
    compiled: _Kernel | None = None
    absent: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


_state = _State()


def scan(
    tables: Sequence[Table],
    probes: Integer[np.ndarray, " k"],
    query: Float32[np.ndarray, " k"],
    kernel: KernelName | None = None,
) -> Float32[np.ndarray, " logits"]:
    """Distances sqrt(sum_j (query_j - step * value_j)^2) to the logits of all tables, in order.

    A table is a block's (values, steps), both C-contiguous; `probes` are the rows that count and
    `query` the query's values there. A logit of step zero is flawed: its distance is infinite.
    Unless `kernel` is given, how much this process has scanned decides it (see
    NUMPY_VALUES_BEFORE_NUMBA). Raises MissingExtraError for a "numba" that cannot be loaded.
    """
    logits = sum(steps.size for _, steps in tables)
    return _scan(tables, probes, query, _kernel_for(kernel, len(probes) * logits).distances)


def scan_sums(
    tables: Sequence[Table],
    probes: Integer[np.ndarray, " k"],
    weights: Float32[np.ndarray, " k"],
    kernel: KernelName | None = None,
) -> Float32[np.ndarray, " logits"]:
    """Weighted sums sum_j weight_j * step * value_j of the logits of all tables, as `scan`.

    A flawed logit gives minus infinity: higher is better.
    """
    logits = sum(steps.size for _, steps in tables)
    return _scan(tables, probes, weights, _kernel_for(kernel, len(probes) * logits).sums)


def _scan(
    tables: Sequence[Table],
    probes: Integer[np.ndarray, " k"],
    query: Float32[np.ndarray, " k"],
    fill: Fill,
) -> Float32[np.ndarray, " logits"]:
    """Runs a kernel over all tables, on all cores."""
    widths = [steps.size for _, steps in tables]
    distances = np.empty(sum(widths), dtype=np.float32)
    rows = np.ascontiguousarray(probes, dtype=np.int64)
    query = np.ascontiguousarray(query, dtype=np.float32)
    tasks = []
    for (values, steps), end in zip(tables, np.cumsum(widths).tolist(), strict=True):
        own = distances[end - steps.size : end]
        tasks += [
            (values, steps, rows, query, own, first, min(first + _COLUMNS_A_TASK, steps.size))
            for first in range(0, steps.size, _COLUMNS_A_TASK)
        ]
    share_out(fill, tasks)
    return distances


def gather(
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
    _share_if_many(_loaded(kernel).gather, tasks, values.size)
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


def blend(
    codes: Int8[np.ndarray, "rows columns"],
    knots: Int8[np.ndarray, "knots columns"],
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
    _share_if_many(_loaded(kernel).blend, tasks, codes.size)
    return result


def along(
    tables: Sequence[Directions],
    columns: Int64[np.ndarray, " columns"],
    direction: Float32[np.ndarray, " dim"],
    kernel: KernelName | None = None,
) -> Float32[np.ndarray, " columns"]:
    """Dot products of some logits' own directions with one.

    A table is a block's (directions, their steps), a row a logit; `columns` count over all of them.
    Unless `kernel` is given, it is compiled where that is loaded.
    """
    result = np.empty(len(columns), np.float32)
    direction = np.ascontiguousarray(direction, dtype=np.float32)
    tasks, places = [], []
    for table, mine, local in split_columns([own.size for _, own in tables], columns):
        tasks.append((*tables[table], local, direction, np.empty(len(local), np.float32)))
        places.append(mine)
    _share_if_many(_loaded(kernel).along, tasks, len(columns) * len(direction))
    for (*_, part), mine in zip(tasks, places, strict=True):
        result[mine] = part
    return result


def _share_if_many(
    function: Callable[..., None], tasks: Sequence[tuple[Any, ...]], values: int
) -> None:
    """On all cores from so many values that another thread is quicker there than it comes."""
    if values >= _VALUES_TO_SHARE:
        share_out(function, tasks)
    else:
        for task in tasks:
            function(*task)


def kernel_name() -> KernelName:
    """The kernel that the next scan of this process will use."""
    return "numba" if _state.compiled is not None else "numpy"


def _kernel_for(kernel: KernelName | None, values: int) -> _Kernel:
    """The kernel of a scan of so many values, which is counted."""
    if kernel is None:
        _state.values += values
        if _state.absent or _state.values - values < NUMPY_VALUES_BEFORE_NUMBA:
            return _NUMPY
        with _state.lock:
            if _state.compiled is None and not _state.absent:
                _load_compiled()
    return _loaded(kernel)


def _loaded(kernel: KernelName | None) -> _Kernel:
    """The kernel of that name; None: the compiled one if it is loaded, else numpy's."""
    if kernel == "numba":
        with _state.lock:
            if _state.compiled is None and not _state.absent:
                _load_compiled()
        if _state.compiled is None:
            raise MissingExtraError(
                "the compiled kernel needs the package 'numba', which is not installed or does not "
                "fit this numpy; run: pip install 'lagotto[kernel]'"
            )
    return _NUMPY if kernel == "numpy" or _state.compiled is None else _state.compiled


def _load_compiled() -> None:
    """Sets the state's kernel; a numba that is missing or refuses this numpy leaves it absent."""
    try:
        importlib.import_module("numba")
    except ImportError:
        _state.absent = True
        return
    _state.compiled = _of(importlib.import_module("lagotto.hubsearch.numba_kernel"))


def _of(module: ModuleType) -> _Kernel:
    return _Kernel(module.fill, module.fill_sums, module.gather, module.blend, module.along)


_NUMPY = _of(numpy_kernel)
