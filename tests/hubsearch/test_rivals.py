"""What a query must beat: against the default rule in batches, and what must not matter."""

import numpy as np

from lagotto.core.vectors import unit_rows
from lagotto.hubsearch.blending import blend
from lagotto.hubsearch.descriptors import standardise
from lagotto.hubsearch.projection import project, projector
from lagotto.hubsearch.rivals import measure_rivals, rival_level
from lagotto.hubsearch.rules import default_scores
from lagotto.hubsearch.weighing import ProbeSpace


def rows(seed: int, count: int, dim: int = 12) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32))


SPACE = ProbeSpace(rows(1, 120), rows(2, 30), 20.0)
GALLERY = standardise(np.random.default_rng(5).normal(size=(120, 40))).values
RAISED = blend(GALLERY)
DIRECTIONS = project(projector(SPACE.probes), RAISED)
RIVALS = measure_rivals(SPACE, SPACE.background, RAISED)
CONCEPT = rows(7, 1)[0]


def test_the_level_is_the_mean_of_the_best_words_by_the_default_rule() -> None:
    words = np.sort(default_scores(SPACE, SPACE.background, GALLERY), axis=0)
    for count in (1, 5, 30):
        found = rival_level(RIVALS, CONCEPT, RAISED, DIRECTIONS, count)
        np.testing.assert_allclose(found, words[-count:].mean(axis=0), atol=2e-4)


def test_a_word_is_no_rival_of_itself() -> None:
    words = default_scores(SPACE, SPACE.background, GALLERY)
    found = rival_level(RIVALS, SPACE.background[3], RAISED, DIRECTIONS, 1)
    np.testing.assert_allclose(found, np.delete(words, 3, axis=0).max(axis=0), atol=2e-4)


def test_hits_do_not_depend_on_each_other() -> None:
    together = rival_level(RIVALS, CONCEPT, RAISED, DIRECTIONS, 5)
    alone = rival_level(RIVALS, CONCEPT, RAISED[:, 8:9], DIRECTIONS[8:9], 5)
    np.testing.assert_allclose(alone, together[8:9], atol=1e-5)


def test_many_hits_get_what_few_do() -> None:
    many = np.arange(400) * 7 % 40
    found = rival_level(RIVALS, CONCEPT, RAISED[:, many], DIRECTIONS[many], 5)
    few = rival_level(RIVALS, CONCEPT, RAISED, DIRECTIONS, 5)
    np.testing.assert_allclose(found, few[many], atol=1e-5)


def test_without_rivals_there_is_no_level() -> None:
    alone = RIVALS.subset(np.arange(30) == 3)
    assert np.isnan(rival_level(alone, SPACE.background[3], RAISED, DIRECTIONS, 5)).all()
    assert np.isfinite(rival_level(alone, CONCEPT, GALLERY, DIRECTIONS, 5)).all()
