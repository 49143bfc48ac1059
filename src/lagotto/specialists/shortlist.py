"""What models say of some pictures of a sample → which of them are worth running on more.

Few pictures tell little, so what is decided early is decided loosely; the choice itself is made on
the whole sample (choosing.py).
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import fit_votes, information
from lagotto.specialists.matching import PERMUTATIONS, SpecialistCandidate, match, match_all
from lagotto.specialists.probe_evidence import View, excess
from lagotto.specialists.selection import (
    COPIES,
    apart,
    choose,
)

NEAR_ENOUGH = 0.4
"""Models that explain so much of what the best one explains are near it."""

_KEPT = 8

Candidates: TypeAlias = Mapping[str, SpecialistCandidate]
"""Models by name, with their logits on the pictures that all of them were shown."""


def without_copies(candidates: Candidates) -> list[str]:
    """Of models that are copies of each other one, which is one with names if there is any.

    The others would not be asked beside it, but take the places of models that are.
    """
    shares: dict[str, Float64[np.ndarray, "_pictures _outputs"]] = {}
    for name in sorted(candidates, key=lambda each: not (candidates[each].named >= 0).any()):
        own = softmax(candidates[name].logits)
        if all(apart(own, other) >= COPIES for other in shares.values()):
            shares[name] = own
    return [name for name in candidates if name in shares]


def settled(candidates: Candidates, seen: View, max_models: int) -> list[str]:
    """Models of all labels that are near the best, by behaviour alone, if `max_models` of them
    would be asked by now; else none, and others are worth a look."""
    found = [match(each, seen, behaviour_only=True) for each in candidates.values()]
    whole = [each for each in found if each is not None and each.whole]
    near = NEAR_ENOUGH * max((each.explains for each in whole), default=0.0)
    whole = [each for each in whole if each.explains >= near]
    enough = len(choose(whole, candidates, seen, max_models).matches) >= max_models
    return [each.model for each in whole] if enough else []


def promising(candidates: Candidates, seen: View, max_models: int) -> list[str]:
    """Models that explain most, and as many of those that may know some labels."""
    most = max(_KEPT, 2 * max_models)
    worth = _worth(candidates, seen)
    best = sorted(worth, key=lambda name: -worth[name])
    some = match_all(list(candidates.values()), seen)
    known = sorted(some, key=lambda each: -each.fit.nats)
    return list(dict.fromkeys([*best[:most], *(each.model for each in known[:most])]))


def likely(candidates: Candidates, seen: View, max_models: int) -> list[str]:
    """Models that would be asked by now, or are near the best in what they explain, and as many of
    those that may know some labels as would be asked."""
    worth = _worth(candidates, seen)
    near = [name for name in worth if worth[name] >= NEAR_ENOUGH * max(worth.values())]
    some = match_all(list(candidates.values()), seen)
    asked = choose(some, candidates, seen, max_models).matches
    known = sorted(some, key=lambda each: -each.fit.nats)[:max_models]
    return list(dict.fromkeys([*near, *(each.model for each in (*asked, *known))]))


def explains(seen: View, logits: Float64[np.ndarray, "pictures outputs"]) -> float:
    """The share of the encoder's information that the model's best outputs explain."""
    view, shares = softmax(seen.logits), softmax(logits)
    outputs = best_assignment(excess(view, shares))
    fit = fit_votes(seen.logits, shares, outputs, (1.0, 0.5))
    return fit.nats / (len(shares) * max(information(view), 1e-9))


def _worth(candidates: Candidates, seen: View) -> dict[str, float]:
    """How much each model explains, beyond what it explains of other pictures by chance."""
    return {
        name: explains(seen, each.logits) - _by_chance(seen, each.logits)
        for name, each in candidates.items()
    }


def _by_chance(seen: View, logits: Float64[np.ndarray, "pictures outputs"]) -> float:
    """What the same model explains of other pictures: more, the more outputs it has to choose."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(logits)) for _ in range(PERMUTATIONS)]
    return float(np.mean([explains(seen, logits[order]) for order in orders]))
