"""A query's k probes and descriptor blocks come in; a distance or sum for every logit goes out.

A scan reads k rows of each block once: for distances (the paper's rule) or for weighted sums (the
default rule). Two kernels give the same: one in numpy, which works everywhere, and a compiled one.
"""

import importlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, Integer

from lagotto.core.errors import MissingExtraError
from lagotto.hub.kernels.kernel import Kernel, KernelName, Scan, Table
from lagotto.hub.kernels.numpy_kernel import NUMPY_KERNEL
from lagotto.hub.kernels.spans import as_whole_rows, split_range
from lagotto.hub.kernels.thread_pool import run_parallel

NUMPY_VALUES_BEFORE_NUMBA = 600_000_000
"""Values (k x logits) that a process scans in numpy before it loads the compiled kernel. Loading it
takes about 0.6 s, in which numpy scans about so many: a process never waits more than twice the
best. benchmarks/speed/search.py"""

_COLUMNS_A_TASK = 65_536


@dataclass(slots=True)
class _State:
    """How many values this process has scanned, and the compiled kernel once it is loaded."""

    values: int = 0
    compiled: Kernel | None = None
    absent: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


_state = _State()


def scan_distances(
    tables: Sequence[Table],
    probes: Integer[np.ndarray, " k"],
    query: Float32[np.ndarray, " k"],
    kernel: KernelName | None = None,
    ends: Sequence[int] | None = None,
) -> Float32[np.ndarray, " logits"]:
    """Distances sqrt(sum_j (query_j - step * value_j)^2) to the logits of all tables, in order.

    Args:
        tables: Values and steps of each block, in order; values may be some columns of a table.
        probes: The rows of the tables that are compared.
        query: The query's values on these probes.
        kernel: By default the compiled one after NUMPY_VALUES_BEFORE_NUMBA values, else numpy's.
        ends: Where the blocks of a hub that was made at once end, if not where the tables do: the
            result is that of such a hub, bit for bit.

    Returns:
        One distance a logit; infinity for an invalid one, whose step is zero.

    Raises:
        MissingExtraError: The kernel "numba" was requested and cannot be loaded.
    """
    logits = sum(steps.size for _, steps in tables)
    used = _kernel_for(kernel, len(probes) * logits)
    return _scan(tables, probes, query, used.scan_distances, used, ends)


def scan_sums(
    tables: Sequence[Table],
    probes: Integer[np.ndarray, " k"],
    weights: Float32[np.ndarray, " k"],
    kernel: KernelName | None = None,
    ends: Sequence[int] | None = None,
) -> Float32[np.ndarray, " logits"]:
    """Weighted sums sum_j weight_j * step * value_j of the logits of all tables.

    Arguments, result and errors as `scan_distances`, but an invalid logit gets minus infinity.
    """
    logits = sum(steps.size for _, steps in tables)
    used = _kernel_for(kernel, len(probes) * logits)
    return _scan(tables, probes, weights, used.scan_sums, used, ends)


def _scan(
    tables: Sequence[Table],
    probes: Integer[np.ndarray, " k"],
    query: Float32[np.ndarray, " k"],
    scan: Scan,
    kernel: Kernel,
    ends: Sequence[int] | None,
) -> Float32[np.ndarray, " logits"]:
    """Runs a kernel's scan over all tables, on all cores."""
    widths = [steps.size for _, steps in tables]
    result = np.empty(sum(widths), dtype=np.float32)
    rows = np.ascontiguousarray(probes, dtype=np.int64)
    query = np.ascontiguousarray(query, dtype=np.float32)
    tasks: list[tuple[Any, ...]] = []
    begin = 0
    for end in np.cumsum(widths).tolist() if ends is None else ends:
        for first in range(begin, end, _COLUMNS_A_TASK):
            last = min(first + _COLUMNS_A_TASK, end)
            parts = [
                (tables[table][0][:, part], tables[table][1][part])
                for table, part in split_range(widths, first, last)
            ]
            if kernel.columns_apart:
                starts = np.cumsum([first, *(steps.size for _, steps in parts)]).tolist()
                tasks += [
                    (scan, [(as_whole_rows(values), steps)], rows, query, result[start:stop])
                    for (values, steps), (start, stop) in zip(parts, pairwise(starts), strict=True)
                ]
            else:
                tasks.append((scan, parts, rows, query, result[first:last]))
        begin = end
    run_parallel(_scan_parts, tasks)
    return result


def _scan_parts(
    scan: Scan,
    parts: Sequence[Table],
    rows: Int64[np.ndarray, " k"],
    query: Float32[np.ndarray, " k"],
    result: Float32[np.ndarray, " columns"],
) -> None:
    """Scans columns that lie side by side; those of several tables are copied together first."""
    if len(parts) == 1:
        values, steps = parts[0]
        scan(values, steps, rows, query, result, 0, result.size)
        return
    joined = np.concatenate([values[rows] for values, _ in parts], axis=1)
    steps = np.concatenate([steps for _, steps in parts])
    scan(joined, steps, np.arange(len(rows)), query, result, 0, result.size)


def kernel_name() -> KernelName:
    """The kernel that the next scan of this process will use."""
    return "numba" if _state.compiled is not None else "numpy"


def _kernel_for(kernel: KernelName | None, values: int) -> Kernel:
    """The kernel of a scan of so many values; it adds them to what the process has scanned."""
    if kernel is None:
        _state.values += values
        if _state.absent or _state.values - values < NUMPY_VALUES_BEFORE_NUMBA:
            return NUMPY_KERNEL
        with _state.lock:
            if _state.compiled is None and not _state.absent:
                _load_compiled()
    return current_kernel(kernel)


def current_kernel(kernel: KernelName | None = None) -> Kernel:
    """The kernel of that name; by default the compiled one if it is loaded, else numpy's.

    Raises MissingExtraError for a "numba" that cannot be loaded.
    """
    if kernel == "numba":
        with _state.lock:
            if _state.compiled is None and not _state.absent:
                _load_compiled()
        if _state.compiled is None:
            raise MissingExtraError(
                "the compiled kernel needs the package 'numba', which is not installed or does not "
                "fit this numpy; run: pip install 'lagotto[kernel]'"
            )
    return NUMPY_KERNEL if kernel == "numpy" or _state.compiled is None else _state.compiled


def _load_compiled() -> None:
    """Sets the state's kernel; a numba that is missing or refuses this numpy leaves it absent."""
    try:
        importlib.import_module("numba")
    except ImportError:
        _state.absent = True
        return
    module = importlib.import_module("lagotto.hub.kernels.numba_kernel")
    _state.compiled = module.NUMBA_KERNEL
