"""Descriptors come in; blended descriptors, the mean of value and rank score, go out.

A value says how far above its mean a logit answers a probe. How much that is depends on the shape
of all its answers: if a logit answers one probe very strongly, all its other values are small. A
rank says how few probes the logit answers more strongly. Ranks are turned into Savage scores, the
expected order statistics of an exponential distribution (Savage, 1956): their mean and standard
deviation are 1 whatever the logit's shape, and they differ most at the top, where it matters. The
two are averaged; the ablation is in docs/results.md.

A block does not store the scores of a logit. It stores the logit's quantiles at evenly spaced
scores, and the score of a value is interpolated between them.
"""

import math
from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Shaped

QUANTILES = 32
"""How many quantiles are stored of each logit."""

_COLUMNS_AT_ONCE = 512


@cache
def score_levels(probes: int) -> Float32[np.ndarray, " quantiles"]:
    """The Savage scores at which quantiles are taken, evenly from 0 to that of the best probe."""
    levels = np.linspace(0.0, math.log(2.0 * probes), QUANTILES, dtype=np.float32)
    levels.flags.writeable = False  # every caller gets the same array
    return levels


def rank_quantiles(
    descriptors: Float[np.ndarray, "probes logits"],
) -> Float32[np.ndarray, "quantiles logits"]:
    """The value of each logit at each of the score levels, ascending.

    Of n probes, the one with r probes below it has the score -log(1 - (r + 1/2) / n).
    """
    probes, logits = descriptors.shape
    ranks = -np.expm1(-score_levels(probes).astype(np.float64)) * probes - 0.5
    below = np.clip(np.floor(ranks), 0, probes - 1).astype(np.int64)
    above = np.minimum(below + 1, probes - 1)
    share = np.clip(ranks - below, 0.0, 1.0).astype(np.float32)[:, None]
    quantiles = np.empty((QUANTILES, logits), np.float32)
    for first in range(0, logits, _COLUMNS_AT_ONCE):
        part = slice(first, first + _COLUMNS_AT_ONCE)
        ordered = np.sort(descriptors[:, part].astype(np.float32), axis=0)
        quantiles[:, part] = (1 - share) * ordered[below] + share * ordered[above]
    return quantiles


def savage_scores(
    values: Shaped[np.ndarray, "rows logits"],
    quantiles: Shaped[np.ndarray, "quantiles logits"],
    probes: int,
) -> Float32[np.ndarray, "rows logits"]:
    """The Savage score of each value among its logit's values on `probes` probes.

    Values and quantiles are in the same units. A value between two quantiles is interpolated; a
    value that equals several gets their middle.
    """
    below = np.zeros(values.shape, np.int8)
    upto = np.zeros(values.shape, np.int8)
    for quantile in quantiles:
        below += quantile < values
        upto += quantile <= values
    low = np.clip(below - 1, 0, len(quantiles) - 2).astype(np.int64)
    left = np.take_along_axis(quantiles, low, axis=0).astype(np.float32)
    right = np.take_along_axis(quantiles, low + 1, axis=0).astype(np.float32)
    width = right - left
    share = np.divide(values - left, width, out=np.zeros(values.shape, np.float32), where=width > 0)
    levels = np.where(below == upto, low + np.clip(share, 0.0, 1.0), (below + upto - 1.0) / 2.0)
    return np.asarray(levels * score_levels(probes)[1], dtype=np.float32)


def blend_by_quantiles(
    values: Shaped[np.ndarray, "rows logits"],
    quantiles: Shaped[np.ndarray, "quantiles logits"],
    probes: int,
    steps: Float32[np.ndarray, " logits"] | None = None,
) -> Float32[np.ndarray, "rows logits"]:
    """Blended descriptors on some probes: the mean of each value and its Savage score less 1.

    Args:
        values: Descriptors on some of the probes, or their whole numbers where `steps` is given.
        quantiles: The quantiles of the same logits, in the same units.
        probes: On how many probes the quantiles were measured.
        steps: What a whole number of each logit is worth.

    Returns:
        One blended value for each value; zeros for an invalid logit.
    """
    result = np.empty(values.shape, np.float32)
    for first in range(0, values.shape[1], _COLUMNS_AT_ONCE):
        part = slice(first, first + _COLUMNS_AT_ONCE)
        own = quantiles[:, part]
        scores = savage_scores(values[:, part], own, probes)
        plain = values[:, part] if steps is None else values[:, part] * steps[part]
        result[:, part] = (plain + scores - 1) / 2
        result[:, part][:, own[0] == own[-1]] = 0.0
    return result


def blend(
    descriptors: Float32[np.ndarray, "probes logits"],
) -> Float32[np.ndarray, "probes logits"]:
    """Blended descriptors of logits whose descriptors are given on all their probes."""
    return blend_by_quantiles(descriptors, rank_quantiles(descriptors), len(descriptors))
