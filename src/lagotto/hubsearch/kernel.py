"""Stage 5 of hub search: a query's k probes × descriptor blocks → its distance to every logit.

A scan reads k rows of each block once: distances (the paper's rule) or weighted sums (the default
rule). Of the few logits that it finds, more is read: `weigh`, `gather`, `blend`. Two kernels give
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
from lagotto.core.machine import usable_cores
from lagotto.hubsearch import numpy_kernel
from lagotto.hubsearch.shared_work import share_out

KernelName: TypeAlias = Literal["numpy", "numba"]
Table: TypeAlias = tuple[Int8[np.ndarray, "probes _"], Float32[np.ndarray, " _"]]
WholeTable: TypeAlias = tuple[
    Int8[np.ndarray, "probes _"],
    Float32[np.ndarray, " _"],
    Int8[np.ndarray, "_ knots"],
    Int8[np.ndarray, "_ dim"],
    Float32[np.ndarray, " _"],
]
"""A block's values, steps, knots, directions and their steps, as blocks.py has them."""

WordTables: TypeAlias = tuple[
    Float32[np.ndarray, "words dim"],
    Float32[np.ndarray, " dim"],
    Int64[np.ndarray, "words k"],
    Float32[np.ndarray, "words k"],
    Float32[np.ndarray, "4 words"],
    Int64[np.ndarray, " usual"],
]
"""Words' embeddings, what all have in common, their surest probes with weights, their moments, and
the places of the usual ones: see rivals.py."""

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
_PRODUCTS_A_TASK = 500_000
_VALUES_TO_SHARE = 20_000


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The two scans of one implementation, and how it reads chosen logits."""

    distances: Fill
    sums: Fill
    gather: Callable[..., None]
    blend: Callable[..., None]
    weigh: Callable[..., None]
    name_sums: Callable[..., None]
    ask_words: Callable[..., None]


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
    _share_if_many(_loaded(kernel).blend, tasks, codes.size)
    return result


def weigh(
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
    _share_if_many(_loaded(kernel).weigh, tasks, len(columns) * (len(rows) + len(direction)))
    for (*_, own_sums, own_along), mine in zip(tasks, places, strict=True):
        sums[mine], along[mine] = own_sums, own_along
    return sums, along


def name_sums(
    descriptors: Float32[np.ndarray, "logits probes"],
    probes: Int64[np.ndarray, "names k"],
    weights: Float32[np.ndarray, "names k"],
    asked: Int64[np.ndarray, "logits asked"],
    kernel: KernelName | None = None,
) -> Float32[np.ndarray, "logits asked"]:
    """Weighted sums over their own probes of the names that are asked of each of some logits.

    `asked` are places among the names. Unless `kernel` is given, it is compiled where that is
    loaded.
    """
    result = np.empty(asked.shape, np.float32)
    tables = (descriptors, probes, weights, np.ascontiguousarray(asked), result)
    step = max(1, _PRODUCTS_A_TASK // max(1, asked.shape[1] * probes.shape[1]))
    share_out(
        _loaded(kernel).name_sums,
        [(*tables, first, min(first + step, len(asked))) for first in range(0, len(asked), step)],
    )
    return result


def ask_words(
    words: WordTables,
    rules: tuple[float, int, int, float],
    descriptors: Float32[np.ndarray, "logits probes"],
    directions: Float32[np.ndarray, "logits dim"],
    concept: Float32[np.ndarray, " dim"],
    kernel: KernelName | None = None,
) -> tuple[Float32[np.ndarray, "4 logits"], Float32[np.ndarray, " logits"]]:
    """What words say of some logits, by blended descriptors and directions: moments and levels.

    The moments are those of a logit's scores over the usual words: mean and spread on the probes,
    and along its direction. The level is the mean fitted score (see leads.py) of its best words.
    `rules`: the cosine from which a word means the concept and is left out; how many words, best
    along the direction, are asked of the probes; how many of these are averaged; what the direction
    counts. The level is nan where no word is left. Unless `kernel` is given, it is compiled where
    that is loaded.
    """
    usual, levels = np.empty((4, len(descriptors)), np.float32), np.empty(len(descriptors), "f4")
    tables = tuple(np.ascontiguousarray(table) for table in words)
    asked = (np.ascontiguousarray(each) for each in (descriptors, directions, concept))
    same, shortlist, top, share = rules
    task = (tables, (np.float32(same), shortlist, top, np.float32(share)), *asked, (usual, levels))
    step = max(1, -(-len(descriptors) // usable_cores()))
    share_out(
        _loaded(kernel).ask_words,
        [
            (*task, (first, min(first + step, len(descriptors))))
            for first in range(0, len(descriptors), step)
        ],
    )
    return usual, levels


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
    return _Kernel(
        module.fill,
        module.fill_sums,
        module.gather,
        module.blend,
        module.weigh,
        module.name_sums,
        module.ask_words,
    )


_NUMPY = _of(numpy_kernel)
