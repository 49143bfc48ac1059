"""The shared toolbox on rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lagotto.core.vectors import entropy, quiet_product, softmax, top_k, unit_rows

TABLES = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 60)),
    elements=st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]),
)


@given(TABLES, st.integers(0, 70))
def test_top_k_is_the_head_of_a_stable_sort(scores: np.ndarray, k: int) -> None:
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert (top_k(scores, k) == expected).all()


@given(TABLES)
def test_softmax_sums_to_one_and_ignores_a_shift(logits: np.ndarray) -> None:
    p = softmax(logits)
    assert np.allclose(p.sum(axis=1), 1)
    assert np.allclose(p, softmax(logits + 1000))
    assert (entropy(p) <= np.log(logits.shape[1]) + 1e-9).all()


def test_entropy_of_certainty_is_zero() -> None:
    assert entropy(np.array([0.0, 1.0])) == 0


def test_unit_rows_leave_zeros() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0]]


@pytest.mark.parametrize(
    "shape", [(0, 5, 3), (7, 1, 1), (1400, 512, 11), (3, 700, 400), (50, 9, 1)]
)
def test_a_quiet_product_is_the_product(shape: tuple[int, int, int]) -> None:
    rows, inner, columns = shape
    rng = np.random.default_rng(rows)
    left = rng.normal(size=(rows, inner)).astype(np.float32)
    right = rng.normal(size=(columns, inner)).astype(np.float32).T
    expected = left.astype(float) @ right.astype(float)
    np.testing.assert_allclose(quiet_product(left, right), expected, rtol=1e-4, atol=1e-4)
