"""Stage 5 of hub search: a query's k probes × descriptor blocks → its distance to every logit.

A scan reads k rows of each block once: distances (the paper's rule) or weighted sums (the default
rule). It sees descriptors rounded to int8; `rerank` turns its distances into the exact nearest
logits. Two kernels give the same scans: numpy, and a compiled one.
"""

import importlib
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Float32, Float64, Int8, Int64, Integer

from lagotto.core.errors import MissingExtraError
from lagotto.core.machine import usable_cores

KernelName: TypeAlias = Literal["numpy", "numba"]
Table: TypeAlias = tuple[Int8[np.ndarray, "probes _"], Float32[np.ndarray, " _"]]
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

# Loading the compiled kernel takes about 0.6 s, in which numpy scans about this many values (k x
# logits). A process loads it once it has scanned so many: it never waits more than twice the best.
NUMPY_VALUES_BEFORE_NUMBA = 600_000_000

_COLUMNS_A_TASK = 65_536
_NUMPY_VALUES_AT_ONCE = 400_000
_GROUP = 1024
_SMALLEST_GROUP = 8
_FIRST_BATCH = 256


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The two scans of one implementation."""

    distances: Fill
    sums: Fill


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
    workers = min(usable_cores(), len(tasks))
    if workers < 2:
        for task in tasks:
            fill(*task)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda task: fill(*task), tasks))
    return distances


def gather(
    tables: Sequence[Table],
    columns: Int64[np.ndarray, " columns"],
    probes: Integer[np.ndarray, " k"],
) -> tuple[Int8[np.ndarray, "k columns"], Float32[np.ndarray, " columns"]]:
    """Some logits of all tables, on some probes, as a table of their own: to be scanned again.

    `columns` count over all tables.
    """
    values = np.empty((len(probes), len(columns)), np.int8)
    steps = np.empty(len(columns), np.float32)
    ends = np.cumsum([table_steps.size for _, table_steps in tables])
    owners = np.searchsorted(ends, columns, side="right")
    for owner in np.unique(owners).tolist():
        own_values, own_steps = tables[owner]
        mine = owners == owner
        local = columns[mine] - (int(ends[owner]) - own_steps.size)
        values[:, mine] = own_values[np.ix_(probes, local)]
        steps[mine] = own_steps[local]
    return values, steps


def highest(scores: Float32[np.ndarray, " logits"], count: int) -> Int64[np.ndarray, " columns"]:
    """The columns, ascending, of the `count` highest scores that are finite; of ties any."""
    found = np.flatnonzero(scores >= _enough(scores, count))
    found = found[np.isfinite(scores[found])]
    if found.size > count:
        found = found[np.argpartition(-scores[found], count - 1)[:count]]
    return np.sort(found).astype(np.int64)


def kernel_name() -> KernelName:
    """The kernel that the next scan of this process will use."""
    return "numba" if _state.compiled is not None else "numpy"


def error_bounds(
    scanned: Float32[np.ndarray, " logits"], steps: Float32[np.ndarray, " logits"], k: int
) -> Float32[np.ndarray, " logits"]:
    """How far each scanned distance can be from the exact one.

    A rounded descriptor r differs from the exact g by at most step / 2 on each of the k probes, so
    |g - r| <= sqrt(k) * step / 2, and by the triangle inequality | |q - g| - |q - r| | is no more.
    The rest covers the float32 rounding: of step * value, at most 127 steps times 2^-24 a probe,
    and of the sum of k squares (k / 2 roundings of the result) and what is done with it later.
    """
    relative = np.where(np.isfinite(scanned), scanned, np.float32(0)) * np.float32(
        (k + 16) * 2.0**-24
    )
    return steps * np.float32(math.sqrt(k) * 0.5001) + relative


def exact_distances(
    descriptors: Float[np.ndarray, "k columns"], query: Float[np.ndarray, " k"]
) -> Float64[np.ndarray, " columns"]:
    """Distances of some exact descriptors; a column's result does not depend on its company."""
    total = np.zeros(descriptors.shape[1])
    for row, value in zip(descriptors, query, strict=True):
        total += np.square(row - np.float64(value))
    return np.sqrt(total)


