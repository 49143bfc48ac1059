"""How far to believe a hit: confidence, presence, quality and coverage, on known answers.

Models and concepts are each split in two by a hash of their names. The calibrator is fitted on the
first half of both (`--fit` writes it into the package), everything reported is the second half.
"""

import argparse
import hashlib
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.known_answers import Trial, World, draw_trials, make_world
from lagotto.evaluation.raw_responses import read_raw_responses
from lagotto.evaluation.reliability import (
    auroc,
    calibration_error,
    fit_isotonic,
    fit_logistic,
    reliability,
    spearman,
)
from lagotto.hubsearch.confidence import (
    PRESENT,
    Calibrator,
    any_lead,
    hit_table,
    presence_row,
    read_curve,
)
from lagotto.hubsearch.probe_coverage import COVERED
from lagotto.hubsearch.quality import QualityFit, quality_table
from lagotto.hubsearch.rules import DEFAULT_K, DIRECTION_SHARE, sample_columns, standard_scores
from lagotto.hubsearch.weighing import surest, text_weights

SIZES = (10, 25, 50, 100, None)
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

    def trials(self, seed: int) -> list[Trial]:
        """All searches of this half."""
        return list(draw_trials(self.world, self.models, self.concepts, SIZES, seed))


def halves(world: World) -> tuple[Half, Half]:
    """The half to fit on and the half to report."""
    model_half = np.array([half(name) for name in world.models])
    return tuple(  # type: ignore[return-value]
        Half(
            world,
            np.flatnonzero(model_half == side),
            [place for place, name in enumerate(world.names) if half(name) == side],
        )
        for side in (0, 1)
    )


def fit_curve(rows: np.ndarray, true: np.ndarray, group: np.ndarray, knots: int) -> dict[str, Any]:
    """Logistic regression, and a table of held-out log odds to shares; groups are not split.

    For no knots there is no table. Which curve has one was chosen by five-fold log loss.
    """
    model = fit_logistic(rows, true)
    held_out = np.empty(len(rows))
    for fold in range(FOLDS):
        inside = group % FOLDS == fold
        held_out[inside] = fit_logistic(rows[~inside], true[~inside]).odds(rows[inside])
    places, values = fit_isotonic(held_out, true, knots) if knots else ((), ())
    return {
        "weights": [round(float(weight), 5) for weight in model.weights],
        "bias": round(model.bias, 5),
        "knots": [round(float(place), 4) for place in places],
        "values": [round(float(value), 4) for value in values],
    }


def fit(trials: list[Trial]) -> dict[str, Any]:
    """The curves of a calibrator."""
    hit_group = np.concatenate([[trial.concept] * len(trial.right) for trial in trials])
    group = np.array([trial.concept for trial in trials])
    right = np.concatenate([trial.right for trial in trials])
    present = np.array([trial.present for trial in trials])
    rows = np.concatenate([hit_table(trial.clues) for trial in trials])
    leads = np.stack([presence_row(trial.clues) for trial in trials])
    return {
        "hit": fit_curve(rows, right, hit_group, 15),
        "present": fit_curve(leads, present, group, 0),
    }


def read_calibrator(curves: dict[str, Any]) -> Calibrator:
    """A calibrator from its JSON form."""
    return Calibrator(**{name: read_curve(numbers) for name, numbers in curves.items()})


def chance_confidence(trial: Trial) -> np.ndarray:
    """The confidence that was shown before: one minus the chance of such a score by accident."""
    centre = np.median(trial.chance)
    spread = 1.4826 * np.median(np.abs(trial.chance - centre))
    tail = [
        0.5 * math.erfc((score - centre) / spread / math.sqrt(2)) for score in trial.clues.score
    ]
    return np.exp(trial.logits * np.log1p(-np.minimum(tail, 1 - 1e-16)))


def gap_intervals(
    predicted: np.ndarray, true: np.ndarray, concept: np.ndarray, draws: int = 2000
) -> dict[float, list[float]]:
    """For each decile 95 % of its gap over draws of the concepts, whose hits are alike."""
    place = np.minimum((predicted * 10).astype(int), 9)
    concepts, group = np.unique(concept, return_inverse=True)
    cells = np.zeros((2, len(concepts), 10))
    np.add.at(cells[0], (group, place), 1)
    np.add.at(cells[1], (group, place), predicted - true)
    rng = np.random.default_rng(0)
    times = rng.multinomial(len(concepts), np.full(len(concepts), 1 / len(concepts)), draws)
    counts, gaps = (times @ each for each in cells)
    found = {}
    for decile in np.unique(place).tolist():
        drawn = counts[:, decile] > 0
        low, high = np.quantile(gaps[drawn, decile] / counts[drawn, decile], [0.025, 0.975])
        found[decile / 10] = [round(float(low), 4), round(float(high), 4)]
    return found


