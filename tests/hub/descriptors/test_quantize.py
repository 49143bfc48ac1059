"""Whole numbers and steps: how near they are, and what a column of zeros gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lagotto.hub.descriptors.quantize import quantize, quantize_by


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_a_value_is_within_half_a_step_of_what_is_stored(seed: int, scale: float) -> None:
    columns = (np.random.default_rng(seed).normal(size=(30, 4)) * scale).astype(np.float32)
    values, steps = quantize(columns)
    assert (np.abs(values * steps - columns) <= steps * 0.50005).all()
    assert np.abs(values.astype(int)).max(axis=0).tolist() == [127] * 4


def test_a_column_of_zeros_has_no_step() -> None:
    values, steps = quantize(np.zeros((3, 2), np.float32))
    assert not values.any()
    assert steps.tolist() == [0, 0]
    assert not quantize_by(np.zeros((3, 2), np.float32), steps).any()


def test_what_is_further_than_the_largest_is_cut() -> None:
    values = quantize_by(np.array([[500.0], [-500.0]], np.float32), np.array([1.0], np.float32))
    assert values[:, 0].tolist() == [127, -127]
