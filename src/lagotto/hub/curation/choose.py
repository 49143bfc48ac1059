"""The pictures in the space of an encoder come in; those that cover most go out, best first.

Farthest first: each picture that is taken is the one least like all that were taken before (by the
cosine of embeddings without their mean). Distance is weighted by how purely a picture shows one
thing (the entropy of the common nouns on it), and a picture that is the surest one of some noun
counts more. How the rule was chosen: benchmarks/notes/probe-sets.md.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.core.progress import Progress
from lagotto.core.vectors import unit_rows
from lagotto.hub.curation.check import SAME_FROM
from lagotto.hub.query.probe_weights import ProbeSpace

SUREST_FACTOR = 1.5
"""How much more a picture counts that shows some noun more surely than any other one does.
benchmarks/quality/probe_choice.py"""


@dataclass(frozen=True, slots=True)
class Choice:
    """The pictures that were chosen, best first, and how many near repeats of them were not."""

    chosen: tuple[int, ...]
    repeats: int


def choose_covering(
    space: ProbeSpace, allowed: Bool[np.ndarray, " pictures"], size: int, progress: Progress
) -> Choice:
    """Chooses pictures that show as many different things as possible, each purely.

    The first pictures of a choice are the choice of a smaller size.

    Args:
        space: The pictures, and the common nouns.
        allowed: Which pictures may be chosen.
        size: How many to choose; fewer where there are fewer.
        progress: Told of each.
    """
    centred = unit_rows(space.probes - space.probes.mean(axis=0))
    unit = unit_rows(space.probes)
    weight = rank_shares(purity(space))
    weight[surest_pictures(space, allowed)] *= SUREST_FACTOR
    left = allowed.copy()
    distance = np.full(len(unit), 2.0)
    chosen: list[int] = []
    repeats = 0
    while len(chosen) < size and left.any():
        value = np.where(left, distance * weight, -1.0)
        picture = int(value.argmax())
        chosen.append(picture)
        left[picture] = False
        same = left & (unit @ unit[picture] >= SAME_FROM)
        repeats += int(same.sum())
        left &= ~same
        distance = np.minimum(distance, 1.0 - centred @ centred[picture])
        progress.advance(1)
    return Choice(tuple(chosen), repeats)


def purity(space: ProbeSpace) -> Float64[np.ndarray, " pictures"]:
    """How purely each picture shows one thing: minus the entropy of the common nouns on it."""
    scores = space.logit_scale * space.background_cosines
    logs: Float32[np.ndarray, "words pictures"] = scores - space.background_scores[0]
    return np.asarray((np.exp(logs) * logs).sum(axis=0), dtype=np.float64)


def surest_pictures(
    space: ProbeSpace, allowed: Bool[np.ndarray, " pictures"]
) -> Int64[np.ndarray, " some"]:
    """The pictures that show some common noun more surely than any other allowed one."""
    if not allowed.any():
        return np.empty(0, dtype=np.int64)
    scores = space.logit_scale * space.background_cosines - space.background_scores[0]
    return np.unique(np.where(allowed, scores, -np.inf).argmax(axis=1))


def rank_shares(values: Float64[np.ndarray, " pictures"]) -> Float64[np.ndarray, " pictures"]:
    """The rank of each value from the lowest, over their number: 1 for the highest."""
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks / len(values)
