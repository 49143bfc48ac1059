"""Calibration and ranking statistics, against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.reliability import (
    auroc,
    calibration_error,
    fit_logistic,
    mean_ranks,
    reliability,
    spearman,
)
from lagotto.core.errors import UsageError

values = st.lists(st.integers(0, 5), min_size=2, max_size=30)


@given(values, st.integers(0, 1000))
def test_auroc_counts_pairs(scores: list[int], seed: int) -> None:
    array = np.array(scores, dtype=float)
    true = np.random.default_rng(seed).random(len(array)) < 0.5
    true[0], true[1] = True, False
    pairs = array[true][:, None] - array[~true][None]
    assert auroc(array, true) == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))


def test_auroc_needs_both_kinds() -> None:
    with pytest.raises(UsageError, match="only one kind"):
        auroc(np.array([1.0, 2.0]), np.array([True, True]))


@given(values)
def test_ranks_share_ties(scores: list[int]) -> None:
    array = np.array(scores)
    expected = [(array < each).sum() + ((array == each).sum() - 1) / 2 for each in array]
    np.testing.assert_allclose(mean_ranks(array), expected)


def test_spearman_sees_order_alone() -> None:
    values = np.array([0.1, 0.5, 0.2, 0.9])
    assert spearman(values, np.exp(values)) == pytest.approx(1)
    assert spearman(values, -values) == pytest.approx(-1)
    assert np.isnan(spearman(values, np.zeros(4)))


def test_bins_hold_what_falls_into_them() -> None:
    bins = reliability(np.array([0.0, 0.05, 0.55, 1.0]), np.array([False, True, True, True]))
    assert [(each.low, each.count, each.true) for each in bins] == [
        (0, 2, 0.5),
        (0.5, 1, 1),
        (0.9, 1, 1),
    ]
    assert bins[0].gap == pytest.approx(0.025 - 0.5)
    assert calibration_error(bins) == pytest.approx((2 * 0.475 + 0.45 + 0) / 4)


def test_a_logistic_fit_finds_the_odds_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20_000, 2)) * [1, 50] + [3, 0]
    true = rng.random(20_000) < 1 / (1 + np.exp(-(rows @ [1.5, 0.02] - 4)))
    found = fit_logistic(rows, true, penalty=1e-3)
    np.testing.assert_allclose(found.weights, [1.5, 0.02], rtol=0.06)
    assert found.bias == pytest.approx(-4, rel=0.06)


def test_a_logistic_fit_finds_the_ceiling_curve_that_made_the_data() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40_000, 1)) * 3
    true = rng.random(40_000) < 0.8 / (1 + np.exp(-(rows[:, 0] - 1)))
    found = fit_logistic(rows, true, penalty=1e-3, ceiling=0.8)
    np.testing.assert_allclose(found.weights, [1.0], rtol=0.06)
    assert found.bias == pytest.approx(-1, rel=0.08)
    assert found(np.array([[99.0]]))[0] == pytest.approx(0.8)


def test_a_row_that_counts_twice_is_two_rows() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(400, 2))
    true = rng.random(400) < 1 / (1 + np.exp(-rows[:, 0]))
    often = rng.integers(1, 4, 400)
    repeated = np.repeat(np.arange(400), often)
    twice = fit_logistic(rows[repeated], true[repeated], penalty=0.0)
    weighed = fit_logistic(rows, true, often.astype(float), penalty=0.0)
    np.testing.assert_allclose(weighed.weights, twice.weights, rtol=1e-6)
    assert weighed.bias == pytest.approx(twice.bias)
