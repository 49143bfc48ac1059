"""Query vectors and the probes that they are surest of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lagotto.core.errors import UsageError
from lagotto.evaluation.retrieval.probe_selection import select_probes
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.query.vectors import (
    query_from_embedding,
    standardize_query,
    top_k_probes,
)

VALUES = arrays(np.float32, st.integers(2, 40), elements=st.integers(-50, 50).map(float))


@settings(deadline=None)
@given(VALUES, st.floats(0.01, 100), st.floats(-100, 100))
def test_scale_and_offset_drop_out(values: np.ndarray, scale: float, offset: float) -> None:
    if np.ptp(values) == 0:
        with pytest.raises(UsageError, match="same on every probe"):
            standardize_query(values)
        return
    plain = standardize_query(values.astype(np.float64))
    assert plain.mean() == pytest.approx(0, abs=1e-5)
    assert plain.std() == pytest.approx(1, rel=1e-5)
    moved = standardize_query(values.astype(np.float64) * scale + offset)
    np.testing.assert_allclose(moved, plain, atol=1e-4)


@settings(deadline=None)
@given(VALUES)
def test_a_logit_that_asks_is_standardised_like_a_descriptor(values: np.ndarray) -> None:
    if np.ptp(values) > 0:
        descriptor = standardize(values[:, None]).values[:, 0]
        np.testing.assert_allclose(standardize_query(values), descriptor, atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_query_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="no finite value"):
        standardize_query(np.array([1.0, value, 2.0]))


def test_a_query_that_varies_by_rounding_only_is_refused() -> None:
    with pytest.raises(UsageError, match="same on every probe"):
        standardize_query(np.array([1e6, 1e6 + 1e-7, 1e6]))


@settings(deadline=None)
@given(VALUES, st.data())
def test_the_surest_probes_are_the_highest_the_earlier_first(
    values: np.ndarray, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(values)))
    chosen = top_k_probes(values, k)
    pairs = [(-values[index], index) for index in chosen.tolist()]
    assert pairs == sorted((-value, index) for index, value in enumerate(values))[:k]
    np.testing.assert_array_equal(chosen, select_probes(values, k, "top-k"))


@pytest.mark.parametrize("k", [-1, 0, 4])
def test_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(UsageError, match="between 1 and 3"):
        top_k_probes(np.arange(3.0), k)


def test_a_concept_is_compared_by_its_direction() -> None:
    probes = np.eye(3, dtype=np.float32)
    concept = np.array([1.0, 2.0, 0.0], np.float32)
    query = query_from_embedding(concept, probes)
    assert query.argsort().tolist() == [2, 0, 1]
    np.testing.assert_allclose(query_from_embedding(concept * 7, probes), query, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-30, 1e-42])
def test_small_values_are_a_query_as_any_other(scale: float) -> None:
    values = np.array([1, 2, 4, 9, 3], np.float64)
    small = (values * scale).astype(np.float32)  # 1e-42 is denormal, with few digits
    np.testing.assert_allclose(standardize_query(small), standardize_query(values), atol=2e-3)
    with pytest.raises(UsageError, match="same on every probe"):
        standardize_query(np.full(5, scale, np.float32))