def bins(predicted: np.ndarray, true: np.ndarray, concept: np.ndarray) -> dict[str, Any]:
    """A reliability table, with its mean and its worst gap (bins of 30 or more)."""
    found = reliability(predicted, true)
    gaps = [abs(each.gap) for each in found if each.count >= 30]
    ranges = gap_intervals(predicted, true, concept)
    return {
        "samples": len(true),
        "calibration_error": round(calibration_error(found), 4),
        "worst_gap_of_30": round(max(gaps), 4),
        "auroc": round(auroc(predicted, true), 4),
        "bins": [
            [
                each.low,
                each.high,
                each.count,
                round(each.predicted, 4),
                round(each.true, 4),
                ranges[each.low],
            ]
            for each in found
        ],
    }


def presence_figures(trials: list[Trial], calibrator: Calibrator) -> dict[str, Any]:
    """AUROC of present against absent, by what it is told by, and by the size of the hub."""
    ways = {
        "score of the first hit": lambda trial: trial.clues.score[0],
        "chance (before)": lambda trial: chance_confidence(trial)[0],
        "lead over background words": lambda trial: any_lead(trial.clues.lead),
        "presence": lambda trial: calibrator.presence(trial.clues),
        "lead over the hub's own labels (not shipped)": lambda trial: any_lead(trial.label_lead),
    }
    present = np.array([trial.present for trial in trials])
    sizes = np.array([trial.drawn for trial in trials])
    rows = {}
    for name, way in ways.items():
        values = np.array([way(trial) for trial in trials])
        rows[name] = {
            "all models" if size == 0 else str(size): round(
                auroc(values[sizes == size], present[sizes == size]), 4
            )
            for size in np.unique(sizes).tolist()
        }
    told = np.array([calibrator.presence(trial.clues) for trial in trials]) < PRESENT
    return {
        "auroc": rows,
        "told_absent": round(float(told[~present].mean()), 4),
        "told_absent_wrongly": round(float(told[present].mean()), 4),
    }


def confidence_figures(trials: list[Trial], calibrator: Calibrator) -> dict[str, Any]:
    """Reliability of hits: what was shown before, and the confidence."""
    right = np.stack([trial.right for trial in trials])
    concept = np.array([trial.concept for trial in trials])
    shown = {
        "chance (before)": np.stack([chance_confidence(trial) for trial in trials]),
        "confidence": np.stack([calibrator.confidence(trial.clues) for trial in trials]),
    }
    return {
        name: {
            "first hit": bins(values[:, 0], right[:, 0], concept),
            "ten hits": bins(values.ravel(), right.ravel(), np.repeat(concept, right.shape[1])),
        }
        for name, values in shown.items()
    }


def quality_rows(world: World, trials: list[Trial]) -> tuple[np.ndarray, ...]:
    """quality_table of all hits, the known accuracy (0 of a wrong hit), right, and concept."""
    outputs = np.bincount(world.owner)[world.owner].astype(np.int64)
    rows, known, right, concept = [], [], [], []
    for trial in trials:
        hits = trial.columns
        rows.append(quality_table(world.descriptors[:, hits], trial.clues.agreement, outputs[hits]))
        known.append(np.where(trial.right, world.accuracy[hits], 0.0))
        right.append(trial.right)
        concept.append(np.full(len(hits), trial.concept))
    return tuple(np.concatenate(each) for each in (rows, known, right, concept))


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


