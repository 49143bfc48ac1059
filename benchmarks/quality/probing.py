"""Accuracy when each model saw a share of the probes: fixed subset, completed, guarded.

    python benchmarks/quality/probing.py --assets DIR --part PART --out FILE

PART is one of
  mini       DIR/inet-mini-hub, 300 models, its 200 class names as queries, each choice of probes
  baselines  the same with plain masked ALS and mean-filled SVD, on random probes
  shared     the 22 models of DIR/hub (--hub: made of them and all three sets of photos), queries
             `imagenet` of truth.json

and is written into FILE (benchmarks/results/quality_probing.json) beside the others. Rank and side
weight are chosen in each run from held-back answers. The guard's threshold was chosen on parts of
6 and 20 models of the mini-hub with the half of its class names whose SHA-256 begins with an even
byte, and on the 22 models; how a model's probes are chosen, on names that are not among the 200.
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
    given: ProbingData,
    seeds: int,
    ways: Sequence[Choosing],
    counts: Sequence[int],
    known: dict[str, dict[str, list[dict[str, object]]]],
) -> dict[str, object]:
    """The curve for each way of choosing a model's probes; rows known from before are kept."""
    found: dict[str, object] = {**known}
    for choosing in ways:
        rows = [
            row for row in known.get(choosing, {}).get("rows", []) if row["probes"] not in counts
        ]
        for count in counts:
            curve = probing_curve(given.models, given.queries, [count], seeds, choosing).as_json()
            rows += curve["rows"]
            print(choosing, count, json.dumps(curve["rows"][0]), file=sys.stderr, flush=True)
        found[choosing] = {**curve, "rows": sorted(rows, key=lambda row: int(str(row["probes"])))}
    return found


def baselines(given: ProbingData, seeds: int) -> list[dict[str, object]]:
    """Masked ALS and mean-filled SVD, rank 32, on random probes, by both rules."""
    space, concepts = given.queries.space, given.queries.concepts
    probes = len(space.probes)
    rows = []
    for count in BASELINE_COUNTS:
        share = Share(count, space.probes, "random")
        top1: dict[str, list[float]] = {}
        for seed in range(seeds):
            observed = []
            for model in given.models:
                seen = share.own(f"{model.name} {seed}")
                observed.append(to_columns(np.ascontiguousarray(model.values[seen]), seen))
            columns = [each for each, _ in observed]
            ways = {
                "als": alternating_least_squares(columns, probes, seed=seed),
                "svd": filled_svd(columns, probes),
            }
            for way, completed in ways.items():
                pairs = zip(completed, observed, strict=True)
                responses = [to_responses(each, scale) for each, (_, scale) in pairs]
                for rule in ("default", "paper"):
                    scores = scores_on_the_same_probes(rule, space, concepts, responses)
                    best = scores.argmax(axis=1).tolist()
                    hits = [b in good for b, good in zip(best, given.queries.right, strict=True)]
                    top1.setdefault(f"{way}, {rule} rule", []).append(float(np.mean(hits)))
        row = {name: round(float(np.mean(each)), 4) for name, each in top1.items()}
        rows.append({"probes": count, **row})
        print("baselines", rows[-1], file=sys.stderr, flush=True)
    return rows


def shared(assets: Path, folder: Path, seeds: int) -> dict[str, object]:
    """The guard on 22 models that have little in common."""
    hub = Hub.open(folder, str(assets / "encoder" / "photo-lit"))
    asked = json.loads((assets / "hub" / "truth.json").read_text())["queries"]
    with tempfile.TemporaryDirectory() as temporary:
        truth = Path(temporary) / "truth.json"
        kept = [query for query in asked if query["kind"] == "imagenet"]
        truth.write_text(json.dumps({"queries": kept}))
        given = from_hub(hub, truth)
    found = probing_curve(given.models, given.queries, SHARED_COUNTS, seeds).as_json()
    return {"probe_digest": hub.probe_digest, "models": len(given.models), **found}


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
        made: object = shared(options.assets, options.hub, options.seeds)
    else:
        encoder = load_encoder(str(options.assets / "encoder" / "photo-lit"))
        given = from_folder(options.assets / "inet-mini-hub", encoder)
        if options.part == "mini":
            known = json.loads(options.out.read_text()) if options.out.exists() else {}
            counts = [int(count) for count in options.counts.split(",")]
            ways = [choice for choice in CHOICES if choice in options.choices.split(",")]
            made = mini(given, options.seeds, ways, counts, known.get("mini", {}))
        else:
            made = baselines(given, options.seeds)
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    known |= {
        options.part: made,
        "seeds": options.seeds,
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    options.out.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
