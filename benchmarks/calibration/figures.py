"""Figures of a calibrator on known answers: presence, confidence, quality, and hubness."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from calibration.known_answers import Trial, World
from calibration.reliability import auroc, calibration_error, reliability, spearman
from lagotto.hub.confidence.calibrator import (
    Calibrator,
    Features,
    best_margin,
)
from lagotto.hub.confidence.quality import QualityFit, quality_table
from lagotto.hub.index.scoring import (
    SEARCH_CONFIG,
    combine_scores,
    sample_columns,
)
from lagotto.hub.query.probe_weights import text_weights, top_k_weights

DRAWS = 2000
ENOUGH = 30
"""Samples from which a decile counts."""

BAR = 0.05
"""How far a decile's confidence may be from the share that is right."""


def by_behaviour(features: Features) -> Features:
    """The same features where no label is believed."""
    return replace(
        features, label_margin=features.margin, has_label=np.zeros_like(features.has_label)
    )


def chance_confidence(trial: Trial) -> np.ndarray:
    """The confidence that was shown before: one minus the chance of such a score by accident."""
    centre = np.median(trial.chance)
    spread = 1.4826 * np.median(np.abs(trial.chance - centre))
    tail = [0.5 * math.erfc((score - centre) / spread / math.sqrt(2)) for score in trial.scores]
    return np.exp(trial.logits * np.log1p(-np.minimum(tail, 1 - 1e-16)))


class Draws:
    """Samples of each decile over draws of the concepts, whose samples are alike."""

    def __init__(self, predicted: np.ndarray, true: np.ndarray, concept: np.ndarray) -> None:
        place = np.minimum((predicted * 10).astype(int), 9)
        concepts, group = np.unique(concept, return_inverse=True)
        cells = np.zeros((2, len(concepts), 10))
        np.add.at(cells[0], (group, place), 1)
        np.add.at(cells[1], (group, place), predicted - true)
        rng = np.random.default_rng(0)
        share = np.full(len(concepts), 1 / len(concepts))
        times = rng.multinomial(len(concepts), share, DRAWS)
        counts, sums = (times @ each for each in cells)
        self.counts = cells[0].sum(axis=0)
        self.gap = cells[1].sum(axis=0) / np.maximum(self.counts, 1)
        self.drawn = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        self.effective = self.counts**2 / np.maximum((cells[0] ** 2).sum(axis=0), 1)

    def interval(self, decile: int) -> list[float]:
        """95 % of the decile's gap."""
        return [
            round(float(edge), 4) for edge in np.nanquantile(self.drawn[:, decile], [0.025, 0.975])
        ]

    def worst_by_chance(self) -> dict[str, float]:
        """The worst gap that a forecaster without any would show with as many concepts.

        Over the same draws, each decile's gap less its own: its median, what 95 % stay below, and
        the share of draws in which all deciles keep within the bar.
        """
        enough = self.counts >= ENOUGH
        worst = np.nanmax(np.abs(self.drawn - self.gap)[:, enough], axis=1)
        return {
            "median": round(float(np.median(worst)), 4),
            "95 %": round(float(np.quantile(worst, 0.95)), 4),
            "within the bar": round(float(np.mean(worst <= BAR)), 4),
        }


def bins(predicted: np.ndarray, true: np.ndarray, concept: np.ndarray) -> dict[str, Any]:
    """A reliability table, with its mean and its worst gap, and what of it may be chance.

    A row: from, to, samples, mean, share that is right, 95 % of the gap over draws of the concepts,
    and to how many evenly shared concepts the decile amounts.
    """
    found, draws = reliability(predicted, true), Draws(predicted, true, concept)
    gaps = [abs(each.gap) for each in found if each.count >= ENOUGH]
    return {
        "samples": len(true),
        "calibration_error": round(calibration_error(found), 4),
        "worst_gap_of_30": round(max(gaps), 4),
        "worst_gap_by_chance": draws.worst_by_chance(),
        "auroc": round(auroc(predicted, true), 4),
        "bins": [
            [
                each.low,
                each.high,
                each.count,
                round(each.predicted, 4),
                round(each.true, 4),
                draws.interval(round(each.low * 10)),
                round(float(draws.effective[round(each.low * 10)]), 1),
            ]
            for each in found
        ],
    }


