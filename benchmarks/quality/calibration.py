"""How far to believe a hit: confidence, presence, quality and coverage, on known answers.

Models and concepts are each split in two by a hash of their names. The calibrator is fitted on the
first half of both (`--fit` writes it into the package), everything reported is the second half.
`--choose` shows what the form of the calibrator was chosen by, on the first half alone.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from believed_lists import with_lists
from calibration_figures import (
    confidence_figures,
    hubness_figures,
    presence_figures,
    quality_figures,
    quality_rows,
)

from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.known_answers import Trial, World, draw_trials, make_world
from lagotto.evaluation.raw_responses import RawResponses, read_raw_responses
from lagotto.evaluation.reliability import auroc, fit_logistic
from lagotto.hubsearch.confidence import Calibrator, hit_table, presence_row, read_curve
from lagotto.hubsearch.probe_coverage import COVERED
from lagotto.hubsearch.quality import QualityFit

SIZES = (10, 25, 50, 100)
DRAWS = 3
"""Hubs drawn of each size, besides the one of all models."""

PENALTY = 10.0
CEILING = 0.95
CURVES = ("hit", "present", "named_hit", "named_present")
FOLDS = 5
PACKAGED = Path(__file__).parents[2] / "src" / "lagotto" / "hubsearch" / "calibrator.json"


def half(name: str) -> int:
    """0: for choosing and fitting; 1: for reporting."""
    return hashlib.sha256(name.encode()).digest()[0] % 2


@dataclass(frozen=True)
class Half:
    """The models and concepts of one half of a world."""

    world: World
    models: np.ndarray
    concepts: list[int]

    def trials(self, seed: int, draws: int = DRAWS) -> list[Trial]:
        """All searches of this half."""
        asked = (self.world, self.models, self.concepts)
        found = list(draw_trials(*asked, (None,), seed))
        for draw in range(draws):
            found += draw_trials(*asked, SIZES, seed + draw)
        return found


def halves(world: World) -> tuple[Half, Half]:
    """The half to fit on and the half to report."""
    model_half = np.array([half(name) for name in world.known.models])
    return tuple(  # type: ignore[return-value]
        Half(
            world,
            np.flatnonzero(model_half == side),
            [place for place, name in enumerate(world.known.names) if half(name) == side],
        )
        for side in (0, 1)
    )


def tables(trials: list[Trial]) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each curve its rows, what is true, and the concepts."""
    right = np.concatenate([trial.right for trial in trials])
    present = np.array([trial.present for trial in trials])
    concept = np.array([trial.concept for trial in trials])
    each = np.concatenate([[trial.concept] * len(trial.right) for trial in trials])
    return {
        "hit": (np.concatenate([hit_table(t.clues) for t in trials]), right, each),
        "present": (np.stack([presence_row(t.clues) for t in trials]), present, concept),
        "named_hit": (np.concatenate([hit_table(t.clues.by_name) for t in trials]), right, each),
        "named_present": (
            np.stack([presence_row(t.clues.by_name) for t in trials]),
            present,
            concept,
        ),
    }


def fit(trials: list[Trial]) -> dict[str, Any]:
    """The curves of a calibrator."""
    curves = {}
    for name, (rows, true, _) in tables(trials).items():
        model = fit_logistic(rows, true, penalty=PENALTY, ceiling=CEILING)
        curves[name] = {
            "weights": [round(float(weight), 5) for weight in model.weights],
            "bias": round(model.bias, 5),
            "ceiling": model.ceiling,
        }
    return curves


def read_calibrator(curves: dict[str, Any]) -> Calibrator:
    """A calibrator from its JSON form."""
    return Calibrator(**{name: read_curve(numbers) for name, numbers in curves.items()})


def choose(parts: list[Half]) -> dict[str, Any]:
    """Held-out log loss and AUROC of ceilings and penalties, neither concepts nor models shared.

    The models of each half are split once more; folds are of concepts.
    """
    sides: list[dict[str, Any]] = [{}, {}]
    for side, found in enumerate(sides):
        for seed, part in enumerate(parts):
            mine = [
                m
                for m in part.models
                if hashlib.sha256(part.world.known.models[m].encode()).digest()[1] % 2 == side
            ]
            some = Half(part.world, np.array(mine), part.concepts).trials(seed, 1)
            for name, table in tables(some).items():
                found.setdefault(name, []).append(table)
        sides[side] = {
            n: [np.concatenate(c) for c in zip(*t, strict=True)] for n, t in found.items()
        }
    rows: dict[str, Any] = {}
    for name in CURVES:
        for ceiling in (1.0, 0.95, 0.9, 0.85, 0.8):
            for penalty in (1.0, 10.0, 100.0):
                losses, chances, trues = [], [], []
                for near, far in (sides, sides[::-1]):
                    (a, y, c), (b, z, d) = near[name], far[name]
                    for fold in range(FOLDS):
                        model = fit_logistic(
                            a[c % FOLDS != fold],
                            y[c % FOLDS != fold],
                            penalty=penalty,
                            ceiling=ceiling,
                        )
                        out = d % FOLDS == fold
                        chance = np.clip(model(b[out]), 1e-6, 1 - 1e-6)
                        losses.append(-np.log(np.where(z[out], chance, 1 - chance)))
                        chances.append(chance)
                        trues.append(z[out])
                rows.setdefault(name, {})[f"ceiling {ceiling}, penalty {penalty:.0f}"] = [
                    round(float(np.concatenate(losses).mean()), 4),
                    round(auroc(np.concatenate(chances), np.concatenate(trues)), 4),
                ]
    return rows


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


