"""Standardization: what drops out, what is invalid, and that nothing else is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lagotto.hub.descriptors.standardize import (
    CONSTANT,
    NOT_FINITE,
    measure_moments,
    standardize,
    standardize_columns,
)

RESPONSES = arrays(np.float64, (12, 3), elements=st.integers(-50, 50).map(float))


def test_mean_zero_and_spread_one() -> None:
    values = np.random.default_rng(0).normal(3, 7, (200, 5)).astype(np.float32)
    found = standardize(values).values.astype(np.float64)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-6)


@given(
    RESPONSES,
    arrays(np.float64, 3, elements=st.floats(1e-3, 1e3)),
    arrays(np.float64, 3, elements=st.floats(-1e6, 1e6)),
)
def test_scale_and_offset_drop_out(
    values: np.ndarray, scale: np.ndarray, offset: np.ndarray
) -> None:
    first, second = standardize(values), standardize(values * scale + offset)
    assert first.invalid == second.invalid or not np.ptp(values, axis=0).all()
    kept = first.usable
    np.testing.assert_allclose(second.values[:, kept], first.values[:, kept], atol=1e-4)


def test_a_huge_offset_costs_nothing_in_float32() -> None:
    values = np.random.default_rng(1).integers(0, 2, (500, 4)).astype(np.float32)
    shifted = values + np.float32(2**18)
    np.testing.assert_allclose(standardize(shifted).values, standardize(values).values, atol=1e-6)


def test_more_logits_than_are_done_at_once() -> None:
    values = np.random.default_rng(2).normal(size=(5, 1100)).astype(np.float32)
    wide = values.astype(np.float64)
    expected = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    np.testing.assert_allclose(standardize(values).values, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_response_sets_its_logit_aside_alone(bad: float) -> None:
    values = np.random.default_rng(3).normal(size=(9, 3)).astype(np.float32)
    clean = standardize(values).values
    values[4, 1] = bad
    found = standardize(values)
    assert found.invalid == ("", NOT_FINITE, "")
    assert found.usable.tolist() == [True, False, True]
    assert not found.values[:, 1].any()
    np.testing.assert_array_equal(found.values[:, [0, 2]], clean[:, [0, 2]])


@pytest.mark.parametrize("level", [0.0, 1e-30, 3.3, -7e8])
def test_constant_up_to_rounding(level: float) -> None:
    values = np.full((50, 1), level, dtype=np.float32)
    assert standardize(values).invalid == (CONSTANT,)
    values[::2] = np.nextafter(values[::2], np.float32(np.inf))
    assert standardize(values).invalid == (CONSTANT if level not in (0.0,) else "",)


def test_a_tiny_spread_around_zero_is_not_constant() -> None:
    values = np.linspace(-1e-20, 1e-20, 7, dtype=np.float32)[:, None]
    found = standardize(values)
    assert found.invalid == ("",)
    np.testing.assert_allclose(found.values[-1], 1.5, rtol=1e-5)


def test_one_probe_tells_nothing() -> None:
    assert standardize(np.ones((1, 2), dtype=np.float32)).invalid == (CONSTANT, CONSTANT)


def test_some_columns_by_stored_moments_are_the_same_bits() -> None:
    values = np.random.default_rng(4).normal(5, 2, (40, 6)).astype(np.float32)
    values[:, 2] = 1
    values[3, 4] = np.nan
    moments = measure_moments(values)
    chosen, rows = np.array([4, 5, 2, 0]), np.array([7, 1])
    part = standardize_columns(
        values[np.ix_(rows, chosen)], moments.mean[chosen], moments.std[chosen]
    )
    np.testing.assert_array_equal(part, standardize(values).values[np.ix_(rows, chosen)])
