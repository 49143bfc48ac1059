"""How fast a query scans a hub: our kernel on a memory-mapped probe-major block, against numpy.

    python benchmarks/speed/search.py --logits 1000000 --probes 2000 --k 50 --json

The baseline is the usual way: descriptors row-major (logits x probes, int8, memory-mapped), the
query's k columns gathered by numpy, on one core; our scan uses all. Both answer the same queries in
the same run, on files that are in the page cache, and every answer is compared. The machine's plain
read bandwidth is measured beside them. Prints JSON on stdout (a table without --json), progress on
stderr. The machine should be otherwise idle: a scan takes milliseconds.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from lagotto.hub.descriptors.blocks import LOGITS_PER_BLOCK
from lagotto.hub.index.topk import error_bounds, rerank
from lagotto.hub.kernels.dispatch import scan_distances
from lagotto.hub.kernels.kernel import KernelName, Table

TOP = 10
QUERIES = 8


@dataclass(frozen=True)
class World:
    """Blocks as a hub has them, the same numbers row-major, and some queries (probes, values)."""

    tables: list[Table]
    row_major: np.ndarray
    steps: np.ndarray
    queries: list[tuple[np.ndarray, np.ndarray]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_world(folder: Path, logits: int, probes: int, k: int, seed: int) -> World:
    """Random int8 descriptors in blocks, their transposed copy, and queries like those of texts."""
    rng = np.random.default_rng(seed)
    steps = rng.uniform(0.02, 0.05, logits).astype(np.float32)
    shape = (logits, probes)
    row_major = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.int8, shape)
    tables = []
    for first in range(0, logits, LOGITS_PER_BLOCK):
        last = min(first + LOGITS_PER_BLOCK, logits)
        path = folder / f"block{first}.npy"
        block = np.lib.format.open_memmap(path, "w+", np.int8, (probes, last - first))
        drawn = np.frombuffer(rng.bytes(block.size), dtype=np.int8).reshape(block.shape)
        np.maximum(drawn, -127, out=block)
        for begin in range(0, last - first, 256):
            part = slice(begin, begin + 256)
            row_major[first:last][part] = np.ascontiguousarray(block[:, part].T)
        block.flush()
        tables.append((np.load(path, mmap_mode="r"), steps[first:last]))
        say(f"made {last:,} of {logits:,} logits")
    row_major.flush()
    del row_major
    queries = []
    for _ in range(QUERIES):
        query = rng.normal(size=probes).astype(np.float32)
        chosen = np.argsort(-query, kind="stable")[:k]
        queries.append((chosen, query[chosen]))
    return World(tables, np.load(folder / "rows.npy", mmap_mode="r"), steps, queries)


def gather_row_major(world: World, chosen: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The usual way, in parts that fit the caches: the plain `rows[:, chosen]` is slower still."""
    distances = np.empty(len(world.steps), dtype=np.float32)
    for first in range(0, len(distances), 4096):
        part = slice(first, first + 4096)
        difference = np.take(world.row_major[part], chosen, axis=1) * world.steps[part, None]
        difference -= query
        distances[part] = np.sqrt(np.einsum("lk,lk->l", difference, difference))
    return distances


