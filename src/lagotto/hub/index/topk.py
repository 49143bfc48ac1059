"""Stage 5 of hub search: scanned scores or distances of all logits → the best of them.

Exactly what a full sort would give, from a look at few: a scan's answers are read once, in groups.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

_GROUP = 512
_SMALLEST_GROUP = 8
_FIRST_BATCH = 256


def highest(scores: Float32[np.ndarray, " logits"], count: int) -> Int64[np.ndarray, " columns"]:
    """The columns, ascending, of the `count` highest scores that are finite; of ties any."""
    group = min(_GROUP, scores.size // (4 * count))
    if group < _SMALLEST_GROUP:
        found = np.arange(scores.size)
    else:
        best = _groups(scores, group).max(axis=1)
        enough = np.partition(best, best.size - count)[best.size - count]
        rows = np.flatnonzero(best >= enough)
        inside = _groups(scores, group)[rows].ravel() >= enough
        found = _columns_of(rows, inside, group, scores.size)
    found = found[np.isfinite(scores[found])]
    if found.size > count:
        found = found[np.argpartition(-scores[found], count - 1)[:count]]
    return np.sort(found).astype(np.int64)


def widest_steps(steps: Float32[np.ndarray, " logits"]) -> Float32[np.ndarray, " groups"]:
    """The widest step in each of the groups that `within_reach` looks at."""
    return np.asarray(_groups(steps, _GROUP).max(axis=1))


def within_reach(
    scanned: Float32[np.ndarray, " logits"],
    steps: Float32[np.ndarray, " logits"],
    widest: Float32[np.ndarray, " groups"],
    k: int,
    top: int,
) -> Int64[np.ndarray, " columns"]:
    """Columns, ascending, that may be among the `top` nearest by exact distance, and few others.

    All others are surely further, by the bounds of `error_bounds`; `rerank` does the rest. A group
    of logits whose nearest is too far, by the widest step in it, is not looked at: `widest` is
    `widest_steps(steps)`, or that of wider ones.
    """
    if scanned.size < 4 * top * _GROUP:
        return np.arange(scanned.size)
    nearest = _groups(scanned, _GROUP).min(axis=1)
    few = np.argpartition(nearest, top - 1)[:top]
    first, own = _groups(scanned, _GROUP)[few].ravel(), _groups(steps, _GROUP)[few].ravel()
    reach = _reach(first, error_bounds(first, own, k), top)
    rows = np.flatnonzero(nearest - error_bounds(nearest, widest, k) <= reach)
    some, own = _groups(scanned, _GROUP)[rows].ravel(), _groups(steps, _GROUP)[rows].ravel()
    return _columns_of(rows, some - error_bounds(some, own, k) <= reach, _GROUP, scanned.size)


def error_bounds(
    scanned: Float32[np.ndarray, " logits"], steps: Float32[np.ndarray, " logits"], k: int
) -> Float32[np.ndarray, " logits"]:
    """How far each scanned distance can be from the exact one.

    A rounded descriptor r differs from the exact g by at most step / 2 on each of the k probes, so
    |g - r| <= sqrt(k) * step / 2, and by the triangle inequality | |q - g| - |q - r| | is no more.
    The rest covers the float32 rounding: of step * value, at most 127 steps times 2^-24 a probe,
    and of the sum of k squares (k / 2 roundings of the result) and what is done with it later.
    """
    relative = np.where(np.isfinite(scanned), scanned, np.float32(0)) * np.float32(
        (k + 16) * 2.0**-24
    )
    return steps * np.float32(math.sqrt(k) * 0.5001) + relative


def exact_distances(
    descriptors: Float[np.ndarray, "k columns"], query: Float[np.ndarray, " k"]
) -> Float64[np.ndarray, " columns"]:
    """Distances of some exact descriptors; a column's result does not depend on its company."""
    difference = descriptors - query[:, None].astype(np.float64)
    # One probe after the other: a sum along the axis would be in another order for one column.
    totals = np.add.accumulate(np.square(difference, out=difference), axis=0)
    return np.asarray(np.sqrt(totals[-1]))


def rerank(
    scanned: Float32[np.ndarray, " logits"],
    bounds: Float32[np.ndarray, " logits"],
    exact: Callable[[Int64[np.ndarray, " columns"]], Float64[np.ndarray, " columns"]],
    top: int,
) -> tuple[Int64[np.ndarray, " found"], Float64[np.ndarray, " found"]]:
    """The `top` nearest logits by exact distance, nearest first, ties by index.

    Returns (indices, distances), as a full sort by exact distance would: those are within `bounds`
    of `scanned`, so logits are tried in the order of their lowest possible distance, in batches,
    until that passes the top-th exact distance found; no later one can be nearer. Logits at
    infinity are left out, so fewer than `top` may come back. `exact` is given ascending indices.
    """
    lowest = scanned - bounds
    candidates = np.flatnonzero(lowest <= _reach(scanned, bounds, top))
    candidates = candidates[np.isfinite(scanned[candidates])]
    candidates = candidates[np.argsort(lowest[candidates], kind="stable")]
    indices, distances = np.empty(0, dtype=np.int64), np.empty(0)
    start, size = 0, max(_FIRST_BATCH, 2 * top)
    while start < candidates.size:
        if indices.size == top and lowest[candidates[start]] > distances[-1]:
            break
        batch = np.sort(candidates[start : start + size])
        indices = np.concatenate([indices, batch])
        distances = np.concatenate([distances, exact(batch)])
        order = np.lexsort((indices, distances))[:top]
        indices, distances = indices[order], distances[order]
        start, size = start + size, 2 * size
    return indices, distances


def _reach(
    scanned: Float32[np.ndarray, " logits"], bounds: Float32[np.ndarray, " logits"], top: int
) -> float:
    """A distance within which `top` logits surely lie."""
    upper = scanned + bounds
    return float(np.partition(upper, top - 1)[top - 1]) if upper.size >= top else math.inf


def _groups(
    values: Float32[np.ndarray, " logits"], group: int
) -> Float32[np.ndarray, "groups group"]:
    """Values beside each other as rows; what is left over at the end is in none."""
    return values[: values.size // group * group].reshape(-1, group)


def _columns_of(
    rows: Int64[np.ndarray, " rows"],
    inside: Bool[np.ndarray, " values"],
    group: int,
    logits: int,
) -> Int64[np.ndarray, " columns"]:
    """The columns that are inside, of the rows of groups, and those that are in no group."""
    places = np.flatnonzero(inside)
    left_over = np.arange(logits // group * group, logits)
    return np.concatenate([rows[places // group] * group + places % group, left_over])
