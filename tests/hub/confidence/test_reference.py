"""Names measured on a hub, against the definitions in full tables."""

import numpy as np
import pytest

from lagotto.core.vectors import unit_rows
from lagotto.hub.confidence.margin import (
    MARGIN,
    fitted_scores,
    hit_context,
    label_rival_scores,
)
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    join_names,
    measure_background,
    measure_names,
    take_names,
)
from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.rank_blend import blend
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.query.probe_weights import (
    ProbeSpace,
    text_weights,
    top_k_weights,
)


def rows(seed: int, count: int, dim: int = 12) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32))


SPACE = ProbeSpace(rows(1, 120), rows(2, 30), 20.0)
GALLERY = standardize(np.random.default_rng(5).normal(size=(120, 40))).values
RAISED = blend(GALLERY)
DIRECTIONS = project(projector(SPACE.probes), RAISED)
HUB = measure_background(SPACE, SPACE.background, RAISED)
CONCEPT = rows(7, 1)[0]
SEEN = hit_context(HUB, CONCEPT, RAISED, DIRECTIONS)


def counted_twice(names: np.ndarray) -> np.ndarray:
    """Fitted scores by the definition: over all words of each logit, then over all logits."""
    total = np.zeros((len(names), RAISED.shape[1]))
    for share, matrix in (
        (1.0, lambda each: top_k_weights(text_weights(SPACE, each), 50) @ RAISED),
        (MARGIN.direction_weight, lambda each: (each - SPACE.background_mean) @ DIRECTIONS.T),
    ):
        words, asked = matrix(SPACE.background), matrix(names)
        asked = (asked - words.mean(axis=0)) / words.std(axis=0)
        asked = (asked - asked.mean(axis=1)[:, None]) / asked.std(axis=1)[:, None]
        total += share * asked
    return total


def test_the_fitted_level_is_that_of_scores_counted_over_words_and_logits() -> None:
    words = np.sort(counted_twice(SPACE.background), axis=0)
    np.testing.assert_allclose(SEEN.rival_scores, words[-MARGIN.rivals :].mean(axis=0), atol=1e-3)


def test_any_name_is_measured_as_words_are() -> None:
    names = rows(11, 3)
    measured = measure_names(HUB, names, text_weights(SPACE, names))
    found = fitted_scores(HUB, measured, SEEN)
    np.testing.assert_allclose(found, counted_twice(names), atol=0.05)
    words = measure_names(HUB, SPACE.background, text_weights(SPACE, SPACE.background))
    np.testing.assert_allclose(words.moments, HUB.words.moments, rtol=0.02, atol=5e-3)
    again = join_names([take_names(words, [4]), take_names(words, [2, 9])])
    np.testing.assert_array_equal(again.moments, words.moments[:, [4, 2, 9]])
    np.testing.assert_array_equal(again.probes, words.probes[[4, 2, 9]])


def test_a_word_is_no_rival_of_itself() -> None:
    others = np.sort(np.delete(counted_twice(SPACE.background), 3, axis=0), axis=0)
    found = hit_context(HUB, SPACE.background[3], RAISED, DIRECTIONS)
    np.testing.assert_allclose(found.rival_scores, others[-MARGIN.rivals :].mean(axis=0), atol=1e-3)


def test_hits_do_not_depend_on_each_other() -> None:
    alone = hit_context(HUB, CONCEPT, RAISED[:, 8:9], DIRECTIONS[8:9])
    np.testing.assert_allclose(alone.rival_scores, SEEN.rival_scores[8:9], atol=1e-5)
    np.testing.assert_allclose(alone.word_moments, SEEN.word_moments[:, 8:9], atol=1e-5)


def test_without_rivals_there_is_no_level() -> None:
    lonely = BackgroundStats(take_names(HUB.words, [3]), HUB.sample, HUB.origin)
    itself = hit_context(lonely, SPACE.background[3], RAISED, DIRECTIONS)
    assert np.isnan(itself.rival_scores).all()
    assert np.isfinite(hit_context(lonely, CONCEPT, RAISED, DIRECTIONS).rival_scores).all()


def test_a_label_counts_on_its_own_logit_unless_it_is_the_concept() -> None:
    names = np.concatenate([rows(11, 2), CONCEPT[None]])
    labels = measure_names(HUB, names, text_weights(SPACE, names))
    own = np.full(RAISED.shape[1], -1)
    own[[5, 6, 7]] = [1, 0, 2]
    found = label_rival_scores(HUB, labels, own, CONCEPT, SEEN)
    scores = fitted_scores(HUB, labels, SEEN)
    assert found[5] == pytest.approx(scores[1, 5], abs=1e-4)
    assert found[6] == pytest.approx(scores[0, 6], abs=1e-4)
    assert (found[own < 0] == -np.inf).all()
    assert found[7] == -np.inf
