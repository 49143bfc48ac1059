"""Scanned scores or distances of all logits come in; the best of them go out, as a sort has them.

Only few logits are sorted: the scanned values are read once, in groups, and a group whose best
value is not good enough is not looked at again.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from lagotto.core.vectors import top_k

_GROUP = 512
_SMALLEST_GROUP = 8
_FIRST_BATCH = 256


def top_k_logits(
    scores: Float32[np.ndarray, " logits"], count: int
) -> Int64[np.ndarray, " columns"]:
    """The columns of the `count` highest finite scores, in ascending order.

    The choice and its tie rule are those of `core.vectors.top_k`, which would look at each of a
    million scores several times; here it looks only at those that may be among the best.
    """
    group = min(_GROUP, scores.size // (4 * count))
    if group < _SMALLEST_GROUP:
        columns = np.arange(scores.size)
    else:
        best = _groups(scores, group).max(axis=1)
        enough = np.partition(best, best.size - count)[best.size - count]
        rows = np.flatnonzero(best >= enough)
        inside = _groups(scores, group)[rows].ravel() >= enough
        columns = _columns_of(rows, inside, group, scores.size)
    columns = columns[np.isfinite(scores[columns])]
    if columns.size > count:
        columns = columns[np.sort(top_k(scores[columns][None], count)[0])]
    return np.asarray(columns, dtype=np.int64)


def widest_steps(steps: Float32[np.ndarray, " logits"]) -> Float32[np.ndarray, " groups"]:
    """The widest step in each of the groups that `within_reach` reads."""
    return np.asarray(_groups(steps, _GROUP).max(axis=1))


def within_reach(
    scanned: Float32[np.ndarray, " logits"],
    steps: Float32[np.ndarray, " logits"],
    widest: Float32[np.ndarray, " groups"],
    k: int,
    top: int,
) -> Int64[np.ndarray, " columns"]:
    """Columns, ascending, that may be among the `top` nearest by exact distance, and few others.

    All others are surely further away, by the bounds of `error_bounds`; `rerank` does the rest. A
    group of logits is skipped if its nearest is too far by the widest step in the group.

    Args:
        scanned: A distance for each logit, as a scan has it.
        steps: The step of each logit.
        widest: `widest_steps(steps)`, or the widest steps of larger ones.
        k: On how many probes the distances are.
        top: How many of the nearest are needed.
    """
    if scanned.size < 4 * top * _GROUP:
        return np.arange(scanned.size)
    nearest = _groups(scanned, _GROUP).min(axis=1)
    rows = np.argpartition(nearest, top - 1)[:top]  # any `top` groups: they only bound the reach
    values, widths = _groups(scanned, _GROUP)[rows].ravel(), _groups(steps, _GROUP)[rows].ravel()
    reach = _reach(values, error_bounds(values, widths, k), top)
    rows = np.flatnonzero(nearest - error_bounds(nearest, widest, k) <= reach)
    values, widths = _groups(scanned, _GROUP)[rows].ravel(), _groups(steps, _GROUP)[rows].ravel()
    inside = values - error_bounds(values, widths, k) <= reach
    return _columns_of(rows, inside, _GROUP, scanned.size)


def error_bounds(
    scanned: Float32[np.ndarray, " logits"], steps: Float32[np.ndarray, " logits"], k: int
) -> Float32[np.ndarray, " logits"]:
    """How far each scanned distance can be from the exact one.

    A rounded descriptor r differs from the exact g by at most step / 2 on each of the k probes, so
    |g - r| <= sqrt(k) * step / 2, and by the triangle inequality | |q - g| - |q - r| | is no more.
    The second term covers float32 rounding: of step * value, at most 127 steps times 2^-24 a probe,
    and of the sum of k squares (k / 2 roundings of the result) and of later arithmetic.
    """
    relative = np.where(np.isfinite(scanned), scanned, np.float32(0)) * np.float32(
        (k + 16) * 2.0**-24
    )
    return steps * np.float32(math.sqrt(k) * 0.5001) + relative


def exact_distances(
    descriptors: Float[np.ndarray, "k columns"], query: Float[np.ndarray, " k"]
) -> Float64[np.ndarray, " columns"]:
    """Distances of exact descriptors; a column's result does not depend on the other columns."""
    difference = descriptors - query[:, None].astype(np.float64)
    # Sum one probe after the other: np.sum takes another order where there is one column.
    totals = np.add.accumulate(np.square(difference, out=difference), axis=0)
    return np.asarray(np.sqrt(totals[-1]))


def rerank(
    scanned: Float32[np.ndarray, " logits"],
    bounds: Float32[np.ndarray, " logits"],
    exact: Callable[[Int64[np.ndarray, " columns"]], Float64[np.ndarray, " columns"]],
    top: int,
) -> tuple[Int64[np.ndarray, " top"], Float64[np.ndarray, " top"]]:
    """The `top` nearest logits by exact distance, nearest first, ties by index.

    The result is that of a full sort by exact distance. Exact distances are within `bounds` of
    `scanned`, so logits are measured in the order of their lowest possible distance, in batches,
    until that exceeds the top-th exact distance so far: no later logit can be nearer.

    Args:
        scanned: A distance for each logit, as a scan has it.
        bounds: How far each of them can be from the exact one.
        exact: Gives the exact distances of some columns, in ascending order.
        top: How many logits to return.

    Returns:
        Columns and exact distances; fewer than `top` where others are at infinity.
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
    """A distance within which at least `top` logits lie."""
    upper = scanned + bounds
    return float(np.partition(upper, top - 1)[top - 1]) if upper.size >= top else math.inf


def _groups(
    values: Float32[np.ndarray, " logits"], group: int
) -> Float32[np.ndarray, "groups group"]:
    """Neighbouring values as rows; a remainder at the end is in no row."""
    return values[: values.size // group * group].reshape(-1, group)


def _columns_of(
    rows: Int64[np.ndarray, " rows"],
    inside: Bool[np.ndarray, " values"],
    group: int,
    logits: int,
) -> Int64[np.ndarray, " columns"]:
    """The columns that are inside, of some groups, and the remainder that is in no group."""
    positions = np.flatnonzero(inside)
    remainder = np.arange(logits // group * group, logits)
    return np.concatenate([rows[positions // group] * group + positions % group, remainder])
