"""Bootstrap intervals: against exact distributions of resampled means, and their invariants."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lagotto.core.errors import UsageError
from lagotto.evaluation.intervals import Estimate, class_mean_interval, mean_interval

HITS = arrays(np.bool_, st.integers(1, 60))
VALUES = arrays(np.float64, st.integers(1, 60), elements=st.floats(-10, 10, width=32))


@given(VALUES, st.integers(0, 5))
def test_the_interval_contains_the_mean_and_stays_within_the_values(
    values: np.ndarray, seed: int
) -> None:
    found = mean_interval(values, seed=seed, resamples=100)
    assert found.value == pytest.approx(values.mean(), abs=1e-9)
    assert found.low <= found.value <= found.high
    assert found.low >= values.min() - 1e-9
    assert found.high <= values.max() + 1e-9


@given(HITS, st.randoms(use_true_random=False))
def test_order_does_not_matter(hits: np.ndarray, shuffle: object) -> None:
    order = np.random.default_rng(1).permutation(len(hits))
    assert mean_interval(hits, resamples=50) == mean_interval(hits[order], resamples=50)
    groups = np.arange(len(hits)) % 3
    expected = class_mean_interval(hits, groups, resamples=50)
    assert class_mean_interval(hits[order], groups[order], resamples=50) == expected


RESAMPLES = 20_000
SLACK = 0.0055
"""Five standard errors of a quantile's level at 2.5 % and RESAMPLES resamples."""


def quantile(means: np.ndarray, weights: np.ndarray, level: float) -> float:
    """The smallest mean whose cumulative probability reaches the level."""
    order = np.argsort(means, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(means[order][min(int(np.searchsorted(cumulative, level)), len(means) - 1)])


def assert_percentiles(found: Estimate, means: np.ndarray, weights: np.ndarray) -> None:
    """The bounds are the 2.5 % and 97.5 % quantiles of the exact distribution of the mean."""
    for bound, level in ((found.low, 0.025), (found.high, 0.975)):
        below, above = (quantile(means, weights, level + slack) for slack in (-SLACK, SLACK))
        assert below - 1e-9 <= bound <= above + 1e-9


def binomial(count: int, hits: int) -> tuple[np.ndarray, np.ndarray]:
    """The distribution of the mean of `count` draws from values of which `hits` are 1."""
    p = hits / count
    weights = [comb(count, k) * p**k * (1 - p) ** (count - k) for k in range(count + 1)]
    return np.arange(count + 1) / count, np.array(weights)


@pytest.mark.parametrize(
    "values", [[3.0], [0.0, 1.0], [0.0, 1.0, 5.0], [1.0, 1.0, 2.0, 7.0], [-3.0, 0.0, 0.5, 4.0, 9.0]]
)
def test_small_samples_equal_an_exact_enumeration(values: list[float]) -> None:
    """Every one of the n^n resamples of n values is as likely as any other."""
    means = np.array([np.mean(resample) for resample in product(values, repeat=len(values))])
    found = mean_interval(np.array(values), resamples=RESAMPLES)
    assert_percentiles(found, means, np.full(len(means), 1 / len(means)))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20, 60])
def test_hits_equal_the_binomial_distribution(count: int) -> None:
    for hits in {0, 1, count // 3, count - 1, count}:
        values = np.arange(count) < hits
        found = mean_interval(values, seed=hits, resamples=RESAMPLES)
        assert found.value == pytest.approx(hits / count)
        assert_percentiles(found, *binomial(count, hits))
        mirrored = mean_interval(~values, seed=hits, resamples=RESAMPLES)
        assert mirrored.value == pytest.approx(1 - found.value)
        assert_percentiles(mirrored, *binomial(count, count - hits))


def test_classes_equal_an_exact_enumeration() -> None:
    """Classes are resampled by themselves: two hits of three, and one of two."""
    (first, p), (second, q) = binomial(3, 2), binomial(2, 1)
    means = (first[:, None] + second[None]).ravel() / 2
    found = class_mean_interval(
        np.array([1, 0, 1, 0, 1]), np.array([4, 4, 4, 9, 9]), resamples=RESAMPLES
    )
    assert found.value == pytest.approx(7 / 12)
    assert_percentiles(found, means, (p[:, None] * q[None]).ravel())


def test_values_that_agree_leave_no_doubt() -> None:
    assert mean_interval(np.ones(7, bool)) == Estimate(1.0, 1.0, 1.0)
    assert mean_interval(np.zeros(7, np.int8)) == Estimate(0.0, 0.0, 0.0)
    agreed = class_mean_interval(np.array([1, 1, 0]), np.array([4, 4, 9]))
    assert agreed == Estimate(0.5, 0.5, 0.5)


def test_the_width_is_that_of_a_binomial() -> None:
    found = mean_interval(np.arange(400) % 4 == 0)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert found.value == 0.25
    assert found.low == pytest.approx(0.25 - half, abs=0.008)
    assert found.high == pytest.approx(0.25 + half, abs=0.008)


def test_the_counting_way_is_the_plain_bootstrap() -> None:
    values = np.repeat([-1.0, 0.0, 1.0], [10, 60, 30])
    drawn = np.random.default_rng(3).choice(values, (20_000, len(values))).mean(axis=1)
    found = mean_interval(values, resamples=20_000)
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.011)
    assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.011)


def test_pairing_narrows_what_two_methods_share() -> None:
    rng = np.random.default_rng(0)
    first = rng.random(500) < 0.5
    second = first ^ (rng.random(500) < 0.02)
    paired = mean_interval(second.astype(int) - first.astype(int))
    alone = mean_interval(first)
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_classes_weigh_the_same_and_empty_ones_nothing() -> None:
    hits = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0, 0], bool)
    classes = np.array([0] * 8 + [5] * 2)
    assert class_mean_interval(hits, classes).value == 0.5
    assert mean_interval(hits).value == 0.8


def test_the_same_seed_gives_the_same_numbers() -> None:
    values = np.random.default_rng(0).random(100)
    assert mean_interval(values, seed=4) == mean_interval(values, seed=4)
    assert mean_interval(values, seed=4) != mean_interval(values, seed=5)


def test_many_distinct_values_are_drawn_in_parts() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    found = mean_interval(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(5000), rel=0.1)


def test_nothing_has_no_mean() -> None:
    with pytest.raises(UsageError, match="at least one"):
        mean_interval(np.zeros(0))
    with pytest.raises(UsageError, match="at least one"):
        class_mean_interval(np.zeros(0), np.zeros(0, np.int64))
