"""What a first look at half of the probes loses: the best logits that are no candidates.

    python benchmarks/quality/first_look.py --responses DIR --encoder DIR --json \
        > benchmarks/results/quality_first_look.json

In a wide hub the default rule chooses its candidates by weighted sums over the surer half of a
query's k probes. Here every logit of the mini-hub is scored in full, and the ten best of each
concept are looked for among the best by either first look. A candidate list of 512 in a million is
as long, for ten answers, as 512 here; shorter ones stand for hubs with more that looks alike. The
share was chosen on the concepts whose name has an even first byte of its SHA-256; the figures are
of the others.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from calibration.known_answers import World, make_world
from calibration.worlds import half
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.hub.index.scoring import (
    SEARCH_CONFIG,
    combine_scores,
    sample_columns,
)
from lagotto.hub.query.probe_weights import top_half, top_k_weights

TOP = 10
LISTS = (32, 64, 128, 256, 512)


def best_in_full(world: World, concept: int) -> np.ndarray:
    """The columns of the ten best, all logits scored as candidates are."""
    sample = sample_columns(np.arange(world.blended.shape[1]))
    sums = top_k_weights(world.weights[concept], SEARCH_CONFIG.k) @ world.blended
    total = combine_scores(sums[None], world.direction_scores[concept : concept + 1], sample)[0]
    return np.argsort(-total, kind="stable")[:TOP]


def found_shares(world: World, concepts: list[int]) -> dict[str, Any]:
    """By each first look, the shares of the ten best and of first hits in lists of each length."""
    places: dict[str, list[np.ndarray]] = {"all k probes": [], "the surer half": []}
    weight = []
    for concept in concepts:
        best, weights = best_in_full(world, concept), world.weights[concept]
        chosen = top_k_weights(weights, SEARCH_CONFIG.k)
        for name, looked in zip(places, (np.flatnonzero(chosen), top_half(chosen)), strict=True):
            sums = chosen[looked] @ world.descriptors[looked]
            order = np.argsort(-sums, kind="stable")
            ranks = np.empty(len(order), np.int64)
            ranks[order] = np.arange(len(order))
            places[name].append(ranks[best])
        weight.append(float(chosen[looked].sum()))
    return {
        "concepts": len(concepts),
        "logits": int(world.blended.shape[1]),
        "weight_of_the_half": round(float(np.mean(weight)), 3),
        **{
            name: {
                str(length): {
                    "ten": round(float(np.mean(np.array(rows) < length)), 4),
                    "first": round(float(np.mean(np.array(rows)[:, 0] < length)), 4),
                }
                for length in LISTS
            }
            for name, rows in places.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--responses", type=Path, required=True, help="raw responses of models")
    parser.add_argument("--encoder", required=True, help="the encoder of their probe embeddings")
    parser.add_argument("--half", type=int, choices=(0, 1), default=1, help="0: the one chosen on")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    raw, encoder = read_raw_responses(options.responses), load_encoder(options.encoder)
    listed = json.loads((options.responses / "models.json").read_text())["probes"]
    outside = np.array([source != "inet" for source, _ in listed])
    rows = {}
    for kept in (np.ones(len(outside), bool), outside):
        world = make_world(raw, encoder, kept)
        mine = [place for place, name in enumerate(world.known.names) if half(name) == options.half]
        rows[f"{int(kept.sum())} probes"] = found_shares(world, mine)
    result = {
        "rows": rows,
        "k": SEARCH_CONFIG.k,
        "digest": raw.digest,
        "encoder": encoder.info.name,
    }
    json.dump(result, sys.stdout, indent=1 if options.json else None)
    print()


if __name__ == "__main__":
    main()
