"""Fits: a planted concept is found, and what is usual for a name or an output drops out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.hub.labels.fit import (
    OutputPool,
    Reference,
    TextEvidence,
    fit,
    standardized_responses,
    text_evidence,
)
from lagotto.hub.labels.transport import sinkhorn_assign
from lagotto.hub.query.probe_weights import ProbeSpace

PROBES, NAMES, WORDS = 300, 12, 40


def planted(seed: int) -> tuple[TextEvidence, np.ndarray, Reference]:
    """Outputs of which number i answers to the probes that show name i, and common words."""
    rng = np.random.default_rng(seed)
    concepts = rng.normal(size=(NAMES + WORDS, 16))
    shown = concepts[rng.integers(0, NAMES + WORDS, PROBES)] + rng.normal(size=(PROBES, 16))
    answers = (shown @ concepts[:NAMES].T + rng.normal(size=(PROBES, NAMES))).astype(np.float32)
    concepts = concepts.astype(np.float32)
    space = ProbeSpace((shown / 16).astype(np.float32), concepts[NAMES:], 10.0)
    standardized = standardized_responses(answers)
    words = text_evidence(space, space.background)
    return text_evidence(space, concepts[:NAMES]), standardized, Reference(words, standardized)


@pytest.mark.parametrize("seed", range(3))
def test_a_name_fits_its_own_output_best(seed: int) -> None:
    names, standardized, around = planted(seed)
    fits = fit(names, standardized, around)
    assert (fits.argmax(axis=0) == np.arange(NAMES)).mean() >= 0.9
    assert (fits.argmax(axis=1) == np.arange(NAMES)).mean() >= 0.9
    assert np.diag(fits).mean() > 2.0 > abs(fits.mean())


def test_a_pool_of_outputs_counts_as_they_do_side_by_side() -> None:
    names, standardized, around = planted(0)
    rng = np.random.default_rng(1)
    others = standardized_responses(rng.normal(size=(PROBES, 20)).astype(np.float32))
    columns = rng.random(20) < 0.6
    beside = np.concatenate([standardized, others[:, columns]], axis=1)
    plain = Reference(around.words, beside)
    pooled = Reference(around.words, standardized, OutputPool(around.words, others), columns)
    for texts in (names, around.words):
        fits = fit(texts, standardized, pooled)
        np.testing.assert_allclose(fits, fit(texts, standardized, plain), atol=1e-4)
        assert not np.allclose(fits, fit(texts, standardized, around), atol=1e-2)


def test_evidence_is_standardised_and_its_shares_sum_to_one() -> None:
    names, _, _ = planted(0)
    assert np.allclose(names.zscores.mean(axis=1), 0, atol=1e-4)
    assert np.allclose(names.zscores.std(axis=1), 1, atol=1e-4)
    assert np.allclose(names.weights.sum(axis=1), 1, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.floats(0.1, 50.0), st.floats(-20.0, 20.0))
def test_scale_and_offset_of_all_outputs_drop_out(seed: int, scale: float, offset: float) -> None:
    answers = np.random.default_rng(seed).normal(size=(50, 5)).astype(np.float32)
    moved = (answers * np.float32(scale) + np.float32(offset)).astype(np.float32)
    assert np.allclose(standardized_responses(answers), standardized_responses(moved), atol=1e-3)


def test_flawed_outputs_are_zero_and_do_not_harm_the_others() -> None:
    answers = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    broken = np.concatenate([answers, np.full((50, 1), 3, np.float32), answers[:, :1]], axis=1)
    broken[7, 6] = np.nan
    found = standardized_responses(broken)
    assert np.isfinite(found).all()
    assert not found[:, 5:].any()
    assert np.allclose(found[:, :5], standardized_responses(answers), atol=1e-5)


def test_two_outputs_are_not_centred_against_each_other() -> None:
    answers = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    assert abs(np.corrcoef(standardized_responses(answers).T)[0, 1]) < 0.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30))
def test_shares_are_shares(seed: int, names: int, outputs: int) -> None:
    fits = np.random.default_rng(seed).normal(0, 3, (names, outputs)).astype(np.float32)
    shares = sinkhorn_assign(fits)
    assert ((shares >= 0) & (shares <= 1 + 1e-5)).all()
    assert (shares.sum(axis=0) <= 1 + 1e-4).all()


def test_a_name_wanted_by_two_goes_to_the_one_with_nothing_else() -> None:
    fits = np.array([[6.0, 5.5], [-1.0, 5.4]], np.float32)
    shares = sinkhorn_assign(fits)
    assert shares.argmax(axis=0).tolist() == [0, 1]
    assert fits.argmax(axis=0).tolist() == [0, 0]


def test_an_output_that_no_name_fits_is_nobodys() -> None:
    assert sinkhorn_assign(np.array([[0.1], [0.0]], np.float32)).sum() < 0.01
