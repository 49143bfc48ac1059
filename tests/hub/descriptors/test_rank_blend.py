"""Blended descriptors: Savage scores against their definition, and what knots lose of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.hub.descriptors.rank_blend import (
    QUANTILES,
    blend,
    blend_by_quantiles,
    rank_quantiles,
    savage_scores,
    score_levels,
)
from lagotto.hub.descriptors.standardize import standardize


def scores_by_definition(column: np.ndarray) -> np.ndarray:
    """-log(1 - (r + 1/2) / n) at place r from below."""
    places = np.argsort(np.argsort(column))
    return np.asarray(-np.log1p(-(places + 0.5) / len(column)))


def make_descriptors(seed: int, probes: int = 300) -> np.ndarray:
    """Logits of very different shapes: normal, heavy above, heavy below, two humps."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(probes, 4))
    humps = normal[:, 3] + 6 * (rng.random(probes) < 0.1)
    columns = [normal[:, 0], np.exp(2 * normal[:, 1]), -np.exp(normal[:, 2]), humps]
    return standardize(np.stack(columns, axis=1)).values


@pytest.mark.parametrize("probes", [40, 300, 2000])
def test_scores_are_those_of_the_definition_between_knots(probes: int) -> None:
    values = make_descriptors(3, probes)
    found = savage_scores(values, rank_quantiles(values), probes)
    expected = np.stack([scores_by_definition(column) for column in values.T], axis=1)
    assert np.abs(found - expected).max() < score_levels(probes)[1]
    for first, second in zip(found.T, expected.T, strict=True):
        assert np.corrcoef(first, second)[0, 1] > 0.998


def test_scores_do_not_depend_on_the_shape_of_a_logit() -> None:
    values = make_descriptors(5)
    turned = standardize(np.exp(values)).values
    before, after = (
        savage_scores(each, rank_quantiles(each), len(each)) for each in (values, turned)
    )
    assert np.abs(before - after).max() < score_levels(len(values))[1]


def test_a_value_that_many_probes_share_has_their_middle_score() -> None:
    values = np.concatenate([np.zeros(150), np.arange(1, 151)])[:, None].astype(np.float32)
    found = savage_scores(values, rank_quantiles(values), 300)
    assert len(set(found[:150, 0].tolist())) == 1
    assert 0 < found[0, 0] < np.log(2)
    assert found[150:, 0].min() > found[0, 0]
    assert found.mean() == pytest.approx(1, abs=0.1)


@given(st.integers(0, 10_000), st.integers(2, 400))
def test_higher_values_never_score_lower(seed: int, probes: int) -> None:
    values = np.random.default_rng(seed).normal(size=(probes, 2)).round(1).astype(np.float32)
    found = savage_scores(values, rank_quantiles(values), probes)
    for column in (0, 1):
        order = np.argsort(values[:, column], kind="stable")
        assert (np.diff(found[order, column]) >= -1e-5).all()
    assert found.min() >= 0
    assert found.max() <= np.log(2 * probes) + 1e-4


def test_a_part_of_the_probes_is_blended_as_all_of_them() -> None:
    values = make_descriptors(7)
    rows = np.array([3, 50, 299])
    whole = blend(values)
    np.testing.assert_array_equal(
        blend_by_quantiles(values[rows], rank_quantiles(values), len(values)), whole[rows]
    )
    expected = (values + np.stack([scores_by_definition(c) for c in values.T], 1) - 1) / 2
    assert np.abs(whole - expected).max() < score_levels(len(values))[1]


def test_a_flawed_logit_stays_zero() -> None:
    values = make_descriptors(9)
    values[:, 1] = 0
    assert not blend(values)[:, 1].any()
    assert blend(values)[:, 0].any()


def test_knots_ascend_from_the_least_to_the_greatest_value() -> None:
    values = make_descriptors(11)
    knots = rank_quantiles(values)
    assert knots.shape == (QUANTILES, 4)
    assert (np.diff(knots, axis=0) >= 0).all()
    np.testing.assert_allclose(knots[0], values.min(axis=0), rtol=1e-6)
    np.testing.assert_allclose(knots[-1], values.max(axis=0), rtol=1e-6)
