"""The compact index beside the exact kernel: size, recall after exact re-ranking, latency.

    python benchmarks/speed/low_rank.py --assets DIR --json > benchmarks/results/speed_low_rank.json

Recall@10 on DIR/inet-mini-hub (descriptors of all probes, the hub's default weights of the class
names): k = 50 probes, and all of them. Latency on synthetic descriptors of rank 40 and noise, one
and ten million logits (--logits) x --probes, which needs their product in bytes of memory; the
exact kernel reads the query's k = 50 probes, or all. Answers are compared in the run: recall is
that of the index against the exact scan.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lagotto
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.probed import from_folder
from lagotto.hubsearch.descriptors import standardise
from lagotto.hubsearch.kernel import Table, scan_sums
from lagotto.hubsearch.low_rank import build_low_rank, find_best
from lagotto.hubsearch.weighing import surest, text_weights

RANKS = (32, 64, 128, 192)
CANDIDATES = (100, 1000)


def quantised(descriptors: np.ndarray) -> Table:
    """As a block holds them."""
    steps = (np.abs(descriptors).max(axis=0) / 127).astype(np.float32)
    codes = np.rint(descriptors / np.where(steps > 0, steps, 1)).astype(np.int8)
    return np.ascontiguousarray(codes), steps


def exact_best(tables: list[Table], weights: np.ndarray, top: int) -> list[int]:
    """The best logits by the hub's own scan."""
    probes = np.flatnonzero(weights)
    sums = scan_sums(tables, probes, weights[probes])
    return np.argpartition(-sums, top)[:top].tolist()


def recall(assets: Path) -> list[dict[str, object]]:
    """Of each rank and number of candidates, on real responses."""
    given = from_folder(
        assets / "inet-mini-hub", load_encoder(str(assets / "encoder" / "photo-lit"))
    )
    tables = [quantised(standardise(model.values).values) for model in given.models]
    whole = text_weights(given.questions.space, given.questions.concepts)
    rows = []
    for rank in RANKS:
        index = build_low_rank(tables, rank)
        for name, k in (("k = 50", 50), ("all probes", whole.shape[1])):
            asked = [surest(row, k) for row in whole]
            for candidates in CANDIDATES:
                shares = [
                    len({*find_best(index, tables, w, 10, candidates)[0].tolist()} & {*best}) / 10
                    for w in asked
                    for best in [exact_best(tables, w, 10)]
                ]
                rows.append(
                    {
                        "rank": rank,
                        "weights": name,
                        "candidates": candidates,
                        "recall_at_10": round(float(np.mean(shares)), 4),
                        "size_ratio": round(whole.shape[1] / index.bytes_a_logit, 1),
                    }
                )
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Of some calls, after one that does not count."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return round(1000 * float(np.median(times)), 2)


def latency(logits: int, probes: int, rank: int, rounds: int) -> dict[str, object]:
    """Milliseconds a query by the index and by the exact kernel."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((probes, 40)).astype(np.float32)
    tables: list[Table] = []
    for first in range(0, logits, 65_536):
        width = min(65_536, logits - first)
        columns = truth @ rng.standard_normal((40, width), dtype=np.float32)
        columns += rng.standard_normal(columns.shape, dtype=np.float32)
        tables.append(quantised(columns))
    index = build_low_rank(tables, rank)
    row: dict[str, object] = {"logits": logits, "probes": probes, "rank": rank}
    row["size_ratio"] = round((probes + 4) / index.bytes_a_logit, 1)
    for name, k in (("k50", 50), ("all", probes)):
        weights = surest(rng.random(probes).astype(np.float32) ** 8, k)
        asked = np.flatnonzero(weights)
        best = exact_best(tables, weights, 10)
        found = find_best(index, tables, weights, 10)[0].tolist()
        row[f"recall_at_10_{name}"] = len({*found} & {*best}) / 10
        row[f"index_ms_{name}"] = median_ms(
            lambda w=weights: find_best(index, tables, w, 10), rounds
        )
        for kernel in ("numpy", "numba"):
            row[f"exact_{kernel}_ms_{name}"] = median_ms(
                lambda w=weights, a=asked, c=kernel: scan_sums(tables, a, w[a], c), rounds
            )
    print(row, file=sys.stderr, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--logits", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--probes", type=int, default=1_000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = {
        "mini": None if options.assets is None else recall(options.assets),
        "latency": [
            latency(logits, options.probes, options.rank, options.rounds)
            for logits in options.logits
        ],
        "lagotto": lagotto.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