def quality_figures(
    world: World, trials: list[Trial], calibrator: Calibrator, quality: QualityFit, photos: int
) -> dict[str, Any]:
    """Spearman of the estimate with the known accuracy, which `photos` a label were held out for.

    `ceiling` is the correlation that the true accuracy itself would have with that of so few
    photos, by the variance of a binomial.
    """
    table, known, right, concept = quality_rows(world, trials)
    confidence = np.concatenate([calibrator.confidence(trial.clues) for trial in trials])
    expected = confidence * quality(table)
    own = quality(table)[right]
    true = known[right]
    noise = (true * (1 - true)).mean() / (photos - 1)
    by_concept = [
        spearman(own[concept[right] == each], true[concept[right] == each])
        for each in np.unique(concept[right])
        if (concept[right] == each).sum() >= 5
    ]
    return {
        "hits": len(known),
        "right_hits": len(true),
        "all_hits": round(spearman(expected, known), 4),
        "confidence_alone": round(spearman(confidence, known), 4),
        "right_hits_spearman": round(spearman(own, true), 4),
        "right_hits_within_concept": round(float(np.nanmean(by_concept)), 4),
        "right_hits_ceiling": round(float(np.sqrt(max(0.0, 1 - noise / true.var()))), 4),
    }


def plain_scores(world: World, columns: np.ndarray, concepts: np.ndarray) -> np.ndarray:
    """The default rule on all of some logits, none of them left out as no candidate."""
    shares = np.stack([surest(row, DEFAULT_K) for row in text_weights(world.space, concepts)])
    sums = shares @ world.raised[:, columns]
    along = (concepts - world.space.background_mean) @ world.directions[columns].T
    sample = sample_columns(np.arange(len(columns)))
    return standard_scores(sums, sample) + DIRECTION_SHARE * standard_scores(along, sample)


def hubness_figures(part: Half) -> dict[str, Any]:
    """Corrections of scores by those of the background words on the same logit, all models.

    Top-1 of concepts that are known, and AUROC of the first hit's score, present against absent.
    """
    world = part.world
    columns = np.flatnonzero(np.isin(world.owner, part.models))
    words = plain_scores(world, columns, world.space.background)
    asked = plain_scores(world, columns, world.embeddings[part.concepts])
    highest = np.sort(words, axis=0)
    mean, spread = words.mean(axis=0), words.std(axis=0)
    ways = {
        "none": asked,
        "z-score": (asked - mean) / spread,
        "CSLS, 10 nearest words": 2 * asked - highest[-10:].mean(axis=0),
        "NNN, 64 nearest words, weight 0.5": asked - 0.5 * highest[-64:].mean(axis=0),
    }
    knows = world.knows[:, part.concepts]
    rows = {}
    for name, scores in ways.items():
        right, firsts = [], []
        for row, concept in enumerate(part.concepts):
            stranger = ~knows[world.owner[columns], row]
            right.append(world.concept[columns[scores[row].argmax()]] == concept)
            firsts.append((scores[row].max(), scores[row][stranger].max()))
        first = np.array(firsts).T
        true = np.arange(first.size) < first.shape[1]
        rows[name] = {
            "top1": round(float(np.mean(right)), 4),
            "presence_auroc": round(auroc(first.ravel(), true), 4),
        }
    return rows


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
        "hubness": hubness_figures(part),
    }, trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=Path, required=True, help="raw responses of models")
    parser.add_argument("--encoder", required=True, help="the encoder of their probe embeddings")
    parser.add_argument("--fit", action="store_true", help="write calibrator.json anew first")
    parser.add_argument("--photos", type=int, default=5, help="held-out photos a label")
    arguments = parser.parse_args()
    raw = read_raw_responses(arguments.responses)
    encoder = load_encoder(arguments.encoder)
    listed = json.loads((arguments.responses / "models.json").read_text())["probes"]
    outside = np.array([source != "inet" for source, _ in listed])
    worlds = {
        f"{len(outside)} probes": make_world(raw, encoder),
        f"{int(outside.sum())} probes": make_world(raw, encoder, outside),
    }
    split = {name: halves(world) for name, world in worlds.items()}
    if arguments.fit:
        numbers = fit_all([first for first, _ in split.values()])
        PACKAGED.write_text(json.dumps(numbers, indent=1) + "\n")
    numbers = json.loads(PACKAGED.read_text())
    rows, covered = {}, {}
    for name, (_, second) in split.items():
        rows[name], trials = report(second, numbers, arguments.photos)
        covered[name] = {trial.concept: trial.clues.coverage for trial in trials}
    shown, hidden = ([*each.values()] for each in covered.values())
    result = {
        "worlds": rows,
        "coverage": {
            "auroc": round(
                auroc(np.array(shown + hidden), np.arange(len(shown + hidden)) < len(shown)), 4
            ),
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
