"""The low-rank index beside the exact kernel: size, recall after re-ranking, latency.

    python benchmarks/speed/low_rank.py --assets DIR --folder TMP --out FILE

Two parts. `mini`: DIR/inet-mini-hub, 300 models on all of its probes, for several ranks and numbers
of candidates. `synthetic`: --logits (one and ten million) x --probes, made block by block in TMP
(logits x probes bytes of disk, no more memory than the index and a block), with the spectrum of the
mini-hub: a logit is drawn from a normal distribution whose covariance over the probes has the
mini-hub's 200 leading directions and strengths, and white noise of what variance is left. So unlike
a hub's, its logits have no near relatives: the nearest are hard to tell from the next.

Queries are the mini-hub's class names as the default rule weighs them (50 probes, and all), and
known logits (all probes). The exact answer is the kernel's scan of all logits; the index's is its
first pass, then the kernel over its candidates. Both are in every round, and recall is of the one
against the other. --rounds 0 measures no time. FILE: benchmarks/results/speed_low_rank.json.
"""

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lagotto
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.probing.models import ProbingData, from_folder
from lagotto.hub.descriptors.blocks import LOGITS_PER_BLOCK
from lagotto.hub.descriptors.quantize import quantize
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.low_rank import (
    LowRankIndex,
    build_low_rank,
    default_rank,
)
from lagotto.hub.index.scoring import SEARCH_CONFIG
from lagotto.hub.index.topk import top_k_logits
from lagotto.hub.kernels.dispatch import (
    scan_distances,
    scan_sums,
)
from lagotto.hub.kernels.gather import gather_values
from lagotto.hub.kernels.kernel import KernelName, Table
from lagotto.hub.query.probe_weights import text_weights, top_k_weights

RANKS = (32, 64, 128, 192)
MINI_CANDIDATES = (30, 100, 300, 1000)
TOP = 10
LEADING = 200
KINDS = ("names, 50 probes", "names, all probes", "known logits")


@dataclass(frozen=True)
class Question:
    """A query of some kind: its weights, or a known logit's values, on all probes."""

    kind: str
    values: np.ndarray

    @property
    def probes(self) -> np.ndarray:
        """Those that the exact kernel reads."""
        everything = np.arange(len(self.values))
        return everything if self.kind == "known logits" else np.flatnonzero(self.values)

    @property
    def candidates(self) -> int:
        """As many as a hub's search takes."""
        if self.kind == "known logits":
            return SEARCH_CONFIG.nearest
        return SEARCH_CONFIG.index_candidates * SEARCH_CONFIG.candidates


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def standard(descriptors: np.ndarray) -> np.ndarray:
    """Columns of mean zero and variance one."""
    centred = descriptors - descriptors.mean(axis=0)
    return centred / np.maximum(centred.std(axis=0), 1e-9)


def questions(weights: np.ndarray, tables: Sequence[Table], count: int) -> list[Question]:
    """`count` of each kind."""
    rng = np.random.default_rng(1)
    logits = sum(steps.size for _, steps in tables)
    known = np.sort(rng.choice(logits, count, replace=False))
    codes, steps = gather_values(tables, known, np.arange(weights.shape[1]))
    rows = weights[np.sort(rng.choice(len(weights), min(count, len(weights)), replace=False))]
    return [
        *(Question(KINDS[0], top_k_weights(row, SEARCH_CONFIG.k)) for row in rows),
        *(Question(KINDS[1], row) for row in rows),
        *(Question(KINDS[2], row) for row in (codes * steps).T),
    ]


def score(tables: Sequence[Table], question: Question, kernel: KernelName | None) -> np.ndarray:
    """Higher is better: weighted sums, or minus distances."""
    probes = question.probes
    values = question.values[probes]
    if question.kind == "known logits":
        return -scan_distances(tables, probes, values, kernel)
    return scan_sums(tables, probes, values, kernel)


def by_scan(
    tables: Sequence[Table], question: Question, kernel: KernelName | None = None
) -> set[int]:
    """The best logits of all."""
    return set(top_k_logits(score(tables, question, kernel), TOP).tolist())


def by_index(
    index: LowRankIndex, tables: Sequence[Table], question: Question, candidates: int
) -> set[int]:
    """The best logits of the index's candidates."""
    candidate_columns = top_k_logits(index.scores(question.values), candidates)
    codes, steps = gather_values(tables, candidate_columns, question.probes)
    own = score([(codes, steps)], Question(question.kind, question.values[question.probes]), None)
    return set(candidate_columns[top_k_logits(own, TOP)].tolist())


def mini(given: ProbingData, weights: np.ndarray) -> dict[str, object]:
    """Recall for each rank and number of candidates, on real responses."""
    tables = [quantize(standardize(model.values).values) for model in given.models]
    queries = questions(weights, tables, 200)
    truths = [by_scan(tables, each) for each in queries]
    size = sum(codes.nbytes + steps.nbytes for codes, steps in tables)
    rows = []
    for rank in RANKS:
        index = build_low_rank(tables, rank)
        for candidates in MINI_CANDIDATES:
            shares: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for each, truth in zip(queries, truths, strict=True):
                found = by_index(index, tables, each, candidates)
                shares[each.kind].append(len(found & truth) / TOP)
            recall = {kind: round(float(np.mean(own)), 4) for kind, own in shares.items()}
            rows.append({"rank": rank, "candidates": candidates, "recall_at_10": recall})
            rows[-1]["size_ratio"] = round(size / index.size, 2)
            say(str(rows[-1]))
    return {"logits": sum(s.size for _, s in tables), "probes": weights.shape[1], "rows": rows}


