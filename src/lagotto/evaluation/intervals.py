"""Layer 3: measurements → their mean with a 95 % bootstrap interval, seeded.

A resample of n values with replacement is a multinomial draw of how often each *distinct* value
comes, so hits and misses cost no more for a million pictures than for a hundred.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int, Shaped

from lagotto.core.errors import UsageError

RESAMPLES = 2000
LEVEL = 0.95
_DRAWN_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the interval that LEVEL of its resamples lie in; it contains the mean."""

    value: float
    low: float
    high: float


def mean_interval(
    values: Shaped[np.ndarray, " samples"], *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """The mean of some values, resampled with replacement (percentile bootstrap).

    The order of the values does not matter. For a *paired* difference of two methods give the
    difference of their values on each sample. Raises UsageError for no values.
    """
    if not len(values):
        raise UsageError("no values to take the mean of; give at least one")
    wide = values.astype(np.float64)
    rng = np.random.default_rng(seed)
    return _estimate(float(wide.mean()), _resampled_means(wide, resamples, rng))


def class_mean_interval(
    values: Shaped[np.ndarray, " samples"],
    classes: Int[np.ndarray, " samples"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """The mean over classes of the mean in each, the values resampled within their class.

    Of hits by label it is the mean recall per class; of gains by data set, the mean gain. Classes
    without a value do not count. Raises UsageError for no values.
    """
    if not len(values):
        raise UsageError("no values to take the mean over classes of; give at least one")
    wide = values.astype(np.float64)
    rng = np.random.default_rng(seed)
    order = np.argsort(classes, kind="stable")
    groups = np.split(wide[order], np.flatnonzero(np.diff(classes[order])) + 1)
    total = np.zeros(resamples)
    for group in groups:
        total += _resampled_means(group, resamples, rng)
    value = float(np.mean([group.mean() for group in groups]))
    return _estimate(value, total / len(groups))


def _resampled_means(
    values: Float64[np.ndarray, " samples"], resamples: int, rng: np.random.Generator
) -> Float64[np.ndarray, " resamples"]:
    distinct, counts = np.unique(values, return_counts=True)
    step = max(1, _DRAWN_AT_ONCE // len(distinct))
    sums = [
        rng.multinomial(len(values), counts / len(values), min(step, resamples - start)) @ distinct
        for start in range(0, resamples, step)
    ]
    return np.asarray(np.concatenate(sums) / len(values))


def _estimate(value: float, resampled: Float64[np.ndarray, " resamples"]) -> Estimate:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value))