def rerank(
    scanned: Float32[np.ndarray, " logits"],
    bounds: Float32[np.ndarray, " logits"],
    exact: Callable[[Int64[np.ndarray, " columns"]], Float64[np.ndarray, " columns"]],
    top: int,
) -> tuple[Int64[np.ndarray, " found"], Float64[np.ndarray, " found"]]:
    """The `top` nearest logits by exact distance, nearest first, ties by index.

    Returns (indices, distances), as a full sort by exact distance would: those are within `bounds`
    of `scanned`, so logits are tried in the order of their lowest possible distance, in batches,
    until that passes the top-th exact distance found; no later one can be nearer. Logits at
    infinity are left out, so fewer than `top` may come back. `exact` is given ascending indices.
    """
    lowest = scanned - bounds
    candidates = np.flatnonzero(lowest <= _reach(scanned, bounds, top))
    candidates = candidates[np.isfinite(scanned[candidates])]
    candidates = candidates[np.argsort(lowest[candidates], kind="stable")]
    indices, distances = np.empty(0, dtype=np.int64), np.empty(0)
    start, size = 0, max(_FIRST_BATCH, 2 * top)
    while start < candidates.size:
        if indices.size == top and lowest[candidates[start]] > distances[-1]:
            break
        batch = np.sort(candidates[start : start + size])
        indices = np.concatenate([indices, batch])
        distances = np.concatenate([distances, exact(batch)])
        order = np.lexsort((indices, distances))[:top]
        indices, distances = indices[order], distances[order]
        start, size = start + size, 2 * size
    return indices, distances


def _reach(
    scanned: Float32[np.ndarray, " logits"], bounds: Float32[np.ndarray, " logits"], top: int
) -> float:
    """A distance within which `top` logits surely lie, found without sorting all of them."""
    highest = scanned + bounds
    groups = highest[: highest.size // _GROUP * _GROUP].reshape(-1, _GROUP).min(axis=1)
    pool = groups if groups.size >= top else highest
    return float(np.partition(pool, top - 1)[top - 1]) if pool.size >= top else math.inf


def _enough(scores: Float32[np.ndarray, " logits"], count: int) -> float:
    """A score that at least `count` logits reach, found without sorting all of them."""
    group = min(_GROUP, scores.size // (4 * count))
    if group < _SMALLEST_GROUP:
        return -math.inf
    best = scores[: scores.size // group * group].reshape(-1, group).max(axis=1)
    return float(np.partition(best, best.size - count)[best.size - count])


def _kernel_for(kernel: KernelName | None, values: int) -> _Kernel:
    if kernel == "numpy":
        return _NUMPY
    if kernel is None:
        _state.values += values
        if _state.absent or _state.values - values < NUMPY_VALUES_BEFORE_NUMBA:
            return _NUMPY
    with _state.lock:
        if _state.compiled is None and not _state.absent:
            _load_compiled()
    if _state.compiled is not None:
        return _state.compiled
    if kernel == "numba":
        raise MissingExtraError(
            "the compiled kernel needs the package 'numba', which is not installed or does not fit "
            "this numpy; run: pip install 'lagotto[kernel]'"
        )
    return _NUMPY


def _load_compiled() -> None:
    """Sets the state's kernel; a numba that is missing or refuses this numpy leaves it absent."""
    try:
        importlib.import_module("numba")
    except ImportError:
        _state.absent = True
        return
    module = importlib.import_module("lagotto.hubsearch.numba_kernel")
    _state.compiled = _Kernel(module.fill, module.fill_sums)


def _fill_numpy(
    values: Int8[np.ndarray, "probes logits"],
    steps: Float32[np.ndarray, " logits"],
    probes: Int64[np.ndarray, " k"],
    query: Float32[np.ndarray, " k"],
    distances: Float32[np.ndarray, " logits"],
    first: int,
    last: int,
) -> None:
    """Writes distances[first:last], in parts that stay in the processor's cache."""
    width = max(_GROUP, _NUMPY_VALUES_AT_ONCE // max(1, len(probes)))
    for begin in range(first, last, width):
        part = slice(begin, min(begin + width, last))
        difference = values[probes, part] * steps[part]
        difference -= query[:, None]
        distances[part] = np.sqrt(np.einsum("kc,kc->c", difference, difference))
    distances[first:last][steps[first:last] == 0] = np.inf


def _sum_numpy(
    values: Int8[np.ndarray, "probes logits"],
    steps: Float32[np.ndarray, " logits"],
    probes: Int64[np.ndarray, " k"],
    weights: Float32[np.ndarray, " k"],
    sums: Float32[np.ndarray, " logits"],
    first: int,
    last: int,
) -> None:
    """Writes sums[first:last], in parts that stay in the processor's cache."""
    width = max(_GROUP, _NUMPY_VALUES_AT_ONCE // max(1, len(probes)))
    for begin in range(first, last, width):
        part = slice(begin, min(begin + width, last))
        sums[part] = weights @ values[probes, part].astype(np.float32)
        sums[part] *= steps[part]
    sums[first:last][steps[first:last] == 0] = -np.inf


_NUMPY = _Kernel(_fill_numpy, _sum_numpy)