@dataclass(frozen=True)
class Spectrum:
    """Directions over the probes, scaled by their strength, and the noise that is left."""

    factors: np.ndarray
    noise: float
    shares: dict[str, float]


def measure_spectrum(given: ProbingData, probes: np.ndarray) -> Spectrum:
    """Of the mini-hub's descriptors on some of its probes."""
    own = [standard(standardize(model.values).values[probes]) for model in given.models]
    moments = sum(each @ each.T for each in own) / sum(each.shape[1] for each in own)
    squares, vectors = np.linalg.eigh(moments.astype(np.float64))
    squares, vectors = squares[::-1], vectors[:, ::-1]
    left = max(float(squares[LEADING:].sum()), 0.0) / len(probes)
    shares = np.cumsum(squares) / squares.sum()
    return Spectrum(
        (vectors[:, :LEADING] * np.sqrt(np.maximum(squares[:LEADING], 0))).astype(np.float32),
        left**0.5,
        {str(rank): round(float(shares[rank - 1]), 4) for rank in (8, 16, 32, 64, 128, LEADING)},
    )


def make_tables(folder: Path, spectrum: Spectrum, logits: int) -> list[Table]:
    """Blocks on disk, memory-mapped."""
    rng = np.random.default_rng(0)
    probes, leading = spectrum.factors.shape
    tables: list[Table] = []
    for first in range(0, logits, LOGITS_PER_BLOCK):
        width = min(LOGITS_PER_BLOCK, logits - first)
        path = folder / f"{first}.npy"
        block = np.lib.format.open_memmap(path, "w+", np.int8, (probes, width))
        steps = np.empty(width, np.float32)
        for begin in range(0, width, 8192):
            part = slice(begin, min(begin + 8192, width))
            size = part.stop - part.start
            columns = spectrum.factors @ rng.standard_normal((leading, size), dtype=np.float32)
            noise = rng.standard_normal(columns.shape, dtype=np.float32)
            columns += np.float32(spectrum.noise) * noise
            block[:, part], steps[part] = quantize(standard(columns))
        block.flush()
        tables.append((np.load(path, mmap_mode="r"), steps))
        say(f"made {first + width:,} of {logits:,} logits")
    return tables


def median_ms(
    work: Callable[[Question], object], queries: Sequence[Question], rounds: int
) -> float:
    """Of all questions in some rounds, after one that does not count."""
    times = []
    for number in range(rounds + 1):
        for each in queries:
            begin = time.perf_counter()
            work(each)
            times += [time.perf_counter() - begin] if number else []
    return round(1000 * float(np.median(times)), 2)


def synthetic(
    folder: Path, spectrum: Spectrum, weights: np.ndarray, logits: int, rank: int, rounds: int
) -> dict[str, object]:
    """Recall and milliseconds of each kind of query, through the index and by the exact kernel."""
    tables = make_tables(folder, spectrum, logits)
    begin = time.perf_counter()
    index = build_low_rank(tables, rank)
    built = time.perf_counter() - begin
    size = sum(codes.nbytes + steps.nbytes for codes, steps in tables)
    queries = questions(weights, tables, 40)
    row: dict[str, object] = {"logits": logits, "probes": weights.shape[1], "rank": rank}
    row |= {"size_ratio": round(size / index.size, 2), "index_mb": round(index.size / 1e6, 1)}
    if rounds:
        row["build_s"] = round(built, 1)
    kinds: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        own = [each for each in queries if each.kind == kind]
        pairs = [
            (by_index(index, tables, q, q.candidates), by_scan(tables, q, "numba")) for q in own
        ]
        recall = float(np.mean([len(found & truth) / TOP for found, truth in pairs]))
        kinds[kind] = {"candidates": own[0].candidates, "recall_at_10": round(recall, 4)}
        if rounds:
            kinds[kind] |= {
                "index_ms": median_ms(
                    lambda q: by_index(index, tables, q, q.candidates), own, rounds
                ),
                "exact_ms": median_ms(lambda q: by_scan(tables, q, "numba"), own, rounds),
            }
        say(f"{logits:,} {kind} {kinds[kind]}")
    return {**row, "queries": kinds}


def anonymous_mb() -> float:
    """Memory of this process at its highest that no file backs, as far as the system tells."""
    status = Path("/proc/self/status").read_text()
    found = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return round(int(found[0].split()[1]) / 1024) if found else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for the synthetic blocks")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--logits", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--probes", type=int, default=1_000)
    parser.add_argument("--rank", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    encoder = load_encoder(str(options.assets / "encoder" / "photo-lit"))
    given = from_folder(options.assets / "inet-mini-hub", encoder)
    weights = text_weights(given.queries.space, given.queries.concepts)
    made: dict[str, object] = {"mini": mini(given, weights)}
    every = weights.shape[1]
    probes = np.sort(np.random.default_rng(0).permutation(every)[: options.probes])
    spectrum = measure_spectrum(given, probes)
    shares = weights[:, probes] / weights[:, probes].sum(axis=1, keepdims=True)
    rank = default_rank(len(probes)) if options.rank is None else options.rank
    rows = []
    for logits in options.logits:
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            rows.append(synthetic(folder, spectrum, shares, logits, rank, options.rounds))
        finally:
            shutil.rmtree(folder)
        rows[-1]["memory_after_mb"] = anonymous_mb()
    made["synthetic"] = {"spectrum": spectrum.shares, "rows": rows}
    made |= {
        "lagotto": lagotto.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    options.out.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
