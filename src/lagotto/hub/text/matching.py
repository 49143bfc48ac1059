"""A concept in words and published labels in; which logits are named so, and their bonus, out.

A published name raises a logit's score, but only as far as the audit of its model's list believes
the label and as the model's other outputs do not contradict it (docs/explanation/search.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from lagotto.core.text.names import label_word_sets, name_words, spellings


@dataclass(frozen=True, slots=True)
class MatchConfig:
    """How published labels are matched with a concept and what a match adds to a score.

    Attributes:
        bonus: what a label with the very words of the concept adds to a score, in noise thresholds
            of the hub. Set by benchmarks/quality/names.py.
        answered_share: share of the hub's best score from which another output of the same model
            answers the concept instead. Set by benchmarks/quality/names.py.
        least_cosine: cosine of label and concept, as directions from the mean of the background
            words, from which they are of similar meaning. Set by benchmarks/quality/
            label_matches.py.
        meaning_weight: likeness of a label of similar meaning, as a share of that cosine. Set by
            benchmarks/quality/label_matches.py.
        most_labels: labels of similar meaning that are matched, the most similar ones.
    """

    bonus: float = 5.0
    answered_share: float = 0.9
    least_cosine: float = 0.4
    meaning_weight: float = 0.8
    most_labels: int = 256


MATCH = MatchConfig()
"""The thresholds that the package uses."""

FIRMLY = 1.0
"""Level of trust in a label that is believed whatever a query says."""

OPENLY = 0.5
"""Level of trust in a label that is believed until a query contradicts it."""


@dataclass(frozen=True, slots=True)
class Named:
    """Logits with a name that is like a concept's: their published label, or that of a twin.

    A twin's label is one of another model's output that the logit behaves like.

    Attributes:
        columns: the logits, as columns of the logit index, ascending.
        likeness: how much each label is like the name, 0 to 1; 1 is the same words.
        trust: how far each label is believed: FIRMLY, OPENLY or 0.
        probability: how likely each logit recognizes what the label says; None if all labels are
            the logits' own, which say it with probability 1.
        teachers: the column of the logit that each label was published for; None if all are own.
    """

    columns: Int64[np.ndarray, " named"]
    likeness: Float32[np.ndarray, " named"]
    trust: Float32[np.ndarray, " named"]
    probability: Float32[np.ndarray, " named"] | None = None
    teachers: Int64[np.ndarray, " named"] | None = None

    @property
    def labelled(self) -> Int64[np.ndarray, " named"]:
        """The columns that the labels were published for."""
        return self.columns if self.teachers is None else self.teachers


NOBODY = Named(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32))


def name_likeness(words: frozenset[str], label: str) -> float:
    """How much a label is like a name by their words: the cosine of the two sets of words.

    A label is as many names as it has between commas, semicolons and parentheses; the one that is
    most alike counts.

    Args:
        words: the words of the concept, as `name_words` gives them.
        label: a published label.

    Returns:
        0 without a common word, 1 for the same words.

    Example:
        >>> name_likeness(name_words("great white sharks"), "great white shark, white shark")
        1.0
    """
    if not words:  # a concept of signs alone, such as "?"
        return 0.0
    return max(
        (
            len(words & word_set) / (len(words) * len(word_set)) ** 0.5
            for word_set in label_word_sets(label)
        ),
        default=0.0,
    )


def label_spellings(concept: str) -> tuple[str, ...]:
    """Texts of which each label that says a word of the concept contains one, sorted.

    >>> label_spellings("Mice")
    ('mice', 'mouse')
    """
    return tuple(sorted({text for word in name_words(concept) for text in spellings(word)}))


def find_named(
    concept: str,
    labelled: Callable[[Sequence[str]], Sequence[tuple[str, int, str]]],
    column: Callable[[str, int], int | None],
    trust: Callable[[str, int], float],
    similar: Mapping[str, float] = MappingProxyType({}),
) -> Named:
    """The logits whose label is like a concept's name, by its words or by its meaning.

    Args:
        concept: the concept in words.
        labelled: gives (model, logit, label) of all labels that contain any of some texts, and of
            those in `similar`.
        column: gives the column of a logit in the logit index, None for one that it lacks.
        trust: how far the label of a logit is believed.
        similar: likeness of the labels of similar meaning; the likeness of words counts where it
            is higher.
    """
    words, likeness = name_words(concept), dict(similar)
    matches: dict[int, tuple[float, float]] = {}
    for model, logit, label in labelled(label_spellings(concept)):
        by_words = name_likeness(words, label) if words else 0.0
        alike, index = max(by_words, likeness.get(label, 0.0)), column(model, logit)
        if alike > 0 and index is not None:
            matches[index] = (alike, trust(model, logit))
    if not matches:
        return NOBODY
    columns = sorted(matches)
    return Named(
        np.array(columns, np.int64),
        np.array([matches[index][0] for index in columns], np.float32),
        np.array([matches[index][1] for index in columns], np.float32),
    )


def name_scores(
    named: Named,
    behaviour: Float[np.ndarray, " logits"],
    firsts: Int64[np.ndarray, " models"],
    threshold: float,
) -> Float64[np.ndarray, " named"]:
    """What their names add to the scores of the named columns.

    A name counts by the square of its likeness, and a twin's by its probability too. A name that is
    believed only openly adds nothing if behaviour contradicts it: another output of the model that
    published it answers the concept, above the hub's noise or nearly best of all, and by more than
    the noise better than the labelled one.

    Args:
        named: the named columns.
        behaviour: the standardized scores of all logits.
        firsts: the first column of each model.
        threshold: the hub's noise, in units of a score.
    """
    best = np.maximum.reduceat(behaviour, firsts) if len(firsts) else behaviour
    return bonus_from_scores(named, behaviour[named.labelled], best, firsts, threshold)


def bonus_from_scores(
    named: Named,
    scores: Float[np.ndarray, " named"],
    best: Float[np.ndarray, " models"],
    firsts: Int64[np.ndarray, " models"],
    threshold: float,
) -> Float64[np.ndarray, " named"]:
    """`name_scores` from the standardized scores of the labelled and of the best of each model."""
    owners = np.searchsorted(firsts, named.labelled, side="right") - 1
    rival = best[owners]
    behind = rival - scores
    answered = min(threshold, MATCH.answered_share * float(best.max()))  # few logits: low scores
    contradicted = (rival > answered) & (behind > threshold)
    believed = (named.trust >= FIRMLY) | ((named.trust > 0) & ~contradicted)
    share = np.square(named.likeness.astype(np.float64))
    if named.probability is not None:
        share *= named.probability
    return np.asarray(np.where(believed, MATCH.bonus * threshold * share, 0.0))
