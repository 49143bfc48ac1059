"""Likelihood ratios, weights and gains: sums, limits, and cases with known answers."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import (
    evidence_factor,
    fit_votes,
    fit_weight,
    information,
    make_votes,
)
from specialist_world import LABELS, Scene

LOGITS = st.floats(-6, 6, width=32)


@given(
    arrays(np.float64, (12, 4), elements=LOGITS),
    st.sampled_from([4, 7]).flatmap(lambda n: arrays(np.float64, (12, n), elements=LOGITS)),
    st.randoms(use_true_random=False),
    st.integers(1, 4),
)
def test_what_a_label_makes_likelier_it_makes_less_likely_elsewhere(
    logits: np.ndarray, model: np.ndarray, chance: Random, known: int
) -> None:
    """The likelihood ratios of each label average to 1, weighted by the mean shares of the outputs:
    each is a probability of an output divided by its mean. This holds without other outputs too."""
    outputs = np.full(4, -1, np.int64)
    outputs[:known] = chance.sample(range(model.shape[1]), known)
    shares = softmax(model)
    votes = make_votes(softmax(logits), shares, outputs)
    mean_shares = shares.mean(axis=0)[outputs[:known]]
    shares_of_rows = np.append(mean_shares, 1 - mean_shares.sum())
    assert votes.likelihood_ratios.min() >= 0
    assert shares_of_rows @ votes.likelihood_ratios == pytest.approx(np.ones(4), abs=1e-6)
    assert votes.known.tolist() == list(range(known))


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-1, 5, width=32)))
def test_no_weight_is_better_than_the_fitted_one(gains: np.ndarray) -> None:
    weight, gain = fit_weight(gains)
    assert 0 <= weight < 1
    assert gain >= 0
    others = [np.log1p(w * gains).sum() for w in np.linspace(0, 0.998, 200)]
    assert gain >= max(others) - 1e-3


def test_a_vote_that_only_harms_has_no_weight() -> None:
    assert fit_weight(np.array([-0.5, -0.2, 0.1])) == (0.0, 0.0)
    assert fit_weight(np.empty(0)) == (0.0, 0.0)


def test_a_specialist_is_believed_and_a_stranger_is_not() -> None:
    scene = Scene()
    known = scene.specialist()
    outputs = np.arange(len(LABELS))
    right = fit_votes(scene.view.logits, softmax(known.logits), outputs)
    assert right.weight > 0.8
    mixed = softmax(right.temperature * scene.view.logits) * evidence_factor(
        right, softmax(known.logits)
    )
    assert scene.accuracy(mixed) > scene.accuracy(scene.logits) + 0.3
    other = scene.stranger(outputs=len(LABELS))
    wrong = fit_votes(scene.view.logits, softmax(other.logits), outputs)
    assert wrong.log_likelihood_gain < 0.1 * right.log_likelihood_gain


def test_outputs_in_the_wrong_order_explain_nothing() -> None:
    scene = Scene()
    shares = softmax(scene.specialist().logits)
    rolled = np.roll(np.arange(len(LABELS)), 1)
    assert fit_votes(scene.view.logits, shares, rolled).log_likelihood_gain < 3


def test_a_model_of_two_labels_leaves_the_rest_as_it_was() -> None:
    """Pictures of labels that it does not know, between themselves, are not decided by its vote."""
    scene = Scene()
    model = scene.specialist(knows=(1, 4))
    outputs = np.full(len(LABELS), -1, np.int64)
    outputs[[1, 4]] = 0, 1
    fit = fit_votes(scene.view.logits, softmax(model.logits), outputs)
    factors = evidence_factor(fit, softmax(model.logits))
    unknown = np.setdiff1d(np.arange(len(LABELS)), [1, 4])
    assert np.allclose(factors[:, unknown], factors[:, unknown[:1]])


def test_information() -> None:
    assert information(np.full((5, 4), 0.25)) == pytest.approx(0)
    assert information(np.eye(4)) == pytest.approx(np.log(4))