def over_concepts(
    values: np.ndarray,
    true: np.ndarray,
    concept: np.ndarray,
    measure: Callable[[np.ndarray, np.ndarray], float],
    draws: int = 300,
) -> list[float]:
    """95 % of a figure over draws of the concepts."""
    concepts = np.unique(concept)
    members = [np.flatnonzero(concept == each) for each in concepts]
    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        chosen = np.concatenate([members[i] for i in rng.integers(0, len(concepts), len(concepts))])
        found.append(measure(values[chosen], true[chosen]))
    return [round(float(edge), 4) for edge in np.quantile(found, [0.025, 0.975])]


def concept_figures(world: World, trials: list[Trial], calibrator: Calibrator) -> dict[str, Any]:
    """AUROC of present against absent, by what it is told by, and by the size of the hub."""
    ways: dict[str, Callable[[Trial], float]] = {
        "score of the first hit": lambda trial: trial.scores[0],
        "chance (before)": lambda trial: chance_confidence(trial)[0],
        "lead over background words": lambda trial: best_margin(trial.features.margin),
        "presence, behaviour only": lambda trial: calibrator.concept_probability(
            by_behaviour(trial.features)
        ),
        "presence, believed labels too": lambda trial: calibrator.concept_probability(
            trial.features
        ),
    }
    present = np.array([trial.present for trial in trials])
    sizes = np.array([trial.drawn for trial in trials])
    concept = world.known.groups[[trial.concept for trial in trials]]
    rows: dict[str, Any] = {}
    for name, way in ways.items():
        values = np.array([way(trial) for trial in trials])
        rows[name] = {
            "all models" if size == 0 else str(size): round(
                auroc(values[sizes == size], present[sizes == size]), 4
            )
            for size in np.unique(sizes).tolist()
        }
        whole = sizes == 0
        rows[name]["95 %"] = over_concepts(values[whole], present[whole], concept[whole], auroc)
    told = {
        "behaviour only": [
            calibrator.concept_probability(by_behaviour(trial.features)) for trial in trials
        ],
        "believed labels too": [calibrator.concept_probability(trial.features) for trial in trials],
    }
    return {
        "auroc": rows,
        "told": {
            name: {"reliability": bins(np.array(values), present, concept)}
            for name, values in told.items()
        },
    }


def confidence_figures(world: World, trials: list[Trial], calibrator: Calibrator) -> dict[str, Any]:
    """Reliability of hits: what was shown before, and the confidence."""
    right = np.stack([trial.right for trial in trials])
    concept = world.known.groups[[trial.concept for trial in trials]]
    shown = {
        "chance (before)": [chance_confidence(trial) for trial in trials],
        "confidence": [calibrator.confidence(by_behaviour(trial.features)) for trial in trials],
        "confidence, believed labels too": [calibrator.confidence(t.features) for t in trials],
    }
    return {
        name: {
            "first hit": bins(values[:, 0], right[:, 0], concept),
            "ten hits": bins(values.ravel(), right.ravel(), np.repeat(concept, right.shape[1])),
        }
        for name, values in ((name, np.stack(each)) for name, each in shown.items())
    }


def quality_rows(world: World, trials: list[Trial]) -> tuple[np.ndarray, ...]:
    """quality_table of all hits, the known accuracy (0 of a wrong hit), right, and concept."""
    outputs = np.bincount(world.known.owner)[world.known.owner].astype(np.int64)
    rows, known, right, concept = [], [], [], []
    for trial in trials:
        hits = trial.columns
        rows.append(
            quality_table(world.descriptors[:, hits], trial.features.agreement, outputs[hits])
        )
        known.append(np.where(trial.right, world.known.accuracy[hits], 0.0))
        right.append(trial.right)
        concept.append(np.full(len(hits), trial.concept))
    return tuple(np.concatenate(each) for each in (rows, known, right, concept))


