"""A concept in words and published labels in; which logits are called so, and their bonus, out.

A published name raises a logit's score, but only as far as the audit of its model's list believes
the label and as the model's other outputs do not contradict it (docs/search.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from lagotto.core.text.names import label_word_sets, name_words, spellings

_NEARLY = 0.9

NAME_SHARE = 5.0
"""What a name that is the concept's own adds to a score, in noise thresholds of the hub."""


FIRMLY = 1.0
OPENLY = 0.5


@dataclass(frozen=True, slots=True)
class Named:
    """Columns whose published label is like a concept's name, and how much each is like it, 0 to 1.

    `trust` says how far each label is to be believed: FIRMLY, until OPENLY contradicted by the very
    query, or not at all (0).
    """

    columns: Int64[np.ndarray, " named"]
    likeness: Float32[np.ndarray, " named"]
    trust: Float32[np.ndarray, " named"]


NOBODY = Named(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32))


def name_likeness(words: frozenset[str], label: str) -> float:
    """Cosine of two sets of words.

    A label is as many names as it has between commas, semicolons and parentheses.

    >>> name_likeness(name_words("great white sharks"), "great white shark, white shark")
    1.0
    """
    return max(
        (len(words & said) / (len(words) * len(said)) ** 0.5 for said in label_word_sets(label)),
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
) -> Named:
    """The logits that carry a concept's name or a part of it.

    `labelled` gives (model, logit, label) of all labels that contain any of some texts, `column`
    the place of a logit in the logit index, `trust` how far its label is to be believed.
    """
    words = name_words(concept)
    found: list[tuple[int, float, float]] = []
    for model, logit, label in labelled(label_spellings(concept)) if words else ():
        likeness, place = name_likeness(words, label), column(model, logit)
        if likeness > 0 and place is not None:
            found.append((place, likeness, trust(model, logit)))
    if not found:
        return NOBODY
    found.sort()
    return Named(
        np.array([place for place, _, _ in found], np.int64),
        np.array([likeness for _, likeness, _ in found], np.float32),
        np.array([trusted for _, _, trusted in found], np.float32),
    )


def name_scores(
    named: Named,
    behaviour: Float[np.ndarray, " logits"],
    firsts: Int64[np.ndarray, " models"],
    threshold: float,
) -> Float64[np.ndarray, " named"]:
    """What their names add to the scores of the named columns.

    `behaviour` are the standardised scores of all logits, `firsts` the first column of each model,
    `threshold` the hub's noise. A name counts by the square of its likeness. One that is believed
    only openly counts not at all where behaviour contradicts it: another output of the same model
    answers the concept, above the hub's noise or nearly best of all, and by more than the noise
    better than the named.
    """
    best = np.maximum.reduceat(behaviour, firsts) if len(firsts) else behaviour
    return bonus_from_scores(named, behaviour[named.columns], best, firsts, threshold)


def bonus_from_scores(
    named: Named,
    own: Float[np.ndarray, " named"],
    best: Float[np.ndarray, " models"],
    firsts: Int64[np.ndarray, " models"],
    threshold: float,
) -> Float64[np.ndarray, " named"]:
    """`name_scores` from the standardised scores of the named and of the best of each model."""
    owners = np.searchsorted(firsts, named.columns, side="right") - 1
    rival = best[owners]
    behind = rival - own
    answered = min(threshold, _NEARLY * float(best.max()))  # in a small hub scores are bounded
    contradicted = (rival > answered) & (behind > threshold)
    believed = (named.trust >= FIRMLY) | ((named.trust > 0) & ~contradicted)
    share = np.square(named.likeness.astype(np.float64))
    return np.asarray(np.where(believed, NAME_SHARE * threshold * share, 0.0))