def fit_all(parts: list[Half]) -> dict[str, Any]:
    """Everything that is shipped, from the first halves."""
    drawn = [(part.world, part.trials(seed)) for seed, part in enumerate(parts)]
    return {
        "fitted_by": "benchmarks/quality/calibration.py --fit",
        "searches": sum(len(trials) for _, trials in drawn),
        "curves": fit([trial for _, trials in drawn for trial in trials]),
        "quality": fit_quality(drawn),
    }


def report(part: Half, numbers: dict[str, Any], photos: int) -> tuple[dict[str, Any], list[Trial]]:
    """All figures of one second half."""
    calibrator = read_calibrator(numbers["curves"])
    quality = QualityFit(np.array(numbers["quality"]["weights"]), numbers["quality"]["bias"])
    trials = part.trials(seed=100)
    whole = [trial for trial in trials if not trial.drawn and trial.present]
    top1 = np.mean([trial.right[0] for trial in whole])
    return {
        "models": len(part.models),
        "concepts": len(part.concepts),
        "searches": len(trials),
        "top1_all_models": round(float(top1), 4),
        "presence": presence_figures(trials, calibrator),
        "confidence": confidence_figures(trials, calibrator),
        "quality": quality_figures(part.world, whole, calibrator, quality, photos),
        "hubness": hubness_figures(part.world, part.models, part.concepts),
    }, trials


def wrong_lists(part: Half, numbers: dict[str, Any]) -> dict[str, Any]:
    """Presence where every list of labels is permuted: by behaviour, and as search believes it."""
    found = presence_figures(part.trials(100, 1), read_calibrator(numbers["curves"]))["auroc"]
    return {way: found[f"presence, {way}"] for way in ("behaviour only", "believed labels too")}


def read_worlds(raw: RawResponses, encoder: Encoder, folder: Path) -> dict[str, Any]:
    """For each set of probes the world, with its lists right and permuted, and the verdicts."""
    listed = json.loads((folder / "models.json").read_text())["probes"]
    outside = np.array([source != "inet" for source, _ in listed])
    found = {}
    for kept in (np.ones(len(outside), bool), outside):
        world = make_world(raw, encoder, kept)
        right, permuted = with_lists(world, raw, kept), with_lists(world, raw, kept, seed=0)
        found[f"{int(kept.sum())} probes"] = {
            "right": halves(right[0]),
            "permuted": halves(permuted[0]),
            "verdicts": {"published": right[1], "permuted": permuted[1]},
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=Path, required=True, help="raw responses of models")
    parser.add_argument("--encoder", required=True, help="the encoder of their probe embeddings")
    parser.add_argument("--fit", action="store_true", help="write calibrator.json anew first")
    parser.add_argument("--choose", action="store_true", help="compare forms, first half, and stop")
    parser.add_argument("--photos", type=int, default=5, help="held-out photos a label")
    arguments = parser.parse_args()
    raw = read_raw_responses(arguments.responses)
    encoder = load_encoder(arguments.encoder)
    worlds = read_worlds(raw, encoder, arguments.responses)
    firsts = [each["right"][0] for each in worlds.values()]
    if arguments.choose:
        print(json.dumps(choose(firsts), indent=1))
        return
    if arguments.fit:
        PACKAGED.write_text(json.dumps(fit_all(firsts), indent=1) + "\n")
    numbers = json.loads(PACKAGED.read_text())
    rows, covered = {}, {}
    for name, each in worlds.items():
        rows[name], trials = report(each["right"][1], numbers, arguments.photos)
        rows[name]["lists"] = {
            "verdicts": each["verdicts"],
            "permuted": wrong_lists(each["permuted"][1], numbers),
        }
        covered[name] = {trial.concept: trial.clues.coverage for trial in trials}
    shown, hidden = ([*each.values()] for each in covered.values())
    seen = np.array(shown + hidden)
    result = {
        "worlds": rows,
        "coverage": {
            "auroc": round(auroc(seen, np.arange(len(seen)) < len(shown)), 4),
            **{
                name: round(float(np.mean(np.array([*each.values()]) < COVERED)), 4)
                for name, each in covered.items()
            },
        },
        "digest": raw.digest,
        "encoder": encoder.info.name,
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
