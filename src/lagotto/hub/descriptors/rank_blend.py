"""Stage 3e of hub search: descriptors → blended ones, half value and half rank.

A value says how far above its mean a logit answers a probe, and how much that is depends on the
shape of all its answers: of a logit that shouts at one probe every other value is small. A rank
says how few probes it answers more. Ranks are counted by Savage scores, the order statistics of an
exponential distribution (Savage, 1956): mean and spread 1 whatever the logit's shape, and steep
where it matters, at the top. Both are averaged; the ablation is in docs/results.md.

A block keeps of each logit not the scores but its quantiles at some scores, its *knots*: whoever
reads a value tells its score from them.
"""

import math
from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Shaped

KNOTS = 32
"""Quantiles that are kept of each logit."""

_COLUMNS_AT_ONCE = 512


@cache
def score_levels(probes: int) -> Float32[np.ndarray, " knots"]:
    """The Savage scores at which knots are taken, evenly from 0 to that of the best probe."""
    levels = np.linspace(0.0, math.log(2.0 * probes), KNOTS, dtype=np.float32)
    levels.flags.writeable = False  # one array for all who ask
    return levels


def rank_knots(
    descriptors: Float[np.ndarray, "probes logits"],
) -> Float32[np.ndarray, "knots logits"]:
    """The value of each logit at each of the score levels, ascending.

    The score of the probe at place r from below, of n, is -log(1 - (r + 1/2) / n).
    """
    probes, logits = descriptors.shape
    places = -np.expm1(-score_levels(probes).astype(np.float64)) * probes - 0.5
    below = np.clip(np.floor(places), 0, probes - 1).astype(np.int64)
    above = np.minimum(below + 1, probes - 1)
    share = np.clip(places - below, 0.0, 1.0).astype(np.float32)[:, None]
    knots = np.empty((KNOTS, logits), np.float32)
    for first in range(0, logits, _COLUMNS_AT_ONCE):
        part = slice(first, first + _COLUMNS_AT_ONCE)
        ordered = np.sort(descriptors[:, part].astype(np.float32), axis=0)
        knots[:, part] = (1 - share) * ordered[below] + share * ordered[above]
    return knots


def savage_scores(
    values: Shaped[np.ndarray, "rows logits"],
    knots: Shaped[np.ndarray, "knots logits"],
    probes: int,
) -> Float32[np.ndarray, "rows logits"]:
    """The score of each value among those of its logit on `probes` probes, between the knots.

    Values and knots are in the same units. Of a value that many probes share it is the middle.
    """
    below = np.zeros(values.shape, np.int8)
    upto = np.zeros(values.shape, np.int8)
    for knot in knots:
        below += knot < values
        upto += knot <= values
    low = np.clip(below - 1, 0, len(knots) - 2).astype(np.int64)
    left = np.take_along_axis(knots, low, axis=0).astype(np.float32)
    right = np.take_along_axis(knots, low + 1, axis=0).astype(np.float32)
    width = right - left
    share = np.divide(values - left, width, out=np.zeros(values.shape, np.float32), where=width > 0)
    places = np.where(below == upto, low + np.clip(share, 0.0, 1.0), (below + upto - 1.0) / 2.0)
    step = score_levels(probes)[1]
    return np.asarray(places * step, dtype=np.float32)


def blended(
    values: Shaped[np.ndarray, "rows logits"],
    knots: Shaped[np.ndarray, "knots logits"],
    probes: int,
    steps: Float32[np.ndarray, " logits"] | None = None,
) -> Float32[np.ndarray, "rows logits"]:
    """Descriptors on some probes, each averaged with its Savage score less 1; flawed ones zero.

    `values` and `knots` are the descriptors' own, or in whole `steps`, as a block holds them.
    """
    result = np.empty(values.shape, np.float32)
    for first in range(0, values.shape[1], _COLUMNS_AT_ONCE):
        part = slice(first, first + _COLUMNS_AT_ONCE)
        own = knots[:, part]
        scores = savage_scores(values[:, part], own, probes)
        plain = values[:, part] if steps is None else values[:, part] * steps[part]
        result[:, part] = (plain + scores - 1) / 2
        result[:, part][:, own[0] == own[-1]] = 0.0
    return result


def blend(
    descriptors: Float32[np.ndarray, "probes logits"],
) -> Float32[np.ndarray, "probes logits"]:
    """Descriptors on all their probes, blended."""
    return blended(descriptors, rank_knots(descriptors), len(descriptors))
