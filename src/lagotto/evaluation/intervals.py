"""Measurements come in; their mean and a 95 % bootstrap interval go out.

A resample of n values with replacement is a multinomial draw of the counts of the *distinct*
values. So an interval over hits and misses costs the same for a hundred and a million pictures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int, Shaped

from lagotto.core.errors import UsageError

RESAMPLES = 2000
LEVEL = 0.95
_MAX_DRAWS = 2**22


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the central interval that contains LEVEL of its resamples, and the mean."""

    value: float
    low: float
    high: float


def mean_interval(
    values: Shaped[np.ndarray, " samples"], *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """The mean of some values with its percentile bootstrap interval.

    The order of the values does not matter. For a *paired* comparison of two methods, pass the
    difference of their values on each sample.

    Args:
        values: The measurements, one a sample.
        seed: The seed of the resamples.
        resamples: The number of resamples.

    Raises:
        UsageError: There are no values.

    >>> mean_interval(np.ones(7))
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    if not len(values):
        raise UsageError("no values to take the mean of; give at least one")
    samples = values.astype(np.float64)
    rng = np.random.default_rng(seed)
    return _estimate(float(samples.mean()), _resampled_means(samples, resamples, rng))


def class_mean_interval(
    values: Shaped[np.ndarray, " samples"],
    classes: Int[np.ndarray, " samples"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """The mean over classes of the mean in each class; values are resampled within their class.

    For hits by label this is the mean recall per class; for gains by data set, the mean gain.
    Classes without a value do not count.

    Args:
        values: The measurements, one a sample.
        classes: The class of each sample.
        seed: The seed of the resamples.
        resamples: The number of resamples.

    Raises:
        UsageError: There are no values.
    """
    if not len(values):
        raise UsageError("no values to take the mean over classes of; give at least one")
    samples = values.astype(np.float64)
    rng = np.random.default_rng(seed)
    order = np.argsort(classes, kind="stable")
    groups = np.split(samples[order], np.flatnonzero(np.diff(classes[order])) + 1)
    total = np.zeros(resamples)
    for group in groups:
        total += _resampled_means(group, resamples, rng)
    value = float(np.mean([group.mean() for group in groups]))
    return _estimate(value, total / len(groups))


def _resampled_means(
    values: Float64[np.ndarray, " samples"], resamples: int, rng: np.random.Generator
) -> Float64[np.ndarray, " resamples"]:
    """The means of resamples, drawn in chunks of at most _MAX_DRAWS counts."""
    unique_values, counts = np.unique(values, return_counts=True)
    shares, step = counts / len(values), max(1, _MAX_DRAWS // len(unique_values))
    sums = [
        rng.multinomial(len(values), shares, min(step, resamples - start)) @ unique_values
        for start in range(0, resamples, step)
    ]
    return np.asarray(np.concatenate(sums) / len(values))


def _estimate(value: float, resampled: Float64[np.ndarray, " resamples"]) -> Estimate:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value))
