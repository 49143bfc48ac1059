"""Votes of image and captions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.vectors import unit_rows
from lagotto.zeroshot.votes import (
    caption_vote,
    confidence,
    image_vote,
)


def rows(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return unit_rows(rng.normal(size=shape))


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 5))
def test_votes_equal_a_plain_transcription(seed: int, labels: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    prompts, pictures, captions = rows(rng, labels, 8), rows(rng, 3, 8), rows(rng, 3, k, 8)
    present = rng.random((3, k)) < 0.7
    image = image_vote(pictures, prompts, 20.0)
    result = caption_vote(captions, present, prompts, 20.0)
    for i in range(3):
        powers = [np.exp(20.0 * float(pictures[i] @ p)) for p in prompts]
        assert np.allclose(image[i], np.array(powers) / sum(powers), atol=1e-5)
        votes = []
        for j in np.flatnonzero(present[i]):
            powers = [np.exp(20.0 * float(captions[i, j] @ p)) for p in prompts]
            votes.append(np.array(powers) / sum(powers))
        expected = np.mean(votes, axis=0) if votes else np.full(labels, 1 / labels)
        assert np.allclose(result[i], expected, atol=1e-5)


def test_no_captions_at_all_vote_for_nobody() -> None:
    empty = np.empty((2, 0, 8), np.float32)
    vote = caption_vote(empty, np.empty((2, 0), bool), rows(np.random.default_rng(0), 4, 8), 20.0)
    assert (vote == 0.25).all()


def test_confidence_runs_from_uniform_to_certain() -> None:
    assert np.allclose(confidence(np.array([[0.25] * 4, [1.0, 0, 0, 0]])), [0, 1])
