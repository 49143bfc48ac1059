"""The selections of the paper's ablation, against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lagotto.evaluation.retrieval.probe_selection import distances, select_probes

QUERY = arrays(np.float64, st.integers(2, 50), elements=st.floats(-5, 5), unique=True)


@settings(deadline=None)
@given(QUERY, st.data())
def test_top_and_bottom_are_the_ends_of_the_order(query: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(query)))
    highest = np.sort(query)[::-1]
    np.testing.assert_array_equal(query[select_probes(query, k, "top-k")], highest[:k])
    np.testing.assert_array_equal(query[select_probes(query, k, "bottom-k")], highest[-k:])
    np.testing.assert_array_equal(query[select_probes(query, k, "all")], highest)


@settings(deadline=None)
@given(QUERY, st.data())
def test_quantiles_are_evenly_spaced_and_hold_both_ends(
    query: np.ndarray, data: st.DataObject
) -> None:
    k = data.draw(st.integers(2, len(query)))
    chosen = select_probes(query, k, "quantiles")
    assert len(set(chosen.tolist())) == k
    assert {int(query.argmax()), int(query.argmin())} <= set(chosen.tolist())
    ranks = np.argsort(np.argsort(-query))[chosen]
    steps = np.diff(ranks)
    assert steps.max() - steps.min() <= 1


def test_random_probes_are_distinct_and_seeded() -> None:
    query = np.arange(100.0)
    chosen = select_probes(query, 30, "random-k", seed=4)
    assert len(set(chosen.tolist())) == 30
    np.testing.assert_array_equal(chosen, select_probes(query, 30, "random-k", seed=4))
    assert set(chosen.tolist()) != set(select_probes(query, 30, "random-k", seed=5).tolist())


def test_ties_go_to_the_earlier_probe() -> None:
    assert select_probes(np.array([1.0, 3.0, 3.0, 2.0, 3.0]), 2, "top-k").tolist() == [1, 2]


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_the_distance_is_euclidean_over_the_selected_probes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, standardized = rng.normal(size=8), rng.normal(size=(8, 5))
    chosen = rng.permutation(8)[:3]
    expected = [np.linalg.norm(query[chosen] - standardized[chosen, i]) for i in range(5)]
    assert distances(query, standardized, chosen).tolist() == pytest.approx(expected, rel=1e-5)
