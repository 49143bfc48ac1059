"""What a text query costs in a hub that is larger than memory, beyond reading its bytes.

    python benchmarks/speed/large.py --json > benchmarks/results/speed_large.json

Segments of ten million logits x 2,000 probes in the files of a hub: 27 GB, which must be free on
the disk. Their values repeat a drawn pattern, shifted from row to row, so times only: what the hits
are says nothing. The process has asked before (it is warm), and the text is embedded. In each round
the system is told to drop the files from its cache, and one of four ways reads the rows of k probes
that no round has read before: their bytes alone, past the cache, by one thread and by four; a query
by the default rule; that query without reading ahead. A fifth way has the system read other rows
into its cache, reads them once more from there by two threads, and asks the query that needs them.
Hits are measured on the values of the segments: responses of ten million logits would be 80 GB
more.
"""

import argparse
import json
import mmap
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np

from lagotto.core.vectors import unit_rows
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.query.probe_weights import ProbeSpace, top_k_weights, weigh_texts
from lagotto.hub.search.engine import find_logits
from lagotto.hub.search.options import SearchOptions

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from cold import RowReader
from query import DIM, WORDS, concept_vectors, open_index, say

from provenance import conditions

ALONE, IN_CACHE = "the bytes alone", "the bytes alone, in the cache"
QUERY_IN_CACHE = "query, its rows in the cache"


def drop(folder: Path, index: LogitIndex) -> None:
    """Has the system forget the segments, which must be read from the disk again."""
    for values, _ in index.tables:
        values.base.madvise(mmap.MADV_DONTNEED)
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def beyond(times: dict[str, list[float]], name: str) -> float:
    """Milliseconds of a way more than the bytes alone took in the same round; the median."""
    base = IN_CACHE if name in (IN_CACHE, QUERY_IN_CACHE) else ALONE
    return 1e3 * float(np.median(np.array(times[name]) - np.array(times[base])))


def run(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    index = open_index(folder, options.logits, options.probes)
    rng = np.random.default_rng(options.seed)
    disk = RowReader([values for values, _ in index.tables], past_the_cache=True)
    cache = RowReader([values for values, _ in index.tables], past_the_cache=False)
    ways = (ALONE, "the bytes alone, one thread", "query", "query without reading ahead")
    queries = options.rounds * (len(ways) + 1) + 1
    embeddings, words, concepts = (
        unit_rows(rng.normal(size=(count, DIM)).astype(np.float32))
        for count in (options.probes, WORDS, queries)
    )
    space = ProbeSpace(embeddings, words, 26.5)
    vectors = concept_vectors(space, concepts)
    weights, _ = weigh_texts(space, concepts)
    rows = [np.flatnonzero(top_k_weights(row, options.k)) for row in weights]
    asked = SearchOptions(rule="default", k=options.k, top=10, by_model=False)

    def ask(at: int) -> object:
        return find_logits(index, vectors[at], asked)

    def ask_plainly(at: int) -> object:
        with patch.object(LogitIndex, "read_ahead", lambda *_: None):
            return ask(at)

    does: dict[str, Callable[[int], object]] = {
        ALONE: lambda at: disk.read(rows[at], 4),
        "the bytes alone, one thread": lambda at: disk.read(rows[at], 1),
        "query": ask,
        "query without reading ahead": ask_plainly,
    }
    begin = time.perf_counter()
    ask(queries - 1)
    first_s = time.perf_counter() - begin
    times: dict[str, list[float]] = {name: [] for name in (*ways, IN_CACHE, QUERY_IN_CACHE)}
    for number in range(options.rounds):
        for place, name in enumerate(ways):
            at = number * (len(ways) + 1) + place
            drop(folder, index)
            begin = time.perf_counter()
            does[name](at)
            times[name].append(time.perf_counter() - begin)
        at += 1
        cache.read(rows[at], 2)
        for name, again in (
            (IN_CACHE, partial(cache.read, rows[at], 2)),
            (QUERY_IN_CACHE, partial(ask, at)),
        ):
            begin = time.perf_counter()
            again()
            times[name].append(time.perf_counter() - begin)
        say(str({name: round(1e3 * each[-1]) for name, each in times.items()}))
    return {
        "rows": {
            name: {
                "ms": round(1e3 * float(np.median(each)), 1),
                "beyond_the_bytes_ms": round(beyond(times, name), 1),
            }
            for name, each in times.items()
        },
        "first_query_of_the_process_s": round(first_s, 2),
        "bytes_of_the_rows": options.k * options.logits,
        "bytes_on_disk": sum(path.stat().st_size for path in folder.iterdir()),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **conditions(options),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logits", type=int, default=10_000_000)
    parser.add_argument("--probes", type=int, default=2_000)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the files are made: the disk measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        report = run(options, Path(folder))
    print(json.dumps(report, indent=1) if options.json else report)


if __name__ == "__main__":
    main()
