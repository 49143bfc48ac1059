"""Features in, probabilities out: the shipped calibrator knows the direction of each feature."""

from dataclasses import replace

import numpy as np
import pytest

from lagotto.core.vectors import unit_rows
from lagotto.hub.confidence.calibrator import (
    CONCEPT_LIKELY,
    Features,
    LogisticCurve,
    best_margin,
    concept_note,
    hit_agreement,
    hit_features,
    shipped_calibrator,
)
from lagotto.hub.confidence.probe_coverage import (
    LEAST_COVERAGE,
    coverage,
    coverage_note,
)
from lagotto.hub.confidence.quality import (
    expected_quality,
    quality_table,
    shipped_quality,
)
from lagotto.hub.query.probe_weights import ProbeSpace


def features(margin: float, agree: float = 0.3, label: float | None = None) -> Features:
    """Ten hits; their labels, if any is believed, take `label` from their margins."""
    margins = margin - 0.1 * np.arange(10)
    label_margins = margins - (label or 0.0)
    has_label = np.full(10, label is not None)
    return Features(margins, np.full(10, agree), 0.4, label_margins, has_label, np.arange(10))


def test_a_clear_lead_is_trusted_and_a_clear_lag_is_not() -> None:
    calibrator = shipped_calibrator()
    sure, lost = features(4.0, 0.7), features(-4.0, 0.0)
    assert calibrator.confidence(sure)[0] > 0.6
    assert calibrator.confidence(lost)[1:].max() < 0.1
    assert calibrator.confidence(lost)[0] < 0.2
    assert calibrator.concept_probability(sure) > 0.8
    assert calibrator.concept_probability(lost) < CONCEPT_LIKELY


def test_confidence_rises_with_the_lead_and_with_agreement() -> None:
    calibrator = shipped_calibrator()
    by_lead = [calibrator.confidence(features(lead))[0] for lead in np.linspace(-5, 5, 21)]
    by_agreement = [calibrator.confidence(features(0.5, each))[0] for each in np.linspace(0, 1, 21)]
    presences = [calibrator.concept_probability(features(lead)) for lead in np.linspace(-5, 5, 21)]
    hardly_shown = replace(features(0.0), probe_coverage=1e-3)
    for agree in (-0.1, 0.0, 0.3, 0.8):
        moved = [replace(hardly_shown, margin=hardly_shown.margin + by) for by in range(-5, 6)]
        told = [replace(each, agreement=np.full(10, agree)) for each in moved]
        assert (np.diff([calibrator.concept_probability(each) for each in told]) >= 0).all()
        assert (np.diff([calibrator.confidence(each)[0] for each in told]) >= 0).all()
    for values in (by_lead, by_agreement, presences):
        assert (np.diff(values) >= 0).all()
        assert min(values) >= 0
        assert max(values) <= 1


def test_hits_beyond_the_pool_change_nothing_for_the_others() -> None:
    few = features(1.0)
    more = Features(
        np.append(few.margin, -3.0),
        np.append(few.agreement, 0.1),
        0.4,
        np.append(few.label_margin, -3.0),
        np.append(few.has_label, True),
        np.append(few.owners, 10),
    )
    calibrator = shipped_calibrator()
    np.testing.assert_allclose(calibrator.confidence(more)[:10], calibrator.confidence(few))
    assert calibrator.concept_probability(more) == calibrator.concept_probability(few)
    assert calibrator.concept_probability(replace(more, pool=11)) != calibrator.concept_probability(
        few
    )


def test_a_curve_is_logistic_below_its_ceiling() -> None:
    curve = LogisticCurve(np.array([2.0]), -1.0)
    np.testing.assert_allclose(curve(np.array([[0.5], [2.0]])), [0.5, 1 / (1 + np.exp(-3))])
    low = LogisticCurve(np.array([2.0]), -1.0, 0.8)
    np.testing.assert_allclose(low(np.array([[0.5], [99.0]])), [0.4, 0.8])


def test_a_believed_label_that_fits_better_speaks_against_the_concept() -> None:
    calibrator = shipped_calibrator()
    for lead in (-1.0, 1.0, 3.0):
        its_own, another = features(lead, label=0.0), features(lead, label=2.0)
        assert calibrator.concept_probability(another) < calibrator.concept_probability(its_own)
        assert (calibrator.confidence(another) < calibrator.confidence(its_own)).all()


