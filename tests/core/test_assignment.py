"""The best pairing: against every pairing there is, and at sizes where that cannot be tried."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lagotto.core.assignment import best_assignment
from lagotto.core.errors import UsageError

SCORES = st.floats(-50, 50, width=32)


def total(scores: np.ndarray, columns: np.ndarray) -> float:
    paired = np.flatnonzero(columns >= 0)
    return float(scores[paired, columns[paired]].sum())


def best_of_all(scores: np.ndarray) -> float:
    if scores.shape[0] > scores.shape[1]:
        scores = scores.T
    rows = np.arange(len(scores))
    orders = permutations(range(scores.shape[1]), len(scores))
    return max(float(scores[rows, list(order)].sum()) for order in orders)


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=SCORES))
def test_no_pairing_is_better(scores: np.ndarray) -> None:
    found = best_assignment(scores)
    paired = found[found >= 0]
    assert len(paired) == len(set(paired.tolist())) == min(scores.shape)
    assert total(scores, found) == pytest.approx(best_of_all(scores), abs=1e-6)


@pytest.mark.parametrize("shape", [(40, 40), (30, 200), (200, 30)])
def test_a_planted_pairing_is_found(shape: tuple[int, int]) -> None:
    """Any pairing that swaps, moves or drops a planted pair loses more than noise can give."""
    rng = np.random.default_rng(sum(shape))
    scores = rng.uniform(0, 1, shape)
    rows, columns = (rng.permutation(side)[: min(shape)] for side in shape)
    scores[rows, columns] += 3
    found = best_assignment(scores)
    assert found[rows].tolist() == columns.tolist()
    assert (found >= 0).sum() == min(shape)


def test_greedy_would_fail() -> None:
    """The best pair of all is left for the best sum."""
    assert best_assignment(np.array([[10.0, 9.0], [9.0, 0.0]])).tolist() == [1, 0]


@given(
    arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(2, 6)), elements=SCORES),
    st.integers(0, 5),
    st.floats(-20, 20, width=32),
)
def test_a_constant_added_to_a_row_of_a_wide_table_changes_nothing(
    scores: np.ndarray, row: int, constant: float
) -> None:
    if scores.shape[0] > scores.shape[1]:
        scores = scores.T
    moved = scores.copy()
    moved[row % len(scores)] += constant
    assert total(scores, best_assignment(moved)) == pytest.approx(
        total(scores, best_assignment(scores)), abs=1e-5
    )


def test_nothing_to_pair_and_scores_that_are_none() -> None:
    assert best_assignment(np.empty((0, 3))).tolist() == []
    assert best_assignment(np.empty((2, 0))).tolist() == [-1, -1]
    with pytest.raises(UsageError, match="finite"):
        best_assignment(np.array([[np.nan, 1.0]]))
