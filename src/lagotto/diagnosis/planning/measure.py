"""This machine comes in; the few speeds that a large hub's cost depends on go out, in seconds.

Everything is measured by the code that does the work: a small hub of bundled models is made in a
temporary folder, and removed. What is computed is counted in processor seconds, so that other work
on the machine does not count.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from lagotto.core.errors import MissingExtraError
from lagotto.core.machine import usable_cores
from lagotto.core.progress import Progress
from lagotto.core.temporary.leftovers import temporary_folder
from lagotto.demo import bundled
from lagotto.hub.descriptors.blocks import BlockSource, block_path, write_blocks
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.hub import Hub
from lagotto.hub.kernels.dispatch import current_kernel, scan_sums
from lagotto.hub.kernels.kernel import KernelName
from lagotto.hub.store.responses import ResponsesHeader, write_responses
from lagotto.jobs.sandbox.limits import private_bytes
from lagotto.jobs.worker_limits import Limits

_PROBES = 40
_EDGE = 768
_WIDE = 1000
_ROWS = 50
_QUERIES = ("dog", "violin", "red flower", "old boat")
_SCANNED = 1 << 19
_DISK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class MachineSpeed:
    """What was measured on a machine.

    `multiply_adds_s` is the rate of one process per core at matrices of float32. `model_s` is what
    a model costs beside its inference, on all cores: its worker task, its files, its records.
    `value_s` makes a value (probe x logit) of a descriptor, and `logit_bytes` are the bytes of a
    logit beside one byte a probe. The scan and the disk are in bytes a second. `query_s` is what a
    text takes in a hub so small that nothing is scanned, `search_bytes` the memory that opening
    it and asking it took: both are mostly the encoder's.
    """

    cores: int
    multiply_adds_s: float
    start_s: float
    model_s: float
    value_s: float
    logit_bytes: float
    scan_bytes_s: float
    disk_bytes_s: float
    memory_bytes: int
    kernel: KernelName
    query_s: float = 0.0
    search_bytes: int = 0


def measure_machine(progress: Progress) -> MachineSpeed:
    """Measures this machine; takes a few seconds.

    Raises HubError if the folder for temporary files cannot be written.
    """
    progress.start("measuring this machine", 4, "speeds")
    with temporary_folder("plan") as folder:
        start_s, model_s = _measure_probing(folder)
        query_s, search_bytes = measure_search(folder / "hub")
        progress.advance(1)
        value_s, logit_bytes = _measure_descriptors(folder)
        progress.advance(1)
        kernel, scan = _measure_scan()
        progress.advance(1)
        disk = _measure_disk(folder / "file")
        progress.advance(1)
    progress.finish()
    return MachineSpeed(
        cores=usable_cores(),
        multiply_adds_s=_measure_products(),
        start_s=start_s,
        model_s=model_s,
        value_s=value_s,
        logit_bytes=logit_bytes,
        scan_bytes_s=scan,
        disk_bytes_s=disk,
        memory_bytes=_memory_bytes(),
        kernel=kernel,
        query_s=query_s,
        search_bytes=search_bytes,
    )


def measure_search(hub: Path) -> tuple[float, int]:
    """Processor seconds of a text in a hub, and the bytes of memory that its first one took.

    Raises HubError or EncoderError if the hub cannot be searched.
    """
    before = private_bytes(os.getpid()) or 0
    with Hub.open(hub) as opened:
        if not len(opened):
            return 0.0, 0
        opened.search(_QUERIES[0], top=1)
        taken = max((private_bytes(os.getpid()) or 0) - before, 0)
        ask = cycle(_QUERIES).__next__
        return _seconds(lambda: opened.search(ask(), top=1), 8), taken


def _seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Processor seconds of all threads, in the quickest of some runs."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return max(best, 1e-6)


def _measure_products() -> float:
    """Multiply-adds a second of float32 matrices, on all cores."""
    matrix = np.random.default_rng(0).random((_EDGE, _EDGE), dtype=np.float32)
    return usable_cores() * _EDGE**3 / _seconds(lambda: matrix @ matrix, 5)


def _measure_probing(folder: Path) -> tuple[float, float]:
    """Seconds of a run without models, and of one more model whose inference costs nothing."""
    hub = Hub.create(folder / "hub", bundled.PROBES, str(bundled.DEMO_ENCODER), max_probes=_PROBES)
    models = sorted(path for path in bundled.MODELS.iterdir() if path.is_dir())
    few, many = models[:1], models[1:13]
    seconds = []
    for chosen in (few, many):
        begin = _with_children()
        hub.add(chosen, limits=Limits())
        seconds.append((_with_children() - begin) / usable_cores())
    model_s = max((seconds[1] - seconds[0]) / (len(many) - len(few)), 1e-3)
    return max(seconds[0] - model_s, 0.0), model_s


def _with_children() -> float:
    """Processor seconds of this process and of its workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _measure_descriptors(folder: Path) -> tuple[float, float]:
    """Seconds of a value of a descriptor, and bytes of a logit beside one a probe."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(_PROBES * 10, _WIDE)).astype(np.float32)
    matrix = projector(rng.normal(size=(len(values), 64)).astype(np.float32))
    sources = []
    for number in range(4):
        digest = f"{number:064d}"
        path = folder / f"{digest}.safetensors"
        write_responses(path, values, ResponsesHeader(digest, "0" * 64, "onnx", "raw"))
        sources.append(BlockSource(digest, path))
    blocks = folder / "blocks"
    seconds = _seconds(lambda: [*write_blocks(blocks, sources, "0" * 64, matrix)], 2)
    logits = len(sources) * _WIDE
    size = sum(block_path(blocks, n).stat().st_size for n in range(len([*blocks.iterdir()])))
    return seconds / (logits * len(values)), size / logits - len(values)


def _measure_scan() -> tuple[KernelName, float]:
    """The kernel that large hubs are scanned with, and its bytes a second."""
    values = np.ones((_ROWS, _SCANNED), np.int8)
    tables = [(values, np.ones(_SCANNED, np.float32))]
    rows, weights = np.arange(_ROWS), np.ones(_ROWS, np.float32)
    kernel: KernelName = "numba"
    try:
        current_kernel(kernel)
    except MissingExtraError:
        kernel = "numpy"
    seconds = _seconds(lambda: scan_sums(tables, rows, weights, kernel))
    return kernel, usable_cores() * values.size / seconds


def _measure_disk(path: Path) -> float:
    """Bytes a second of reading a file that the system does not hold in memory, where it can be."""
    with path.open("wb") as file:
        file.write(os.urandom(1 << 20) * (_DISK_BYTES >> 20))
        file.flush()
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    begin = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
    return _DISK_BYTES / (time.perf_counter() - begin)


def _memory_bytes() -> int:
    """The memory of the machine; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
