"""Hits and labels that say a concept's very words come in; what these tell of the hits goes out.

A believed label with the words of a query says what its own output recognizes, and through twins
(labels/twins/) what outputs of other models do. If it is that of a reference of many labels, it
also says which hits are *no* twins: where a concept is known so well, these are rarely right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from lagotto.hub.text.matching import FIRMLY, Named

_LEAST, _MOST = 0.02, 0.995
"""Between these a probability becomes log odds."""

TAUGHT_HIT_FEATURES = (
    "log odds without teachers",
    "twin",
    "log odds of a twin",
    "likeliest twin",
    "log odds without teachers of a twin",
)
"""The columns of `taught_hit_features`, as calibrator.json names them."""

TAUGHT_CONCEPT_FEATURES = (
    "log odds without teachers",
    "any twin",
    "log odds of the likeliest twin",
)
"""The columns of `taught_concept_features`, as calibrator.json names them."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """What labels with the very words of a concept, believed whatever a query says, tell of hits.

    Attributes:
        probability: how likely each hit recognizes the concept as a twin of such a label's output;
            0 for a hit that is no twin.
        has_teacher: whether a reference of many labels has such a label at all. It stands for a
            concept that is known so well that a hit which is no twin is rarely right.
    """

    probability: Float64[np.ndarray, " hits"]
    has_teacher: bool

    @property
    def twins(self) -> Bool[np.ndarray, " hits"]:
        """Which hits are twins."""
        return np.asarray(self.probability > 0)


def teaching_of(
    named: Named, columns: Int64[np.ndarray, " hits"], references: Sequence[slice] = ()
) -> Teaching:
    """What the labels with a concept's words tell of some hits.

    Args:
        named: the logits that are named like the concept, by their own labels or by twins.
        columns: the hits, as columns of the logit index.
        references: the columns of reference models of many labels.
    """
    probability = np.zeros(len(columns))
    same_words = (named.likeness >= 1) & (named.trust >= FIRMLY)
    rows = np.flatnonzero((named.labelled != named.columns) & same_words)
    if len(rows) and named.probability is not None:
        places = np.searchsorted(named.columns[rows], columns).clip(max=len(rows) - 1)
        same = named.columns[rows][places] == columns
        probability[same] = named.probability[rows][places[same]]
    teachers = named.labelled[same_words]
    taught = any(((teachers >= span.start) & (teachers < span.stop)).any() for span in references)
    return Teaching(probability, bool(taught))


def taught_hit_features(
    without: Float64[np.ndarray, " hits"], probability: Float64[np.ndarray, " hits"], pool: int
) -> Float64[np.ndarray, "hits columns"]:
    """One row a hit: the columns that `Calibrator.taught_hit` weighs.

    Args:
        without: the confidence of the hits without teachers.
        probability: how likely each hit is of the concept as a twin; 0 for no twin.
        pool: how many of the hits are the best ones, which are judged together; they are first.
    """
    is_twin = (probability > 0).astype(np.float64)
    odds = log_odds(without)
    likeliest = (probability >= probability[:pool].max()) * is_twin
    columns = [odds, is_twin, is_twin * log_odds(probability), likeliest, is_twin * odds]
    return np.stack(columns, axis=1)


def taught_concept_features(
    without: float, probability: Float64[np.ndarray, " pool"]
) -> Float64[np.ndarray, " columns"]:
    """The columns that `Calibrator.taught_concept` weighs, from those of the best hits."""
    likeliest = probability.max()
    twins = float(likeliest > 0)
    columns = [log_odds(np.array([without]))[0], twins, twins * log_odds(likeliest[None])[0]]
    return np.array(columns)


def log_odds(probability: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Log odds of probabilities, those near 0 and 1 cut."""
    cut = np.clip(probability, _LEAST, _MOST)
    return np.asarray(np.log(cut / (1.0 - cut)))
