"""How far to believe hits and presence where a labelled output of the hub says the words of a text.

    python benchmarks/calibration/measure_taught.py --assets DIR --trials FILE.json \
        > benchmarks/results/quality_taught.json

The published models on two sets of probes, with one ImageNet model as the reference, and once with
three small references. Texts of the truth file that other models answer are asked of the hub with
and without the outputs that answer them (taught.py). The two curves of the calibrator for such
searches are fitted on texts whose sha256 begins with an even byte (`--fit` writes them into the
package); figures are of the others. A reference of few labels, such as the three small ones, has no
such curves: "bird" has no one twin among the birds of a finer model. `before` is the rule of
before: the higher one of the confidence without teachers and 0.95 times the probability of a twin.
`--trials` keeps what the searches gave, for making them takes minutes.
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

from calibration.reliability import auroc, calibration_error, fit_logistic, reliability
from calibration.taught import TaughtHub, TaughtTrial
from calibration.worlds import half
from lagotto.evaluation.retrieval.truth import TruthQuery, read_truth
from lagotto.hub.confidence.calibrator import FEATURE_NAMES, LogisticCurve, read_curve
from lagotto.hub.confidence.taught import taught_concept_features, taught_hit_features
from quality.rules import open_hub

PACKAGED = Path(__file__).parents[2] / "src" / "lagotto" / "hub" / "confidence" / "calibrator.json"
SMALL, LARGE = "coral-mobilenet-v1-025-128", "coral-mobilenet-v1-075-192"
FEW = ("akamaster-cifar10-resnet20", "abdoconan-flowers", "tm-catdog2")
WORLDS: dict[str, tuple[bool, tuple[str, ...], int]] = {
    "1239 probes, small ImageNet model": (False, (SMALL,), 400),
    "1239 probes, large ImageNet model": (False, (LARGE,), 400),
    "2239 probes, small ImageNet model": (True, (SMALL,), 250),
    "2239 probes, large ImageNet model": (True, (LARGE,), 250),
    "1239 probes, three small models": (False, FEW, 20),
}
"""Whether the ImageNet photos are probes, the references, and texts of the kind imagenet."""

PENALTY, CEILING, LOW = 1.0, 0.995, 0.3
BEFORE = 0.95
CURVES = ("taught_hit", "taught_concept")


def draw_texts(truth: Sequence[TruthQuery], count: int) -> list[TruthQuery]:
    """So many texts of `imagenet`, and all of `common`."""
    texts = [query for query in truth if query.kind == "imagenet"]
    kept = np.random.default_rng(0).permutation(len(texts))[:count]
    return [texts[place] for place in sorted(kept.tolist())] + [
        query for query in truth if query.kind == "common"
    ]


def make_trials(
    assets: Path, given: tuple[Path | None, Path | None], folder: Path
) -> dict[str, list[TaughtTrial]]:
    """The searches of all worlds; hubs that are not given are made in a folder."""
    truth = read_truth(assets / "hub" / "truth.json")
    encoder = str(assets / "encoder" / "photo-lit")
    hubs = {
        inet: open_hub(path, assets, folder / f"hub{inet}", inet).folder
        for inet, path in zip((False, True), given, strict=True)
    }
    found = {}
    for name, (inet, references, count) in WORLDS.items():
        world = TaughtHub(hubs[inet], encoder, references, folder / name)
        found[name] = list(world.trials(draw_texts(truth, count)))
        print(f"{name}: {len(found[name])} searches", file=sys.stderr, flush=True)
    return found


def fit(worlds: dict[str, list[TaughtTrial]]) -> dict[str, Any]:
    """The two curves from the texts of the even half; each search counts alike."""
    rows: dict[str, list[np.ndarray]] = {name: [] for name in CURVES}
    true: dict[str, list[Any]] = {name: [] for name in CURVES}
    for trials in worlds.values():
        taught = [t for t in trials if t.has_teacher and half(t.text) == 0]
        for trial in taught:
            twins, pool = np.array(trial.twins), len(trial.twins)
            hits = taught_hit_features(np.array(trial.confidence), twins, pool)
            rows["taught_hit"].append(hits)
            true["taught_hit"] += trial.right
            rows["taught_concept"].append(taught_concept_features(trial.presence, twins)[None])
            true["taught_concept"].append(trial.present)
    curves = {}
    for name in CURVES:
        model = fit_logistic(
            np.concatenate(rows[name]),
            np.array(true[name]),
            penalty=PENALTY,
            ceiling=CEILING,
        )
        weights = zip(FEATURE_NAMES[name], model.weights.tolist(), strict=True)
        curves[name] = {
            "weights": {feature: round(weight, 5) for feature, weight in weights},
            "bias": round(model.bias, 5),
            "ceiling": CEILING,
        }
    return curves


def believed(
    trial: TaughtTrial, curves: dict[str, LogisticCurve] | None
) -> tuple[np.ndarray, float]:
    """Confidence and presence of a search: by the curves, or None for as before."""
    confidence, twins = np.array(trial.confidence), np.array(trial.twins)
    if curves is None or not trial.has_teacher:
        before = np.maximum(confidence, BEFORE * twins)
        return before, max(trial.presence, float((BEFORE * twins).max()))
    hits = taught_hit_features(confidence, twins, len(twins))
    concept = taught_concept_features(trial.presence, twins)
    return curves["taught_hit"](hits), float(curves["taught_concept"](concept[None])[0])


def figures(trials: list[TaughtTrial], curves: dict[str, LogisticCurve] | None) -> dict[str, Any]:
    """Of first hits, ten hits and presence: calibration error; low right hits; AUROC."""
    said = [believed(trial, curves) for trial in trials]
    present = np.array([trial.present for trial in trials])
    right = np.array([trial.right[0] for trial in trials])
    first = np.array([confidence[0] for confidence, _ in said])
    presence = np.array([probability for _, probability in said])
    hits = np.concatenate([confidence for confidence, _ in said])
    every = np.concatenate([trial.right for trial in trials])
    return {
        "searches": len(trials),
        "taught": round(float(np.mean([trial.has_teacher for trial in trials])), 4),
        "top1": round(float(right[present].mean()), 4),
        "first_hit": error(first, right),
        "first_hit_of_texts_with_an_answer": error(first[present], right[present]),
        "ten_hits": error(hits, every),
        "right_below_0.3": round(float((first[right] < LOW).mean()), 4),
        "presence_auroc": round(auroc(presence, present), 4),
        "presence": error(presence, present),
    }


def error(said: np.ndarray, true: np.ndarray) -> float:
    """Expected calibration error, ten bins."""
    return round(calibration_error(reliability(said, true)), 4)


def report(
    worlds: dict[str, list[TaughtTrial]], curves: dict[str, LogisticCurve]
) -> dict[str, Any]:
    """The figures of the odd half of each world, all texts and each kind, and before."""
    answer: dict[str, Any] = {}
    large = [part for name, part in worlds.items() if "ImageNet" in name]
    pooled = {"all of an ImageNet model": [trial for part in large for trial in part]}
    for name, trials in (worlds | pooled).items():
        odd = [trial for trial in trials if half(trial.text) == 1]
        parts = {"all": odd} | {
            kind: [trial for trial in odd if trial.kind == kind] for kind in ("imagenet", "common")
        }
        answer[name] = {
            kind: {"now": figures(part, curves), "before": figures(part, None)}
            for kind, part in parts.items()
            if any(trial.right[0] for trial in part)
        }
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub of all models on the captioned photos")
    parser.add_argument("--hub-inet", type=Path, help="the same with the ImageNet photos")
    parser.add_argument("--trials", type=Path, required=True, help="read, or made and kept")
    parser.add_argument("--fit", action="store_true", help="write calibrator.json anew first")
    given = parser.parse_args()
    if given.trials.exists():
        kept = json.loads(given.trials.read_text())
        worlds = {name: [TaughtTrial(**trial) for trial in part] for name, part in kept.items()}
    else:
        with tempfile.TemporaryDirectory() as folder:
            worlds = make_trials(given.assets, (given.hub, given.hub_inet), Path(folder))
        plain = {name: [asdict(trial) for trial in part] for name, part in worlds.items()}
        given.trials.write_text(json.dumps(plain))
    numbers = json.loads(PACKAGED.read_text())
    if given.fit:
        numbers["curves"] |= fit(worlds)
        PACKAGED.write_text(json.dumps(numbers, indent=1) + "\n")
    curves = {name: read_curve(numbers["curves"][name]) for name in CURVES}
    json.dump({"curves": fit(worlds), "odd": report(worlds, curves)}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