def quality_figures(
    world: World, trials: list[Trial], calibrator: Calibrator, quality: QualityFit, photos: int
) -> dict[str, Any]:
    """Spearman of the estimate with the known accuracy, which `photos` a label were held out for.

    `ceiling` is the correlation that the true accuracy itself would have with that of so few
    photos, by the variance of a binomial.
    """
    table, known, right, concept = quality_rows(world, trials)
    behaviour = [calibrator.confidence(by_behaviour(trial.features)) for trial in trials]
    confidence = np.concatenate(behaviour)
    named = np.concatenate([calibrator.confidence(trial.features) for trial in trials])
    expected = confidence * quality(table)
    own = quality(table)[right]
    true = known[right]
    noise = (true * (1 - true)).mean() / (photos - 1)
    answered = np.concatenate([world.known.accuracy[trial.columns] for trial in trials])
    by_concept = [
        spearman(own[concept[right] == each], true[concept[right] == each])
        for each in np.unique(concept[right])
        if (concept[right] == each).sum() >= 5
    ]
    return {
        "hits": len(known),
        "right_hits": len(true),
        "all_hits": round(spearman(expected, known), 4),
        "all_hits_95": over_concepts(expected, known, concept, spearman),
        "all_hits_by_name": round(spearman(named * quality(table), known), 4),
        "all_hits_by_name_95": over_concepts(named * quality(table), known, concept, spearman),
        "confidence_alone": round(spearman(confidence, known), 4),
        "all_hits_right_known": round(spearman(right * quality(table), known), 4),
        "all_hits_accuracy_known": round(spearman(confidence * answered, known), 4),
        "all_hits_both_known": round(both_known(right, true, noise, photos), 4),
        "right_hits_spearman": round(spearman(own, true), 4),
        "right_hits_95": over_concepts(own, true, concept[right], spearman),
        "right_hits_within_concept": round(float(np.nanmean(by_concept)), 4),
        "right_hits_ceiling": round(float(np.sqrt(max(0.0, 1 - noise / true.var()))), 4),
    }


def both_known(right: np.ndarray, true: np.ndarray, noise: float, photos: int) -> float:
    """Spearman, over all hits, of what knows which are right and their true accuracy.

    True accuracies are drawn from the beta distribution whose moments are those of the measured
    ones (`true`) less the noise of so few photos, and then measured on as many.
    """
    mean, spread = true.mean(), max(true.var() - noise, 1e-6)
    weight = mean * (1 - mean) / spread - 1
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        accuracy = np.zeros(len(right))
        accuracy[right] = rng.beta(mean * weight, (1 - mean) * weight, int(right.sum()))
        found.append(spearman(accuracy, rng.binomial(photos, accuracy) / photos))
    return float(np.mean(found))


def plain_scores(world: World, columns: np.ndarray, concepts: np.ndarray) -> np.ndarray:
    """The default rule on all of some logits, none of them left out as no candidate."""
    shares = top_k_weights(text_weights(world.space, concepts), SEARCH_CONFIG.k)
    sums = shares @ world.blended[:, columns]
    along = (concepts - world.space.background_mean) @ world.directions[columns].T
    sample = sample_columns(np.arange(len(columns)))
    return combine_scores(sums, along, sample)


def hubness_figures(world: World, models: np.ndarray, concepts: list[int]) -> dict[str, Any]:
    """Corrections of scores by those of the background words on the same logit, all models.

    Top-1 of concepts that are known, and AUROC of the first hit's score, present against absent.
    """
    columns = np.flatnonzero(np.isin(world.known.owner, models))
    words = plain_scores(world, columns, world.space.background)
    asked = plain_scores(world, columns, world.embeddings[concepts])
    highest = np.sort(words, axis=0)
    mean, spread = words.mean(axis=0), words.std(axis=0)
    ways = {
        "none": asked,
        "z-score": (asked - mean) / spread,
        "CSLS, 10 nearest words": 2 * asked - highest[-10:].mean(axis=0),
        "NNN, 64 nearest words, weight 0.5": asked - 0.5 * highest[-64:].mean(axis=0),
    }
    knows = world.known.knows[:, concepts]
    rows = {}
    for name, scores in ways.items():
        right, firsts = [], []
        for row, concept in enumerate(concepts):
            stranger = ~knows[world.known.owner[columns], row]
            right.append(world.known.concept[columns[scores[row].argmax()]] == concept)
            firsts.append((scores[row].max(), scores[row][stranger].max()))
        first = np.array(firsts).T
        true = np.arange(first.size) < first.shape[1]
        rows[name] = {
            "top1": round(float(np.mean(right)), 4),
            "presence_auroc": round(auroc(first.ravel(), true), 4),
        }
    return rows
