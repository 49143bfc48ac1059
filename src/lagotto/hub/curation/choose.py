"""The pictures in the space of an encoder come in; those that cover most go out, best first.

A picture is described by how it spreads over the common nouns: the square roots of their softened
probabilities. Pictures are chosen one by one, each the one whose description the pictures chosen
before explain least (greedy D-optimal design: the largest determinant of I + STRENGTH F'F). How the
rule was chosen: benchmarks/notes/probe-sets.md.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from lagotto.core.progress import Progress
from lagotto.core.vectors import unit_rows
from lagotto.hub.curation.check import SAME_FROM
from lagotto.hub.query.probe_weights import ProbeSpace

SOFTENING = 0.15
"""Scale of the probabilities of nouns, over the encoder's own logit scale: how pictures differ
counts in all nouns then, not in the likeliest alone. benchmarks/quality/probe_choice.py"""

STRENGTH = 1e4
"""Weight of a chosen picture against the prior I: so large that hardly anything of what a chosen
picture says counts again, and finite, so that more pictures than nouns can be chosen."""


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
    unit = unit_rows(space.probes)
    described = describe_by_nouns(space)
    unexplained = STRENGTH * np.einsum("pw,pw->p", described, described, dtype=np.float64)
    covariance = STRENGTH * np.eye(described.shape[1])
    left = allowed.copy()
    chosen: list[int] = []
    repeats = 0
    while len(chosen) < size and left.any():
        picture = int(np.where(left, unexplained, -np.inf).argmax())
        chosen.append(picture)
        left[picture] = False
        same = left & (unit @ unit[picture] >= SAME_FROM)
        repeats += int(same.sum())
        left &= ~same
        told = covariance @ described[picture]
        told /= np.sqrt(1.0 + described[picture] @ told)
        covariance -= np.outer(told, told)
        unexplained -= np.square(described @ told.astype(np.float32), dtype=np.float64)
        progress.advance(1)
    return Choice(tuple(chosen), repeats)


def describe_by_nouns(space: ProbeSpace) -> Float32[np.ndarray, "pictures words"]:
    """The square roots of the softened probabilities of the common nouns on each picture.

    Rows have length 1; their product is the Bhattacharyya coefficient of two pictures.
    """
    scores = (SOFTENING * space.logit_scale) * space.background_cosines.T
    roots = np.exp((scores - scores.max(axis=1, keepdims=True)) / 2)
    return unit_rows(roots.astype(np.float32))
