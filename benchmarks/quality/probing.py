"""Search accuracy when each model saw a share of the probes: fixed subset, completed, guarded.

    python benchmarks/quality/probing.py --assets DIR --part PART --out FILE

PART is one of
  mini       DIR/inet-mini-hub, 300 models, its 200 class names as queries, each choice of probes
  baselines  the same with plain masked ALS and mean-filled SVD, on random probes
  shared     the 22 models of DIR/hub (--hub: made of them and all three sets of photos), queries
             `imagenet` of truth.json

and is added to FILE (benchmarks/results/quality_probing.json). Each run selects rank and side
weight on held-out responses. The guard's threshold was set on parts of 6 and 20 models of the
mini-hub, with the half of its class names whose SHA-256 begins with an even byte, and on the 22
models. The strategy of choosing a model's probes was set on names that are not among the 200.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from completion_baselines import alternating_least_squares, filled_svd

import lagotto
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.probing.curve import probing_curve
from lagotto.evaluation.probing.models import (
    ProbingData,
    from_folder,
    from_hub,
)
from lagotto.evaluation.probing.scores import scores_on_the_same_probes
from lagotto.hub.completion.columns import to_columns, to_responses
from lagotto.hub.hub import Hub
from lagotto.hub.probes.subset import Choosing, Share

COUNTS = (30, 60, 120, 200, 300, 500)
BASELINE_COUNTS = (60, 120, 200, 300, 500)
CHOICES: tuple[Choosing, ...] = ("spread", "random")
SHARED_COUNTS = (60, 120, 200, 300)


def mini(
    data: ProbingData,
    seeds: int,
    strategies: Sequence[Choosing],
    counts: Sequence[int],
    known: dict[str, dict[str, list[dict[str, object]]]],
) -> dict[str, object]:
    """The curve for each strategy of choosing a model's probes; `known` rows are kept."""
    result: dict[str, object] = {**known}
    for strategy in strategies:
        rows = [
            row for row in known.get(strategy, {}).get("rows", []) if row["probes"] not in counts
        ]
        for count in counts:
            curve = probing_curve(data.models, data.queries, [count], seeds, strategy).as_json()
            rows += curve["rows"]
            print(strategy, count, json.dumps(curve["rows"][0]), file=sys.stderr, flush=True)
        result[strategy] = {**curve, "rows": sorted(rows, key=lambda row: int(str(row["probes"])))}
    return result


def baselines(data: ProbingData, seeds: int) -> list[dict[str, object]]:
    """Masked ALS and mean-filled SVD, rank 32, on random probes, by both rules."""
    space, concepts = data.queries.space, data.queries.concepts
    probes = len(space.probes)
    rows = []
    for count in BASELINE_COUNTS:
        share = Share(count, space.probes, "random")
        top1: dict[str, list[float]] = {}
        for seed in range(seeds):
            observed = []
            for model in data.models:
                seen = share.select(f"{model.name} {seed}")
                observed.append(to_columns(np.ascontiguousarray(model.values[seen]), seen))
            columns = [seen_columns for seen_columns, _ in observed]
            methods = {
                "als": alternating_least_squares(columns, probes, seed=seed),
                "svd": filled_svd(columns, probes),
            }
            for method, completed in methods.items():
                pairs = zip(completed, observed, strict=True)
                responses = [to_responses(values, scale) for values, (_, scale) in pairs]
                for rule in ("default", "paper"):
                    scores = scores_on_the_same_probes(rule, space, concepts, responses)
                    best = scores.argmax(axis=1).tolist()
                    hits = [b in good for b, good in zip(best, data.queries.right, strict=True)]
                    top1.setdefault(f"{method}, {rule} rule", []).append(float(np.mean(hits)))
        row = {name: round(float(np.mean(values)), 4) for name, values in top1.items()}
        rows.append({"probes": count, **row})
        print("baselines", rows[-1], file=sys.stderr, flush=True)
    return rows


def shared(assets: Path, folder: Path, seeds: int) -> dict[str, object]:
    """The guard on 22 models that have little in common."""
    hub = Hub.open(folder, str(assets / "encoder" / "photo-lit"))
    queries = json.loads((assets / "hub" / "truth.json").read_text())["queries"]
    with tempfile.TemporaryDirectory() as temporary:
        truth = Path(temporary) / "truth.json"
        imagenet_queries = [query for query in queries if query["kind"] == "imagenet"]
        truth.write_text(json.dumps({"queries": imagenet_queries}))
        data = from_hub(hub, truth)
    result = probing_curve(data.models, data.queries, SHARED_COUNTS, seeds).as_json()
    return {"probe_digest": hub.probe_digest, "models": len(data.models), **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--part", choices=("mini", "baselines", "shared"), required=True)
    parser.add_argument("--hub", type=Path, help="for the part `shared`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)), help="of the part `mini`")
    parser.add_argument("--choices", default=",".join(CHOICES), help="of the part `mini`")
    options = parser.parse_args()
    if options.part == "shared":
        part: object = shared(options.assets, options.hub, options.seeds)
    else:
        encoder = load_encoder(str(options.assets / "encoder" / "photo-lit"))
        data = from_folder(options.assets / "inet-mini-hub", encoder)
        if options.part == "mini":
            known = json.loads(options.out.read_text()) if options.out.exists() else {}
            counts = [int(count) for count in options.counts.split(",")]
            strategies = [choice for choice in CHOICES if choice in options.choices.split(",")]
            part = mini(data, options.seeds, strategies, counts, known.get("mini", {}))
        else:
            part = baselines(data, options.seeds)
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    known |= {
        options.part: part,
        "seeds": options.seeds,
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    options.out.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
