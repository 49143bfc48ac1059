"""Other estimates of quality, tried on the first half of the mini-hub, concepts held out.

An estimate is judged by Spearman with the held-out accuracy of labels, a wrong hit counting 0: the
form that is shipped (confidence times the expected accuracy of a right hit), the same with every
clue of a hit, and fits to accuracy itself: its share, and its rank.
"""

from collections.abc import Callable

import numpy as np

from calibration.figures import over_concepts, quality_rows
from calibration.known_answers import Trial, World
from calibration.reliability import fit_logistic, mean_ranks, spearman
from lagotto.hub.confidence.calibrator import Features, hit_features

FOLDS = 5
RIDGE = 30.0

Fit = Callable[[np.ndarray], np.ndarray]


def least_squares(rows: np.ndarray, values: np.ndarray, ridge: float = RIDGE) -> Fit:
    """A linear fit; the ridge is on standardised columns."""
    mean, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)

    def wide(given: np.ndarray) -> np.ndarray:
        return np.c_[(given - mean) / spread, np.ones(len(given))]

    table = wide(rows)
    penalty = np.diag([ridge] * rows.shape[1] + [1e-6])
    solved = np.linalg.solve(table.T @ table + penalty, table.T @ values)
    return lambda given: wide(given) @ solved


def quality_tries(
    world: World, trials: list[Trial], view: Callable[[Features], Features]
) -> dict[str, dict[str, object]]:
    """Of each estimate Spearman over the hits of whole hubs, its range over draws of concepts."""
    table, known, right, concept = quality_rows(world, trials)
    hits = np.concatenate([hit_features(view(trial.features)) for trial in trials])
    scores = np.concatenate([trial.scores for trial in trials])[:, None]
    present = np.repeat([trial.present for trial in trials], len(trials[0].right))
    judged = present & np.repeat([not trial.drawn for trial in trials], len(trials[0].right))
    everything, fold = np.c_[table, hits, scores], concept % FOLDS
    found: dict[str, np.ndarray] = {}
    for held in range(FOLDS):
        out, kept = fold == held, fold != held
        good, there = kept & right, kept & present
        confidence = fit_logistic(hits[kept], right[kept])(hits[out])
        own = least_squares(table[good], known[good], 1e-6)(table[out])
        more = least_squares(everything[good], known[good])(everything[out])
        ranks = mean_ranks(known[there]) / there.sum()
        estimates = {
            "confidence x quality (shipped form)": confidence * np.clip(own, 0, 1),
            "the same, every clue of a hit": confidence * np.clip(more, 0, 1),
            "fitted to accuracy, wrong as 0": fit_logistic(everything[kept], known[kept])(
                everything[out]
            ),
            "fitted to its rank, hubs with the concept": least_squares(everything[there], ranks)(
                everything[out]
            ),
        }
        for name, values in estimates.items():
            found.setdefault(name, np.zeros(len(known)))[out] = values
    return {
        name: {
            "spearman": round(spearman(values[judged], known[judged]), 4),
            "95 %": over_concepts(values[judged], known[judged], concept[judged], spearman),
        }
        for name, values in found.items()
    }
