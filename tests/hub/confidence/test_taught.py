"""What twins of a concept's own words do to confidence and presence."""

import numpy as np
import pytest

from lagotto.hub.confidence.calibrator import Features, HitEvidence, shipped_calibrator
from lagotto.hub.confidence.taught import (
    TAUGHT_CONCEPT_FEATURES,
    TAUGHT_HIT_FEATURES,
    Teaching,
    log_odds,
    taught_concept_features,
    taught_hit_features,
    teaching_of,
)
from lagotto.hub.text.matching import FIRMLY, NOBODY, OPENLY, Named

NONE = np.zeros(10, bool)


def evidence(probability: np.ndarray, has_teacher: bool = True, margin: float = 0.0) -> HitEvidence:
    margins = margin - 0.1 * np.arange(10)
    features = Features(margins, np.full(10, 0.2), 0.4, margins, NONE, np.arange(10))
    return HitEvidence(features, NONE, NONE, Teaching(probability, has_teacher))


def only_first(probability: float) -> np.ndarray:
    return np.eye(1, 10)[0] * probability


def test_a_likely_twin_is_believed_and_other_hits_less_than_without_a_teacher() -> None:
    calibrator = shipped_calibrator()
    plain, plain_presence = calibrator.believe(evidence(only_first(0.0), has_teacher=False))
    taught, presence = calibrator.believe(evidence(only_first(0.97)))
    assert plain[0] < 0.6
    assert taught[0] > 0.95
    assert (taught[1:] < plain[1:]).all()
    assert presence > 0.9 > plain_presence


def test_a_concept_that_a_teacher_has_and_no_hit_is_a_twin_of_is_hardly_there() -> None:
    calibrator = shipped_calibrator()
    without, plain = calibrator.believe(evidence(only_first(0.0), has_teacher=False, margin=2.0))
    taught, presence = calibrator.believe(evidence(only_first(0.0), margin=2.0))
    assert presence < 0.1 < plain
    assert taught[0] < without[0]


def test_belief_rises_with_the_probability_of_a_twin_and_with_the_rest() -> None:
    calibrator = shipped_calibrator()
    likely = np.linspace(0.06, 0.99, 20)
    by_twin = [calibrator.believe(evidence(only_first(each))) for each in likely]
    assert (np.diff([confidence[0] for confidence, _ in by_twin]) > 0).all()
    assert (np.diff([presence for _, presence in by_twin]) > 0).all()
    by_margin = [calibrator.believe(evidence(only_first(0.0), margin=each)) for each in range(5)]
    assert (np.diff([presence for _, presence in by_margin]) >= 0).all()
    every = np.concatenate([confidence for confidence, _ in by_twin])
    assert every.min() >= 0
    assert every.max() <= 0.995


def test_without_a_teacher_nothing_changes() -> None:
    calibrator = shipped_calibrator()
    told = evidence(only_first(0.0), has_teacher=False, margin=1.0)
    confidence, presence = calibrator.believe(told)
    np.testing.assert_array_equal(confidence, calibrator.confidence(told.features))
    assert presence == calibrator.concept_probability(told.features)


def test_a_twin_of_an_audited_label_is_at_least_as_sure_as_it_is_a_twin() -> None:
    calibrator = shipped_calibrator()
    told = evidence(only_first(0.9), has_teacher=False)
    confidence, presence = calibrator.believe(told)
    plain = calibrator.confidence(told.features)
    assert confidence[0] == presence == pytest.approx(0.9 * calibrator.labelled_hit.ceiling)
    np.testing.assert_array_equal(confidence[1:], plain[1:])


def test_teaching_is_of_firmly_believed_labels_with_the_very_words() -> None:
    named = Named(
        np.array([3, 5, 7, 8, 9]),
        np.array([1.0, 1.0, 0.5, 1.0, 1.0], np.float32),
        np.array([FIRMLY, FIRMLY, FIRMLY, OPENLY, FIRMLY], np.float32),
        np.array([1.0, 0.8, 0.9, 0.9, 0.3], np.float32),
        np.array([3, 3, 3, 2, 3]),
    )
    teaching = teaching_of(named, np.array([9, 5, 3, 7, 8, 4]), [slice(0, 2), slice(3, 4)])
    assert teaching.has_teacher
    assert not teaching_of(named, np.array([9]), [slice(2, 3), slice(5, 10)]).has_teacher
    assert teaching.probability.tolist() == pytest.approx([0.3, 0.8, 0, 0, 0, 0])
    assert teaching.twins.tolist() == [True, True, False, False, False, False]
    assert teaching_of(NOBODY, np.array([1])) == Teaching(np.zeros(1), False)
    own = Named(named.columns[:1], named.likeness[:1], named.trust[:1])
    assert teaching_of(own, np.array([3, 4]), [slice(3, 4)]).has_teacher
    assert not teaching_of(own, np.array([3, 4])).has_teacher
    assert teaching_of(own, np.array([3, 4])).probability.tolist() == [0, 0]


def test_features_are_named_and_finite() -> None:
    table = taught_hit_features(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.9, 0.4]), 2)
    assert table.shape == (3, len(TAUGHT_HIT_FEATURES))
    assert np.isfinite(table).all()
    likeliest = TAUGHT_HIT_FEATURES.index("likeliest twin")
    assert table[:, likeliest].tolist() == [0, 1, 0]
    beyond = taught_hit_features(np.array([0.1, 0.5, 0.2]), np.array([0.0, 0.4, 0.9]), 2)
    assert beyond[:, likeliest].tolist() == [0, 1, 1]
    concept = taught_concept_features(0.5, np.array([0.0, 0.9]))
    assert concept.shape == (len(TAUGHT_CONCEPT_FEATURES),)
    assert concept[0] == pytest.approx(0)
    assert log_odds(np.array([0.0, 1.0])).tolist() == pytest.approx([-3.8918, 5.2933], abs=1e-3)
