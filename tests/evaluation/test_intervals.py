"""Bootstrap intervals: they contain the point, do not care for order, and know their own width."""

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


@given(HITS, st.integers(0, 3))
def test_misses_mirror_hits(hits: np.ndarray, seed: int) -> None:
    found = mean_interval(hits, seed=seed, resamples=2000)
    mirrored = mean_interval(~hits, seed=seed, resamples=2000)
    assert mirrored.value == pytest.approx(1 - found.value)
    assert mirrored.low == pytest.approx(1 - found.high, abs=0.05 + 1 / len(hits))


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
