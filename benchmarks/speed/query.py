"""What a whole text query costs beside the bare scan that it rests on.

    python benchmarks/speed/query.py --logits 1000000 --probes 2000 --json \
        > benchmarks/results/speed_query.json

A synthetic hub in memory-mapped files: blocks of models of 100 outputs with random descriptors,
directions and quantiles, random unit embeddings of the probes and of the background words. Each
query is asked by the paper's rule, by the default rule, and by the default rule with a judge, as a
search does once the text is embedded, and by the default rule through a reference whose labels have
a twin in every tenth model; the baseline is the compiled scan of the same probes alone, asked in
turn with them. Random numbers, so times only: what the hits are says nothing.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lagotto.core.types import Query
from lagotto.core.vectors import unit_rows
from lagotto.hub.confidence.judge import Judge
from lagotto.hub.confidence.reference import measure_background
from lagotto.hub.descriptors.blocks import (
    LOGITS_PER_BLOCK,
    Block,
    BlockModel,
)
from lagotto.hub.descriptors.rank_blend import QUANTILES
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.kernels.dispatch import scan_sums
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
from lagotto.hub.text.matching import Named

OUTPUTS = 100
DIM = 512
WORDS = 1_400
QUERIES = 8


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Drawn:
    """Raw responses of a model that nobody kept: the descriptors of its block."""

    def __init__(self, block: Block, first: int) -> None:
        self._block, self._first = block, first

    def rows(self, probes: np.ndarray, logits: np.ndarray) -> np.ndarray:
        columns = logits + self._first
        return np.asarray(self._block.values[np.ix_(probes, columns)] * self._block.steps[columns])


def mapped(path: Path, shape: tuple[int, ...], fill: Callable[[int], np.ndarray]) -> np.ndarray:
    """An int8 array in a file, filled row by row, then read-only: a plain one, as in a hub."""
    made = np.lib.format.open_memmap(path, "w+", np.int8, shape)
    for row in range(shape[0]):
        made[row] = fill(row)
    made.flush()
    del made
    return np.asarray(np.load(path, mmap_mode="r"))


def make_block(folder: Path, first: int, logits: int, probes: int, seed: int) -> Block:
    rng = np.random.default_rng(seed)

    def drawn(width: int) -> Callable[[int], np.ndarray]:
        return lambda _: np.clip(rng.normal(0, 25, width), -127, 127).astype(np.int8)

    values = mapped(folder / f"values{first}.npy", (probes, logits), drawn(logits))
    directions = mapped(folder / f"directions{first}.npy", (logits, DIM), drawn(DIM))
    levels = np.linspace(-90, 127, QUANTILES).astype(np.int8)
    quantiles = mapped(folder / f"quantiles{first}.npy", (logits, QUANTILES), lambda _: levels)
    steps = rng.uniform(0.03, 0.05, logits).astype(np.float32)
    models = tuple(
        BlockModel(f"{first + at:064x}", "00" * 32, at, min(OUTPUTS, logits - at))
        for at in range(0, logits, OUTPUTS)
    )
    say(f"made {first + logits:,} logits")
    return Block(
        models, values, steps, np.zeros(logits), np.ones(logits), quantiles, directions, steps / DIM
    )


def make_logit_index(folder: Path, logits: int, probes: int) -> LogitIndex:
    blocks = [
        make_block(folder, first, min(LOGITS_PER_BLOCK, logits - first), probes, first)
        for first in range(0, logits, LOGITS_PER_BLOCK)
    ]
    answers = {
        model.behaviour_digest: Drawn(block, model.first)
        for block in blocks
        for model in block.models
    }
    names = {digest: f"model {digest[-8:]}" for digest in answers}
    return LogitIndex(blocks, names, lambda _: [None] * OUTPUTS, answers.__getitem__)


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
    logit_index = make_logit_index(folder, options.logits, options.probes)
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
        "bare compiled scan": bare,
        "bare scan of the surer half": half,
        "paper's rule": ask("paper", False),
        "default rule": ask("default", False),
        "default rule, judged": ask("default", True),
        "default rule, through a reference": ask("default", False, names=True),
    }
    bare(0)  # the compiled kernel is loaded
    rows = measure(ways, options.rounds)
    for name, row in rows.items():
        say(f"{name}: {row}")
    base = rows["bare compiled scan"]["ms"]
    return {
        "rows": rows,
        "times_the_bare_scan": {
            name: round(row["ms"] / base, 2) for name, row in rows.items() if "bare" not in name
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
