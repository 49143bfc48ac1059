"""Models with their logits on part of a sample come in; those to run on more pictures go out.

Few pictures carry little evidence, so the thresholds here are loose. The selection itself uses the
whole sample (selection.py).
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import fit_votes, information
from lagotto.specialists.matching import PERMUTATIONS, SpecialistCandidate, match, match_all
from lagotto.specialists.probe_evidence import EncoderView, first_order_gain
from lagotto.specialists.selection import (
    COPY_DISTANCE,
    select_models,
    similarity_distance,
)

NEAR_BEST_SHARE = 0.4
"""Models that explain at least this share of what the best one explains are near it."""

_MIN_SHORTLIST = 8

Candidates: TypeAlias = Mapping[str, SpecialistCandidate]
"""Models by name, with their logits on the same pictures."""


def without_copies(candidates: Candidates) -> list[str]:
    """The names of the models without copies: of each group of copies one, if possible with names.

    The other copies would not be selected, but would take the places of other models.
    """
    shares: dict[str, Float64[np.ndarray, "_pictures _outputs"]] = {}
    by_names = sorted(candidates, key=lambda name: not (candidates[name].named_outputs >= 0).any())
    for name in by_names:
        candidate = softmax(candidates[name].logits)
        if all(similarity_distance(candidate, other) >= COPY_DISTANCE for other in shares.values()):
            shares[name] = candidate
    return [name for name in candidates if name in shares]


def finalists_so_far(candidates: Candidates, view: EncoderView, max_models: int) -> list[str]:
    """The models of all labels near the best, by behaviour alone, if there are enough of them.

    There are enough if `max_models` of them would be selected now; else the list is empty, and the
    search goes on.
    """
    matches = [match(model, view, behaviour_only=True) for model in candidates.values()]
    complete = [m for m in matches if m is not None and m.covers_all_labels]
    near_best = NEAR_BEST_SHARE * max((m.explained_information for m in complete), default=0.0)
    complete = [m for m in complete if m.explained_information >= near_best]
    enough = len(select_models(complete, candidates, view, max_models).matches) >= max_models
    return [m.model for m in complete] if enough else []


def promising_models(candidates: Candidates, view: EncoderView, max_models: int) -> list[str]:
    """The models that explain most, and as many of those that may know some labels."""
    limit = max(_MIN_SHORTLIST, 2 * max_models)
    information = _information_above_chance(candidates, view)
    best = sorted(information, key=lambda name: -information[name])
    matches = match_all(list(candidates.values()), view)
    best_matches = sorted(matches, key=lambda m: -m.fit.log_likelihood_gain)
    return list(dict.fromkeys([*best[:limit], *(m.model for m in best_matches[:limit])]))


def likely_models(candidates: Candidates, view: EncoderView, max_models: int) -> list[str]:
    """The models near the best in what they explain, those that would be selected now, and
    `max_models` of those that may know some labels."""
    information = _information_above_chance(candidates, view)
    near_best = [
        name
        for name in information
        if information[name] >= NEAR_BEST_SHARE * max(information.values())
    ]
    matches = match_all(list(candidates.values()), view)
    selected = select_models(matches, candidates, view, max_models).matches
    best_matches = sorted(matches, key=lambda m: -m.fit.log_likelihood_gain)[:max_models]
    return list(dict.fromkeys([*near_best, *(m.model for m in (*selected, *best_matches))]))


def explained_information(
    view: EncoderView, logits: Float64[np.ndarray, "pictures outputs"]
) -> float:
    """The share of the encoder's information that a model explains under its best outputs."""
    posterior, shares = softmax(view.logits), softmax(logits)
    outputs = best_assignment(first_order_gain(posterior, shares))
    fit = fit_votes(view.logits, shares, outputs, (1.0, 0.5))
    return fit.log_likelihood_gain / (len(shares) * max(information(posterior), 1e-9))


def _information_above_chance(candidates: Candidates, view: EncoderView) -> dict[str, float]:
    """The explained information of each model, minus what it explains by chance."""
    return {
        name: explained_information(view, model.logits) - _information_by_chance(view, model.logits)
        for name, model in candidates.items()
    }


def _information_by_chance(
    view: EncoderView, logits: Float64[np.ndarray, "pictures outputs"]
) -> float:
    """The explained information if the answers are assigned to random pictures.

    It grows with the number of outputs to choose from.
    """

    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(logits)) for _ in range(PERMUTATIONS)]
    return float(np.mean([explained_information(view, logits[order]) for order in orders]))
