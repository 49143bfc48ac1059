"""How far to believe a hit: confidence, presence, quality and coverage, on known answers.

    python benchmarks/calibration/measure.py --assets DIR > NEW.json

Two worlds (worlds.py), each in two halves. The calibrator is fitted on the first halves
(`--fit` writes it into the package), everything reported is of the second ones. What its form was
chosen by is told by choice.py, on the first halves alone.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from calibration.figures import (
    concept_figures,
    confidence_figures,
    hubness_figures,
    quality_figures,
    quality_rows,
)
from calibration.known_answers import Trial, World
from calibration.reliability import auroc, fit_logistic
from calibration.worlds import Half, MiniHub, read_hubs, read_mini_hubs, without_answers
from lagotto.core.types import EncoderInfo
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.hub.confidence.calibrator import (
    FEATURE_NAMES,
    concept_features,
    hit_features,
    read_calibrator,
)
from lagotto.hub.confidence.quality import QualityFit
from lagotto.hub.query.probe_weights import LEAST_COVERAGE

PENALTY = 10.0
CEILING = 0.95
PACKAGED = Path(__file__).parents[2] / "src" / "lagotto" / "hub" / "confidence" / "calibrator.json"


def tables(trials: list[Trial]) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each curve its rows of features, what is true, and the concepts."""
    right = np.concatenate([trial.right for trial in trials])
    present = np.array([trial.present for trial in trials])
    concept = np.array([trial.concept for trial in trials])
    each = np.concatenate([[trial.concept] * len(trial.right) for trial in trials])
    return {
        "hit": (np.concatenate([hit_features(t.features) for t in trials]), right, each),
        "concept": (np.stack([concept_features(t.features) for t in trials]), present, concept),
        "labelled_hit": (
            np.concatenate([hit_features(t.features.with_labels) for t in trials]),
            right,
            each,
        ),
        "labelled_concept": (
            np.stack([concept_features(t.features.with_labels) for t in trials]),
            present,
            concept,
        ),
    }


def fit(parts: list[list[Trial]]) -> dict[str, Any]:
    """The curves of a calibrator, to which every part counts alike, however many its trials."""
    found = [tables(trials) for trials in parts]
    curves = {}
    for name in found[0]:
        sizes = [len(table[name][1]) for table in found]
        weights = np.repeat([sum(sizes) / len(sizes) / size for size in sizes], sizes)
        rows, true = (np.concatenate([table[name][i] for table in found]) for i in (0, 1))
        model = fit_logistic(rows, true, weights, penalty=PENALTY, ceiling=CEILING)
        curves[name] = {
            "weights": {
                feature: round(float(weight), 5)
                for feature, weight in zip(FEATURE_NAMES[name], model.weights, strict=True)
            },
            "bias": round(model.bias, 5),
            "ceiling": model.ceiling,
        }
    return curves


def fit_quality(parts: list[tuple[World, list[Trial]]]) -> dict[str, Any]:
    """Least squares of the accuracy of right hits."""
    rows, known = [], []
    for world, trials in parts:
        table, accuracy, right, _ = quality_rows(world, trials)
        rows.append(table[right])
        known.append(accuracy[right])
    table = np.concatenate(rows)
    solved = np.linalg.lstsq(np.c_[table, np.ones(len(table))], np.concatenate(known), rcond=None)[
        0
    ]
    return {
        "weights": [round(float(weight), 5) for weight in solved[:-1]],
        "bias": round(float(solved[-1]), 5),
    }


def fit_all(heads: list[Half], hubs: list[Half], encoder: EncoderInfo) -> dict[str, Any]:
    """Everything that is shipped, from the first halves, but for the share of right claims."""
    drawn = [(part.world, part.trials(seed)) for seed, part in enumerate(heads)]
    asked = [without_answers(part.trials(0)) for part in hubs]
    parts = [*(trials for _, trials in drawn), *asked]
    return {
        "fitted_by": "benchmarks/calibration/measure.py --fit",
        "encoder": {"name": encoder.name, "fingerprint": encoder.fingerprint},
        "searches": sum(len(trials) for trials in parts),
        "curves": fit(parts),
        "quality": fit_quality(drawn),
    }


def report(part: Half, numbers: dict[str, Any], photos: int) -> tuple[dict[str, Any], list[Trial]]:
    """All figures of the second half of the mini-hub."""
    calibrator, world = read_calibrator(numbers), part.world
    quality = QualityFit(np.array(numbers["quality"]["weights"]), numbers["quality"]["bias"])
    trials = part.trials(seed=100)
    whole = [trial for trial in trials if not trial.drawn and trial.present]
    return {
        "models": len(part.models),
        "concepts": len(part.concepts),
        "searches": len(trials),
        "top1_all_models": top1(whole),
        "presence": concept_figures(world, trials, calibrator),
        "confidence": confidence_figures(world, trials, calibrator),
        "quality": quality_figures(world, whole, calibrator, quality, photos),
        "hubness": hubness_figures(world, part.models, part.concepts),
    }, trials


