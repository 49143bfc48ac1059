"""z-scores: every variant has mean 0 and spread 1, and none divides by a rounding error."""

import numpy as np
import pytest

from lagotto.core.zscore import (
    float64_moments,
    moments,
    sample_moments,
    without_rounding,
    zscore,
    zscore_by_sample,
    zscore_rows,
)

SCORES = np.random.default_rng(0).normal(5, 3, (4, 500)).astype(np.float32)


def check(standard: np.ndarray) -> None:
    np.testing.assert_allclose(standard.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=1), 1, atol=1e-5)


def test_every_variant_has_mean_zero_and_spread_one() -> None:
    check(zscore_rows(SCORES))
    check(zscore_rows(SCORES.astype(np.float64)))
    check(zscore_by_sample(SCORES, np.arange(500)))
    check(zscore(SCORES, *float64_moments(SCORES, axis=1)))
    check(zscore(SCORES.T, *moments(SCORES, axis=1)).T)
    mean, spread = sample_moments(SCORES[0])
    check((SCORES[:1] - mean) / spread)


def test_equal_scores_stay_finite() -> None:
    equal = np.full((2, 9), np.float32(0.1))
    assert not zscore_rows(equal.astype(np.float64)).any()
    assert moments(equal, axis=1)[1].tolist() == [1, 1]
    assert float64_moments(equal, axis=1)[1].ravel().tolist() == [1, 1]
    assert np.abs(zscore_by_sample(equal, np.arange(9))).max() < 1e-6
    assert sample_moments(equal[0])[1] == 1


def test_what_rounding_makes_of_equal_scores_is_no_difference() -> None:
    """Sums of equal scores differ by other digits on another machine, and must not count."""
    digits = np.random.default_rng(1).integers(-2, 3, (3, 40)).astype(np.float32)
    for size in (np.float32(7.25), np.float32(3e-8), np.float32(4000)):
        equal = size + digits * np.spacing(size)
        largest = 4 * float(np.spacing(size))
        assert float64_moments(equal, axis=1)[1].ravel().tolist() == [1, 1, 1]
        assert np.abs(zscore(equal, *float64_moments(equal, axis=1))).max() <= largest
        assert np.abs(zscore_by_sample(equal, np.arange(40))).max() <= largest
        assert sample_moments(equal[0])[1] == 1


def test_a_sample_stands_for_all() -> None:
    sample = np.arange(0, 500, 5)
    known = SCORES[:, sample].astype(np.float64)
    expected = (SCORES - known.mean(axis=1)[:, None]) / known.std(axis=1)[:, None]
    np.testing.assert_allclose(zscore_by_sample(SCORES, sample), expected, rtol=1e-5, atol=1e-6)


def test_without_a_sample_nothing_is_known() -> None:
    none = np.zeros(0, np.int64)
    assert not zscore_by_sample(SCORES, none).any()
    assert sample_moments(np.zeros(0, np.float32)) == (0, 1)


@pytest.mark.parametrize("axis", [0, 1])
def test_both_kinds_of_moments_agree(axis: int) -> None:
    mean, spread = float64_moments(SCORES, axis)
    np.testing.assert_allclose(moments(SCORES, axis), [mean.ravel(), spread.ravel()], rtol=1e-4)


def test_a_row_of_rounding_is_the_same_everywhere() -> None:
    rows = np.array([[7.0, np.nextafter(np.float32(7), 9)], [1.0, 3.0]], np.float32)
    assert without_rounding(rows).tolist() == [[7, 7], [1, 3]]
    assert without_rounding(SCORES) is not SCORES
    assert (without_rounding(SCORES) == SCORES).all()
    assert not zscore_rows(rows)[0].any()
    assert zscore_rows(rows)[1].tolist() == [-1, 1]
