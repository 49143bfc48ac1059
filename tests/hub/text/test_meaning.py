"""Labels as directions: which are of similar meaning, and how much each is like a name."""

from dataclasses import replace

import numpy as np
import pytest

from lagotto.core.vectors import unit_rows
from lagotto.hub.text.matching import MATCH
from lagotto.hub.text.meaning import quantize_directions

RNG = np.random.default_rng(0)
MEAN = 0.05 * RNG.normal(size=16).astype(np.float32)
EMBEDDINGS = unit_rows(RNG.normal(size=(50, 16)).astype(np.float32))
LABELS = tuple(f"label {number}" for number in range(50))
VECTORS = quantize_directions(LABELS, EMBEDDINGS, MEAN)


def cosines(direction: np.ndarray) -> np.ndarray:
    return unit_rows(EMBEDDINGS - MEAN) @ direction / np.linalg.norm(direction)


def test_the_likeness_is_a_share_of_the_cosine_from_a_least_one_on() -> None:
    direction = EMBEDDINGS[3] - MEAN
    every = replace(VECTORS, config=replace(MATCH, least_cosine=-1.0, most_labels=50))
    likeness = every.likeness(direction)
    np.testing.assert_allclose(
        [likeness[label] for label in LABELS],
        MATCH.meaning_weight * cosines(direction),
        atol=0.01,
    )
    some = VECTORS.likeness(direction)
    assert set(some) == {
        label for label, cosine in likeness.items() if cosine >= 0.8 * MATCH.least_cosine
    }
    assert next(iter(some)) == "label 3"
    assert len(some) < 20


def test_the_length_of_a_direction_does_not_matter_and_its_sign_does() -> None:
    direction = EMBEDDINGS[7] - MEAN
    assert VECTORS.likeness(direction) == pytest.approx(VECTORS.likeness(3 * direction))
    assert "label 7" not in VECTORS.likeness(-direction)
    assert VECTORS.likeness(np.zeros(16, np.float32)) == {}


def test_only_the_most_similar_labels_are_given() -> None:
    every, few = (
        replace(VECTORS, config=replace(MATCH, least_cosine=-1.0, most_labels=most))
        for most in (50, 5)
    )
    direction = EMBEDDINGS[7] - MEAN
    likeness = list(every.likeness(direction).items())
    assert list(few.likeness(direction).items()) == likeness[:5]
    assert likeness == sorted(likeness, key=lambda item: -item[1])
    assert len(likeness) == 50


def test_no_label_is_like_anything() -> None:
    none = quantize_directions((), np.zeros((0, 16), np.float32), MEAN)
    assert none.likeness(EMBEDDINGS[0]) == {}