def report_hub(parts: tuple[Half, Half], numbers: dict[str, Any]) -> dict[str, Any]:
    """Confidence and presence of the second half of the published models' texts.

    Absent in two ways: the models that know the concept are dropped, or only the outputs that
    answer it. `new` are the texts none of whose synonyms is in the first half.
    """
    calibrator, part = read_calibrator(numbers), parts[1]
    trials, groups = part.trials(seed=100), part.world.known.groups
    ways = {
        "models dropped": [trial for trial in trials if trial.drawn == 0],
        "outputs hidden": without_answers(trials),
    }
    met = set(groups[parts[0].concepts].tolist())
    new = [trial for trial in ways["outputs hidden"] if int(groups[trial.concept]) not in met]
    return {
        "models": len(part.models),
        "texts": len(part.concepts),
        "concepts": len(set(groups[part.concepts].tolist())),
        "top1": top1([trial for trial in trials if trial.present]),
        "absent": {
            name: {
                "presence": concept_figures(part.world, found, calibrator),
                "confidence": confidence_figures(part.world, found, calibrator),
            }
            for name, found in ways.items()
        },
        "new": {
            "texts": len({trial.concept for trial in new}),
            "confidence": confidence_figures(part.world, new, calibrator),
        },
    }


def top1(trials: list[Trial]) -> float:
    """The share of searches whose first hit is right."""
    return round(float(np.mean([trial.right[0] for trial in trials])), 4)


def wrong_lists(part: Half, numbers: dict[str, Any]) -> dict[str, Any]:
    """Presence where every list of labels is permuted: by behaviour, and as search believes it."""
    found = concept_figures(part.world, part.trials(100, 1), read_calibrator(numbers))
    ways = ("behaviour only", "believed labels too")
    return {way: found["auroc"][f"presence, {way}"] for way in ways}


def report_heads(
    worlds: dict[str, MiniHub], numbers: dict[str, Any], photos: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mini-hub's figures on each set of probes, and those of coverage."""
    rows, covered = {}, {}
    for name, each in worlds.items():
        rows[name], trials = report(each.right[1], numbers, photos)
        rows[name]["lists"] = {
            "verdicts": each.verdicts,
            "permuted": wrong_lists(each.permuted[1], numbers),
        }
        covered[name] = {trial.concept: trial.features.probe_coverage for trial in trials}
    shown, hidden = ([*each.values()] for each in covered.values())
    seen = np.array(shown + hidden)
    return rows, {
        "auroc": round(auroc(seen, np.arange(len(seen)) < len(shown)), 4),
        **{
            name: round(float(np.mean(np.array([*each.values()]) < LEAST_COVERAGE)), 4)
            for name, each in covered.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub of all models on the captioned photos")
    parser.add_argument("--hub-inet", type=Path, help="the same with the ImageNet photos")
    parser.add_argument("--fit", action="store_true", help="write calibrator.json anew first")
    parser.add_argument("--photos", type=int, default=5, help="held-out photos a label")
    arguments = parser.parse_args()
    assets = arguments.assets
    encoder = load_encoder(str(assets / "encoder" / "photo-lit"))
    raw = read_raw_responses(assets / "inet-mini-hub")
    worlds = read_mini_hubs(raw, encoder)
    with tempfile.TemporaryDirectory() as folder:
        hubs = read_hubs(assets, (arguments.hub, arguments.hub_inet), Path(folder))
    if arguments.fit:
        firsts = [each.right[0] for each in worlds.values()], [each[0] for each in hubs.values()]
        fitted = fit_all(*firsts, encoder.info)
        packaged = json.loads(PACKAGED.read_text())
        fitted["claim"] = packaged["claim"]  # by quality/label_matches.py
        for name in ("taught_hit", "taught_concept"):  # by measure_taught.py
            fitted["curves"][name] = packaged["curves"][name]
        PACKAGED.write_text(json.dumps(fitted, indent=1) + "\n")
    numbers = json.loads(PACKAGED.read_text())
    rows, coverage = report_heads(worlds, numbers, arguments.photos)
    result = {
        "worlds": rows,
        "published": {name: report_hub(each, numbers) for name, each in hubs.items()},
        "coverage": coverage,
        "digest": raw.digest,
        "encoder": encoder.info.name,
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
