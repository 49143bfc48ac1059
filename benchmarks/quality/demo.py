"""Accuracy on the bundled world, which `lagotto demo` prints too.

    python benchmarks/quality/demo.py --json > benchmarks/results/quality_demo.json

Text -> logit over all concepts that some model knows, and over the kinds of the truth (concepts
that the encoder's training showed often, seldom, or never by name); logit -> logit for every logit
whose concept another model knows. The paper's rule, k = 50. Nothing is tuned on these queries, nor
is the calibrator fitted here: how far the confidence of the default rule's hits holds is told too.
Then the held-out pictures named among all concepts: image-only, with captions by the paper's rule,
and by the guarded one.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from calibration.reliability import auroc, calibration_error, reliability
from lagotto.core.progress import Silent
from lagotto.demo import bundled
from lagotto.demo.tour import score_texts, take_tour
from lagotto.evaluation.retrieval.truth import TruthQuery, read_truth
from lagotto.hub.hub import Hub


def confidence(hub: Hub, truth: Sequence[TruthQuery], behaviour_only: bool) -> dict[str, Any]:
    """The reliability of the confidence of each query's ten best hits."""
    confidences, is_right = [], []
    for query in truth:
        answers = set(query.correct)
        for hit in hub.search(query.text, behaviour_only=behaviour_only).hits:
            confidences.append(hit.confidence)
            is_right.append((hit.model, hit.logit) in answers)
    bins = reliability(np.array(confidences), np.array(is_right))
    return {
        "hits": len(confidences),
        "calibration_error": round(calibration_error(bins), 4),
        "auroc": round(auroc(np.array(confidences), np.array(is_right)), 4),
        "bins": [[b.low, b.high, b.count, round(b.predicted, 4), round(b.true, 4)] for b in bins],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        tour = take_tour(Path(temporary), Silent())
        hub = Hub.open(tour.hub)
        truth = read_truth(bundled.DEMO_TRUTH)
        accuracy = {"text -> logit": asdict(tour.text_to_logit)}
        for kind in sorted({query.kind for query in truth}):
            queries = [query for query in truth if query.kind == kind]
            accuracy[f"text -> logit, {kind}"] = asdict(score_texts(hub, queries, Silent()))
        accuracy["logit -> logit"] = asdict(tour.logit_to_logit)
        result = {
            "models": tour.models,
            "logits": tour.logits,
            "probes": tour.probes,
            "probe_digest": hub.probe_digest,
            "k": 50,
            "accuracy": accuracy,
            "confidence": {
                "behaviour only": confidence(hub, truth, True),
                "believed labels too": confidence(hub, truth, False),
            },
            "naming": [asdict(score) for score in tour.naming],
        }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
