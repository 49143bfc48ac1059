"""What a whole text query costs beside the bare scan that it rests on.

    python benchmarks/speed/query.py --logits 1000000 --probes 2000 --json \
        > benchmarks/results/speed_query.json

A synthetic hub: segments of models of 100 outputs, as a hub has them, whose descriptors and
directions repeat a drawn pattern, shifted from row to row; random unit embeddings of the probes and
of the background words. Each
query is asked by the paper's rule, by the default rule, and by the default rule with a judge, as a
search does once the text is embedded, and by the default rule through a reference whose labels have
a twin in every tenth model. Baselines, asked in turn with them: the compiled scan of the same
probes alone, and a compiled loop that reads the same rows as whole numbers of eight bytes and adds
these up, by as many threads. Random numbers, so times only: what the hits are says nothing.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numba import njit

from lagotto.core.types import Query
from lagotto.core.vectors import unit_rows
from lagotto.hub.confidence.judge import Judge
from lagotto.hub.confidence.reference import measure_background
from lagotto.hub.descriptors.block_models import (
    BlockModel,
    ModelTable,
    fill_models,
)
from lagotto.hub.descriptors.blocks import (
    Block,
    block_header,
    block_layout,
    block_path,
    open_block,
)
from lagotto.hub.descriptors.rank_blend import QUANTILES
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.ingest.segments import LARGEST_SEGMENT
from lagotto.hub.kernels.dispatch import scan_sums
from lagotto.hub.kernels.thread_pool import run_parallel
from lagotto.hub.labels.named import named_through
from lagotto.hub.labels.twins.table import Twins
from lagotto.hub.query.probe_weights import (
    ProbeSpace,
    top_half,
    top_k_weights,
    weigh_texts,
)
from lagotto.hub.query.types import ConceptQuery, QueryVector
from lagotto.hub.query.vectors import query_from_embedding
from lagotto.hub.search.engine import find_logits
from lagotto.hub.search.options import SearchOptions
from lagotto.hub.store.tensorfile import Array, write_tensors
from lagotto.hub.text.matching import Named

OUTPUTS = 100
DIM = 512
WORDS = 1_400
DIGEST = "0" * 64
COLUMNS_A_TASK = 65_536
QUERIES = 8


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Drawn:
    """Raw responses of a model that nobody kept: as a hub has them in a file of their own."""

    def __init__(self, pattern: np.ndarray, first: int) -> None:
        self._pattern, self._first = pattern, first

    def rows(self, probes: np.ndarray, logits: np.ndarray) -> np.ndarray:
        places = (logits + self._first)[None, :] + 7919 * probes[:, None]
        return np.asarray(self._pattern[places % self._pattern.size])


def drawn_pattern() -> np.ndarray:
    """The numbers that raw responses repeat."""
    return np.random.default_rng(1).normal(0, 1, 1_000_003).astype(np.float32)


def write_segment(path: Path, first: int, logits: int, probes: int) -> None:
    """The file of a segment of models of OUTPUTS outputs."""
    rng = np.random.default_rng(first)
    pattern = np.clip(rng.normal(0, 25, logits + (1 << 20)), -127, 127).astype(np.int8)
    models = ModelTable.of(
        [
            BlockModel(f"{first + at:064x}", "00" * 32, at, min(OUTPUTS, logits - at))
            for at in range(0, logits, OUTPUTS)
        ]
    )

    def fill(arrays: Mapping[str, Array]) -> None:
        fill_models(arrays, models)
        arrays["std"][:] = 1.0
        arrays["steps"][:] = rng.uniform(0.03, 0.05, logits)
        arrays["direction_steps"][:] = arrays["steps"] / DIM
        arrays["knots"][:] = np.linspace(-90, 127, QUANTILES).astype(np.int8)
        for row in arrays["values"]:
            begin = int(rng.integers(1 << 20))
            row[:] = pattern[begin : begin + logits]
        for at in range(0, logits, 1 << 16):
            rows = arrays["directions"][at : at + (1 << 16)]
            rows[:] = np.resize(pattern[int(rng.integers(1 << 20)) :], rows.shape)

    layout = block_layout(models, probes, logits, DIM)
    write_tensors(path, block_header(models, DIGEST), layout, fill)
    say(f"made {first + logits:,} logits")


def open_index(folder: Path, logits: int, probes: int) -> LogitIndex:
    """The index of a hub of so many logits, whose segments are made first."""
    blocks: list[Block] = []
    for number, first in enumerate(range(0, logits, LARGEST_SEGMENT)):
        path = block_path(folder, number)
        write_segment(path, first, min(LARGEST_SEGMENT, logits - first), probes)
        blocks.append(open_block(path, DIGEST, trusted=True))
    answers, pattern = {}, drawn_pattern()
    for block in blocks:
        answers |= {each.behaviour_digest: each.first for each in block.models}
    names = {digest: f"model {digest[-8:]}" for digest in answers}
    return LogitIndex(
        blocks, names, lambda _: [None] * OUTPUTS, lambda d: Drawn(pattern, answers[d])
    )


@njit(nogil=True)
def read_rows(
    values: np.ndarray, rows: np.ndarray, first: int, last: int, sums: np.ndarray
) -> None:
    total = np.int64(0)
    for row in rows:
        for each in values[row, first:last].view(np.int64):
            total += each
    sums[first // COLUMNS_A_TASK] = total


def read_plainly(index: LogitIndex, rows: np.ndarray) -> int:
    """Reads the rows of some probes on all cores, and adds up what is in them."""
    tasks, totals = [], []
    for values, _ in index.tables:
        width = values.shape[1] // 8 * 8
        totals.append(np.zeros(-(-width // COLUMNS_A_TASK), np.int64))
        tasks += [
            (values, rows, first, min(first + COLUMNS_A_TASK, width), totals[-1])
            for first in range(0, width, COLUMNS_A_TASK)
        ]
    run_parallel(read_rows, tasks)
    return int(sum(total.sum() for total in totals))


def concept_vectors(space: ProbeSpace, concepts: np.ndarray) -> list[QueryVector]:
    """The queries of concepts, embedded already."""
    weights, covered = weigh_texts(space, concepts)
    return [
        QueryVector(
            Query("text", f"concept {number}"),
            query_from_embedding(concept, space.probes),
            concepts=(
                ConceptQuery(row, concept - space.background_mean, probe_coverage=float(shown)),
            ),
        )
        for number, (concept, row, shown) in enumerate(zip(concepts, weights, covered, strict=True))
    ]


def drawn_twins(logits: int, rng: np.random.Generator) -> Twins:
    """One output of every tenth model as the twin of each label of the first model, at random."""
    models = np.arange(10, logits // OUTPUTS, 10)
    labels = np.arange(OUTPUTS)
    columns = (models[None, :] * OUTPUTS + rng.integers(0, OUTPUTS, (OUTPUTS, len(models)))).ravel()
    likely = rng.uniform(0.05, 1.0, columns.size).astype(np.float32)
    return Twins(np.repeat(labels, len(models)), columns, likely)


def measure(ways: dict[str, Callable[[int], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each way: its first call, and the median of all later ones.

    The ways take turns, so that what else the machine does weighs on all of them alike.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds * QUERIES):
        for name, way in ways.items():
            begin = time.perf_counter()
            way(number % QUERIES)
            times[name].append((time.perf_counter() - begin) * 1e3)
    return {
        name: {"first_ms": round(each[0], 2), "ms": round(float(np.median(each[QUERIES:])), 2)}
        for name, each in times.items()
    }


def run(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    rng = np.random.default_rng(options.seed)
    logit_index = open_index(folder, options.logits, options.probes)
    embeddings, words, concepts = (
        unit_rows(rng.normal(size=(count, DIM)).astype(np.float32))
        for count in (options.probes, WORDS, QUERIES)
    )
    space = ProbeSpace(embeddings, words, 26.5)
    say("rivals")
    begin = time.perf_counter()
    rivals = measure_background(space, words, logit_index.blended(logit_index.sample))
    made = time.perf_counter() - begin
    judge = Judge(space, logit_index, rivals)
    vectors = concept_vectors(space, concepts)
    weights, _ = weigh_texts(space, concepts)
    top_weights = [top_k_weights(row, options.k) for row in weights]
    probes = [np.flatnonzero(row) for row in top_weights]
    halves = [top_half(row) for row in top_weights]

    def bare(at: int) -> object:
        return scan_sums(logit_index.tables, probes[at], top_weights[at][probes[at]], "numba")

    def half(at: int) -> object:
        return scan_sums(logit_index.tables, halves[at], top_weights[at][halves[at]], "numba")

    twins = drawn_twins(options.logits, rng)
    own = Named(np.zeros(1, np.int64), np.ones(1, np.float32), np.ones(1, np.float32))

    def taught(at: int) -> QueryVector:
        label = np.array([at], np.int64)
        named = named_through(replace(own, columns=label), [twins])
        assert len(named.columns) > 1
        concept = replace(vectors[at].concepts[0], named=named)
        return replace(vectors[at], concepts=(concept,))

    def ask(rule: str, judged: bool, names: bool = False) -> Callable[[int], object]:
        return lambda at: find_logits(
            logit_index,
            taught(at) if names else vectors[at],
            SearchOptions(
                rule=rule,  # type: ignore[arg-type]
                k=options.k,
                top=10,
                by_model=False,
            ),
            judge=judge if judged else None,
        )

    ways = {
        "plain read of the same rows": lambda at: read_plainly(logit_index, probes[at]),
        "bare compiled scan": bare,
        "bare scan of the surer half": half,
        "paper's rule": ask("paper", False),
        "default rule": ask("default", False),
        "default rule, judged": ask("default", True),
        "default rule, through a reference": ask("default", False, names=True),
    }
    bare(0), read_plainly(logit_index, probes[0])  # both are compiled now
    rows = measure(ways, options.rounds)
    for name, row in rows.items():
        say(f"{name}: {row}")
    base = rows["bare compiled scan"]["ms"]
    return {
        "rows": rows,
        "scan_to_plain_read": round(base / rows["plain read of the same rows"]["ms"], 2),
        "times_the_bare_scan": {
            name: round(row["ms"] / base, 2) for name, row in rows.items() if "rule" in name
        },
        "rivals_made_once_s": round(made, 2),
        "logits": options.logits,
        "probes": options.probes,
        "k": options.k,
        "dim": DIM,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logits", type=int, default=1_000_000)
    parser.add_argument("--probes", type=int, default=2_000)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(options, Path(folder))
    print(json.dumps(report, indent=1) if options.json else report)


if __name__ == "__main__":
    main()
