"""Stage 5 of hub search: a query's k probes × descriptor blocks → its distance to every logit.

A scan reads k rows of each block once: distances (the paper's rule) or weighted sums (the default
rule). Two kernels give the same: numpy, and a compiled one. What is made of a scan is in
selection.py; what more is read of the few logits that it finds, in chosen.py and asking.py.
"""

import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Int8, Int64, Integer

from lagotto.core.errors import MissingExtraError
from lagotto.hub.kernels import numpy_kernel
from lagotto.hub.kernels.thread_pool import run_parallel

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


@dataclass(frozen=True, slots=True)
class Kernel:
    """One implementation: the two scans, and what is asked of few logits (chosen.py, asking.py)."""

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
    compiled: Kernel | None = None
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
    run_parallel(fill, tasks)
    return distances


def kernel_name() -> KernelName:
    """The kernel that the next scan of this process will use."""
    return "numba" if _state.compiled is not None else "numpy"


def _kernel_for(kernel: KernelName | None, values: int) -> Kernel:
    """The kernel of a scan of so many values, which is counted."""
    if kernel is None:
        _state.values += values
        if _state.absent or _state.values - values < NUMPY_VALUES_BEFORE_NUMBA:
            return _NUMPY
        with _state.lock:
            if _state.compiled is None and not _state.absent:
                _load_compiled()
    return loaded(kernel)


def loaded(kernel: KernelName | None = None) -> Kernel:
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
    scans, words = (
        importlib.import_module(f"lagotto.hub.kernels.{name}")
        for name in ("numba_kernel", "numba_words")
    )
    _state.compiled = _of(scans, words)


def _of(scans: ModuleType, words: ModuleType) -> Kernel:
    return Kernel(
        scans.fill,
        scans.fill_sums,
        scans.gather,
        scans.blend,
        scans.weigh,
        words.name_sums,
        words.ask_words,
    )


_NUMPY = _of(numpy_kernel, numpy_kernel)
