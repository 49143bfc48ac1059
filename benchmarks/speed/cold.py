"""What a scan costs whose rows are on the disk only, beside a sequential read of as many bytes.

    python benchmarks/speed/cold.py --json > benchmarks/results/speed_cold.json

A file of random int8 descriptors, probe by probe as in a hub. Before each measurement the system is
told to drop the file from its cache, and the pages are taken out of this process. Five ways take
turns on other rows each time: a sequential read of k rows that lie side by side; k single rows,
read one after the other past the system's cache (O_DIRECT), which is what the disk can do; the same
by four threads; the scan of k single rows as it is; and the same scan after `read_ahead`, as a
search does it. The sums of both scans are compared. Last, what `read_ahead` costs where all rows
are in the cache.
"""

import argparse
import json
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lagotto.hub.kernels.dispatch import scan_sums
from lagotto.hub.kernels.pages import read_ahead
from lagotto.hub.store.tensorfile import MappedFile, open_tensors, write_tensors

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from provenance import conditions

_READ = 1 << 20


def make_file(path: Path, probes: int, logits: int) -> None:
    rng = np.random.default_rng(0)
    layout = {"values": ("I8", (probes, logits)), "steps": ("F32", (logits,))}

    def fill(arrays: dict[str, np.ndarray]) -> None:
        arrays["steps"][:] = rng.uniform(0.02, 0.05, logits)
        for row in arrays["values"]:
            row[:] = np.maximum(np.frombuffer(rng.bytes(logits), np.int8), -127)

    write_tensors(path, {"format": "made", "version": 1}, layout, fill)


class RowReader:
    """Reads rows of mapped tables by some threads, in whole pages, and does nothing with them.

    `past_the_cache`: from the disk whatever the system's cache holds (O_DIRECT).
    """

    def __init__(self, tables: Sequence[np.ndarray], *, past_the_cache: bool) -> None:
        flags, self._places = os.O_RDONLY | (os.O_DIRECT if past_the_cache else 0), []
        for table in tables:
            memory: MappedFile = table.base
            start = table.__array_interface__["data"][0] - memory.address()
            file = os.open(f"/proc/self/fd/{memory.descriptor()}", flags)
            self._places.append((file, start, table.strides[0]))

    def read(self, rows: np.ndarray, threads: int) -> None:
        pieces = [
            (file, (start + row * width) // mmap.PAGESIZE * mmap.PAGESIZE + at, width - at)
            for file, start, width in self._places
            for row in rows.tolist()
            for at in range(0, width, _READ)
        ]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self._read, (pieces[at::threads] for at in range(threads))))

    def _read(self, pieces: list[tuple[int, int, int]]) -> None:
        with mmap.mmap(-1, _READ) as buffer, memoryview(buffer) as view:
            for file, at, left in pieces:
                pages = -(-min(left, _READ) // mmap.PAGESIZE)
                with view[: pages * mmap.PAGESIZE] as room:
                    os.preadv(file, [room], at)


def run(options: argparse.Namespace, path: Path) -> dict[str, object]:
    make_file(path, options.probes, options.logits)
    file = open_tensors(path, "made", 1)
    values, steps = file.arrays["values"], np.array(file.arrays["steps"])
    memory: MappedFile = values.base
    weights = np.ones(options.k, np.float32)
    past = RowReader([values], past_the_cache=True)
    descriptor = os.open(path, os.O_RDONLY)

    def drop() -> None:
        memory.madvise(mmap.MADV_DONTNEED)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def sequential(rows: np.ndarray) -> None:
        buffer, first = bytearray(_READ), int(rows[0]) % (options.probes - options.k)
        start, left = path.stat().st_size - values.nbytes + first * options.logits, rows.size
        left *= options.logits
        while left > 0:
            left -= os.preadv(descriptor, [buffer], start)
            start += _READ

    def plain(rows: np.ndarray) -> np.ndarray:
        return scan_sums([(values, steps)], rows, weights, "numba")

    def ahead(rows: np.ndarray) -> np.ndarray:
        read_ahead([values], rows)
        return plain(rows)

    ways: dict[str, Callable[[np.ndarray], object]] = {
        "sequential read": sequential,
        "the rows alone, past the cache": lambda rows: past.read(rows, 1),
        "the same by four threads": lambda rows: past.read(rows, 4),
        "scan": plain,
        "scan with read-ahead": ahead,
    }
    rng = np.random.default_rng(options.seed)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            rows = np.sort(rng.choice(options.probes, options.k, replace=False))
            drop()
            begin = time.perf_counter()
            found = way(rows)
            times[name].append(time.perf_counter() - begin)
            if found is not None:
                np.testing.assert_array_equal(found, plain(rows))
        print({name: round(1e3 * each[-1]) for name, each in times.items()}, file=sys.stderr)
    plain(rows)
    begin = time.perf_counter()
    assert read_ahead([values], rows) == 0
    warm = time.perf_counter() - begin
    base = np.array(times["sequential read"])
    return {
        "rows": {
            name: {
                "ms": round(1e3 * float(np.median(each)), 1),
                "to_sequential": round(float(np.median(np.array(each) / base)), 2),
            }
            for name, each in times.items()
        },
        "read_ahead_of_cached_rows_ms": round(1e3 * warm, 3),
        **conditions(options),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logits", type=int, default=2_000_000)
    parser.add_argument("--probes", type=int, default=640)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the file is made: on the disk measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        report = run(options, Path(folder) / "values.safetensors")
    print(json.dumps(report, indent=1) if options.json else report)


if __name__ == "__main__":
    main()
