"""How much each probe counts: against the definition, and what must not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.vectors import unit_rows
from lagotto.encoders.background.words import background_words
from lagotto.hub.descriptors.projection import (
    RIDGE,
    project,
    projector,
)
from lagotto.hub.query.probe_weights import (
    ProbeSpace,
    picture_weights,
    text_weights,
    top_half,
    top_k_weights,
)


def rows(seed: int, count: int, dim: int = 12) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32))


SPACE = ProbeSpace(rows(1, 40), rows(2, 7), 20.0)


def test_the_posterior_is_that_of_a_softmax() -> None:
    concept = rows(3, 1)
    for softened, scale in ((False, 20.0), (True, 20.0 * 0.377)):
        logits = scale * np.concatenate([concept, SPACE.background]) @ SPACE.probes.T
        expected = np.log(np.exp(logits[0]) / np.exp(logits).sum(axis=0))
        found = SPACE.log_posterior(concept, softened=softened)[0]
        np.testing.assert_allclose(found, expected, atol=1e-4)


@given(st.integers(0, 10_000))
def test_weights_are_shares_and_do_not_depend_on_company(seed: int) -> None:
    concepts = rows(seed, 3)
    weights = text_weights(SPACE, concepts)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert (weights >= 0).all()
    np.testing.assert_allclose(text_weights(SPACE, concepts[1:2])[0], weights[1], atol=1e-5)


def test_a_probe_that_shows_the_concept_alone_counts_most() -> None:
    concept = unit_rows(SPACE.probes[5:6] + 0.05 * rows(9, 1))
    assert text_weights(SPACE, concept)[0].argmax() == 5
    assert picture_weights(SPACE, concept[0]).argmax() == 5
    # a background word that says the same takes the credit away, probe by probe
    crowded = ProbeSpace(SPACE.probes, np.concatenate([SPACE.background, concept]), 20.0)
    assert crowded.log_posterior(concept)[0, 5] < SPACE.log_posterior(concept)[0, 5] - 0.5


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_the_top_k_weights_are_a_full_sort(k: int, seed: int) -> None:
    weights = text_weights(SPACE, rows(seed, 1))[0]
    kept = top_k_weights(weights, k)
    assert kept.sum() == pytest.approx(1, abs=1e-5)
    order = np.argsort(-weights, kind="stable")
    assert set(np.flatnonzero(kept)) <= set(order[:k].tolist())
    np.testing.assert_allclose(
        kept[order[:k]] * weights[order[:k]].sum(), weights[order[:k]], atol=1e-6
    )


def test_several_concepts_have_the_weights_that_each_has_alone() -> None:
    weights = text_weights(SPACE, rows(3, 5))
    alone = np.stack([top_k_weights(row, 7) for row in weights])
    np.testing.assert_array_equal(top_k_weights(weights, 7), alone)
    none = np.zeros((1, 40), np.float32)
    np.testing.assert_array_equal(top_k_weights(none, 7), none)


def test_of_equal_weights_those_of_the_earlier_probes_stay() -> None:
    weights = np.array([0.1, 0.3, 0.1, 0.3, 0.1, 0.1], np.float32)
    assert np.flatnonzero(top_k_weights(weights, 3)).tolist() == [0, 1, 3]
    assert top_half(weights).tolist() == [0, 1, 3]
    assert top_half(top_k_weights(weights, 3)).tolist() == [1, 3]


def test_directions_are_a_ridge_regression_on_the_probes() -> None:
    rng = np.random.default_rng(4)
    probes, responses = rows(5, 60), rng.normal(size=(60, 4)).astype(np.float32)
    responses -= responses.mean(axis=0)
    centred = probes - probes.mean(axis=0)
    penalty = RIDGE * np.square(centred).mean()
    augmented = np.concatenate([centred / np.sqrt(60), np.sqrt(penalty) * np.eye(12)])
    target = np.concatenate([responses / np.sqrt(60), np.zeros((12, 4))])
    expected = np.linalg.lstsq(augmented, target, rcond=None)[0].T
    np.testing.assert_allclose(project(projector(probes), responses), expected, atol=1e-4)


def test_the_background_words_are_many_and_each_once() -> None:
    words = background_words()
    assert len(words) == len(set(words)) > 1000
    assert all(word == word.strip().lower() and "#" not in word for word in words)
