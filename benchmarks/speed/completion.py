"""Time and memory of completion: the mini-hub, and synthetic hubs of growing size.

    python benchmarks/speed/completion.py --assets DIR --json

Written to benchmarks/results/speed_completion.json.

`mini` times what `hub add` does for DIR/inet-mini-hub at 120 probes per model: hyperparameter
search, the guard's holdout, the final fit and all completed responses; and folding in one model.
`synthetic` fits hubs of 25,000 to --logits logits x --probes probes, with 30 logits per model and
10 % of the probes answered. The responses have rank 40 plus noise; they are generated on demand and
never held together. Each fit has its own process, whose peak memory is read from the system. The
explained share of the unseen variance is checked: a fit that predicts nothing ends the run.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import lagotto
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.hub.completion.columns import SeenColumns, to_columns
from lagotto.hub.completion.factorization import (
    Settings,
    fit_factors,
    fold_in,
)
from lagotto.hub.completion.fit import completed_responses, fit_completion
from lagotto.hub.probes.subset import Share

WIDTH = 30
RANK = 40


class Synthetic:
    """Synthetic models that are generated again, equal, in each iteration."""

    def __init__(self, logits: int, probes: int, share: float) -> None:
        self.models = logits // WIDTH
        self.share = int(probes * share)
        rng = np.random.default_rng(0)
        self.truth = rng.standard_normal((probes, RANK)).astype(np.float32) / np.sqrt(RANK)
        self.side = (self.truth @ rng.standard_normal((RANK, 64))).astype(np.float32)

    def all_columns(self, number: int) -> np.ndarray:
        """The columns of a model on every probe."""
        rng = np.random.default_rng([1, number])
        columns = self.truth @ rng.standard_normal((RANK, WIDTH)).astype(np.float32)
        return columns + 0.5 * rng.standard_normal(columns.shape, dtype=np.float32)

    def seen(self, number: int) -> np.ndarray:
        """The probes that a model answers."""
        rng = np.random.default_rng([2, number])
        return np.sort(rng.choice(len(self.truth), self.share, replace=False)).astype(np.int64)

    def __iter__(self) -> Iterator[SeenColumns]:
        for number in range(self.models):
            seen = self.seen(number)
            yield SeenColumns(seen, self.all_columns(number)[seen])


def synthetic(logits: int, probes: int, share: float, sweeps: int) -> dict[str, float]:
    """One fit; the seconds per sweep exclude the time to generate the responses."""
    hub = Synthetic(logits, probes, share)
    begin = time.perf_counter()
    for _ in hub:
        pass
    making = time.perf_counter() - begin
    begin = time.perf_counter()
    factors = fit_factors(hub, hub.side, Settings(rank=64, side_weight=0.1, sweeps=sweeps))
    fit = time.perf_counter() - begin
    errors, totals = 0.0, 0.0
    for number in range(0, hub.models, max(1, hub.models // 20)):
        seen, all_columns = hub.seen(number), hub.all_columns(number)
        predicted = factors.values @ fold_in(factors, SeenColumns(seen, all_columns[seen]))
        unseen = np.setdiff1d(np.arange(probes), seen)
        errors += float(np.square(predicted - all_columns)[unseen].sum())
        totals += float(np.square(all_columns)[unseen].sum())
    explained = 1 - errors / totals
    if explained < 0.5:
        raise SystemExit(f"the fit of {logits} logits explains {explained:.2f}; it must be 0.5")
    return {
        "logits": logits,
        "probes": probes,
        "seen_values": hub.models * WIDTH * hub.share,
        "seconds_a_sweep": round((fit - sweeps * making) / sweeps, 3),
        "explained": round(explained, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def mini(assets: Path, count: int) -> dict[str, float]:
    """Seconds for the completion of the mini-hub, and for folding in one model."""
    raw = read_raw_responses(assets / "inet-mini-hub")
    share = Share(count, raw.embeddings)
    pairs = []
    for model in raw.models:
        seen = share.select(model.name)
        pairs.append(to_columns(np.ascontiguousarray(model.values[seen]), seen))
    columns = [seen_columns for seen_columns, _ in pairs]
    begin = time.perf_counter()
    completion = fit_completion(columns, raw.embeddings)
    fitted = time.perf_counter()
    for seen_columns, scale in pairs:
        completed_responses(completion.factors, seen_columns, scale)
    done = time.perf_counter()
    times = []
    for seen_columns, scale in pairs[:100]:
        start = time.perf_counter()
        completed_responses(completion.factors, seen_columns, scale)
        times.append(time.perf_counter() - start)
    warm = time.perf_counter()
    fit_completion(columns, raw.embeddings, start=completion.factors, search=completion.search)
    return {
        "probes_per_model": count,
        "logits": len(raw.labels),
        "rank": completion.search.settings.rank,
        "seconds": round(done - begin, 2),
        "seconds_fitting": round(fitted - begin, 2),
        "seconds_from_earlier_factors": round(time.perf_counter() - warm, 2),
        "fold_in_ms": round(1000 * float(np.median(times)), 2),
        "skill": round(completion.verdict.skill, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--logits", type=int, default=200_000)
    parser.add_argument("--probes", type=int, default=4_000)
    parser.add_argument("--sweeps", type=int, default=3)
    parser.add_argument("--one", type=int, help="one synthetic hub of this many logits, as JSON")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(synthetic(options.one, options.probes, 0.1, options.sweeps)))
        return
    sizes = [options.logits // 8, options.logits // 4, options.logits // 2, options.logits]
    rows = []
    for size in sizes:
        command = [sys.executable, __file__, "--one", str(size), "--probes", str(options.probes)]
        command += ["--sweeps", str(options.sweeps)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
        print(rows[-1], file=sys.stderr, flush=True)
    result = {
        "synthetic": rows,
        "mini": None if options.assets is None else mini(options.assets, 120),
        "cores": os.cpu_count(),
        "lagotto": lagotto.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