def search(world: World, kernel: KernelName, chosen: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Our way."""
    return scan_distances(world.tables, chosen, query, kernel)


def remap(values: np.ndarray) -> np.ndarray:
    """The same file mapped anew: in the page cache, but no page of it known to this process yet."""
    assert isinstance(values, np.memmap)
    return np.load(values.filename, mmap_mode="r")


def check(answer: np.ndarray, truth: np.ndarray) -> None:
    """Stops the benchmark unless all distances agree and the nearest ten are the nearest ten."""
    np.testing.assert_allclose(answer, truth, rtol=1e-4, atol=1e-4)
    nearest = np.argsort(answer, kind="stable")[:TOP]
    best = np.sort(np.partition(truth, TOP)[:TOP])
    np.testing.assert_allclose(np.sort(truth[nearest]), best, rtol=1e-6)


def measure(
    answer: Callable[[np.ndarray, np.ndarray], np.ndarray],
    queries: list[tuple[np.ndarray, np.ndarray]],
    truths: list[np.ndarray],
    rounds: int,
) -> tuple[float, float]:
    """Median milliseconds of a query (first touch of the mapping, touched before), all checked."""
    times: list[list[float]] = []
    for _ in range(rounds + 1):
        times.append([])
        for query, truth in zip(queries, truths, strict=True):
            begin = time.perf_counter()
            found = answer(*query)
            times[-1].append((time.perf_counter() - begin) * 1e3)
            check(found, truth)
    return float(np.median(times[0])), float(np.median(times[1:]))


def read_bandwidth(gigabytes: float, threads: int) -> float:
    """Bytes a second at which `threads` threads read (and sum) an array larger than the caches."""
    words = np.ones(int(gigabytes * 2**30) // 8, dtype=np.int64)
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            begin = time.perf_counter()
            total = sum(pool.map(np.sum, np.array_split(words, threads)))
            best = max(best, words.nbytes / (time.perf_counter() - begin))
            assert total == words.size
    return best


def anonymous_mb() -> float:
    """Memory of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def peak_memory_mb(work: Callable[[], object]) -> float:
    """How much memory beyond mapped files `work` takes at its highest, sampled while it runs."""
    before, highest, done = anonymous_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.0005):
            highest[0] = max(highest[0], anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(highest[0], anonymous_mb()) - before


def find_top(world: World, scanned: np.ndarray, k: int) -> None:
    """Picks the nearest ten out of scanned distances, as a search does."""
    bounds = error_bounds(scanned, world.steps, k)
    rerank(scanned, bounds, lambda columns: scanned[columns].astype(np.float64), TOP)


def processor() -> str:
    """The processor's name, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def run(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Every measurement, in an order that lets none warm up for another."""
    world = make_world(folder, options.logits, options.probes, options.k, options.seed)
    say("baseline: row-major gather")
    truths = [gather_row_major(world, *query) for query in world.queries]
    _, baseline = measure(partial(gather_row_major, world), world.queries[:4], truths[:4], 2)
    say("numpy kernel")
    _, plain = measure(partial(search, world, "numpy"), world.queries, truths, 2)
    say("compiled kernel")
    load = time.perf_counter()
    memory = peak_memory_mb(lambda: [search(world, "numba", *query) for query in world.queries])
    load = time.perf_counter() - load
    fresh = replace(world, tables=[(remap(values), steps) for values, steps in world.tables])
    first, fast = measure(partial(search, fresh, "numba"), world.queries, truths, 5)
    tops = []
    for truth in truths:
        begin = time.perf_counter()
        find_top(world, truth, options.k)
        tops.append((time.perf_counter() - begin) * 1e3)
    say("read bandwidth")
    cores = len(os.sched_getaffinity(0))
    bandwidth = read_bandwidth(1.0, cores)
    read = options.k * options.logits / (fast / 1e3)
    return {
        "ms": round(fast, 3),
        "speedup_vs_row_major": round(baseline / fast, 1),
        "fraction_of_read_bandwidth": round(read / bandwidth, 3),
        "fresh_mapping_ms": round(first, 3),
        "row_major_ms": round(baseline, 1),
        "numpy_kernel_ms": round(plain, 2),
        "top10_ms": round(float(np.median(tops)), 2),
        "memory_mb": round(memory, 1),
        "compiled_first_use_s": round(load, 2),
        "read_bandwidth_gb_s": round(bandwidth / 1e9, 2),
        "logits": options.logits,
        "probes": options.probes,
        "k": options.k,
        "queries": QUERIES,
        "seed": options.seed,
        "cpu": processor(),
        "cores": cores,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "numba": version("numba"),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logits", type=int, default=1_000_000)
    parser.add_argument("--probes", type=int, default=2_000)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(options, Path(folder))
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