def test_labels_count_as_far_as_they_are_believed() -> None:
    calibrator, all_of_them = shipped_calibrator(), features(1.0, label=2.0)
    nobody = replace(all_of_them, has_label=np.zeros(10, bool))
    assert calibrator.concept_probability(nobody) == calibrator.concept_probability(features(1.0))
    np.testing.assert_array_equal(
        calibrator.confidence(nobody), calibrator.confidence(features(1.0))
    )
    half = replace(all_of_them, has_label=np.arange(10) < 5)
    ends = calibrator.concept_probability(nobody), calibrator.concept_probability(all_of_them)
    assert calibrator.concept_probability(half) == pytest.approx(np.mean(ends))
    np.testing.assert_array_equal(
        calibrator.confidence(half)[5:], calibrator.confidence(nobody)[5:]
    )


def test_of_two_hits_of_one_model_the_lesser_is_hardly_believed() -> None:
    calibrator, apart = shipped_calibrator(), features(2.0)
    together = replace(apart, owners=np.array([0, 1, 1, *range(3, 10)]))
    alone, beaten = calibrator.confidence(apart), calibrator.confidence(together)
    assert beaten[2] < alone[2] / 2
    np.testing.assert_array_equal(np.delete(beaten, 2), np.delete(alone, 2))


def test_a_hit_is_judged_alike_wherever_it_stands() -> None:
    pool = replace(features(1.0), owners=np.array([0, 1, 1, *range(3, 10)]))
    again = np.array([*range(10), 2, 0, 5])
    shown = Features(
        pool.margin[again],
        pool.agreement[again],
        pool.probe_coverage,
        pool.label_margin[again],
        pool.has_label[again],
        pool.owners[again],
    )
    table = hit_features(shown)
    np.testing.assert_allclose(table[10:], table[[2, 0, 5]])
    np.testing.assert_allclose(table[:10], hit_features(pool))


def test_any_lead_is_between_the_best_and_all_of_them() -> None:
    leads = np.array([1.0, 0.0, -50.0])
    assert 1.0 < best_margin(leads) < 1.0 + np.log(3)
    assert best_margin(np.array([-2000.0])) == pytest.approx(-2000)


def test_agreement_is_with_other_models_alone() -> None:
    first, second = np.array([1.0, -1, 1, -1]), np.array([1.0, 1, -1, -1])
    table = np.stack([first, first, second, first], axis=1).astype(np.float32)
    np.testing.assert_allclose(hit_agreement(table, np.array([0, 0, 1, 2])), [0.5, 0.5, 0, 2 / 3])
    assert hit_agreement(table[:, :2], np.array([0, 0])).tolist() == [0, 0]


def test_coverage_is_the_surest_probe() -> None:
    rng = np.random.default_rng(0)
    probes, words, (shown, hidden) = (
        unit_rows(rng.normal(size=(count, 16)).astype(np.float32)) for count in (30, 50, 2)
    )
    space = ProbeSpace(np.concatenate([probes, shown[None]]), words, 30.0)
    assert coverage(space, shown) > 0.9
    assert coverage_note("a", coverage(space, shown)) is None
    assert coverage(space, hidden) < coverage(space, shown)
    assert "no probe of this hub clearly shows 'x'" in (
        coverage_note("x", LEAST_COVERAGE / 2) or ""
    )


def test_the_note_of_an_absent_concept_names_it() -> None:
    assert concept_note("violin", CONCEPT_LIKELY) is None
    assert "nothing in this hub seems to recognise 'violin'" in (concept_note("violin", 0.1) or "")


def test_quality_is_a_share_and_a_doubtful_hit_has_little() -> None:
    rng = np.random.default_rng(1)
    table = quality_table(
        rng.normal(size=(100, 3)).astype(np.float32), np.array([0.1, 0.4, 0.8]), np.array([30] * 3)
    )
    shares = shipped_quality()(table)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert (np.diff(shipped_quality()(np.c_[[0.1, 0.4, 0.8], [1.5] * 3, [3.4] * 3])) > 0).all()
    np.testing.assert_allclose(
        expected_quality(table, np.array([1.0, 0.5, 0.0])), shares * [1, 0.5, 0]
    )
