"""Pooling rules against independent transcriptions."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.vectors import softmax
from lagotto.zeroshot.fusion import (
    MeanConfidence,
    PaperCode,
    pool_paper,
    single_vote,
)


def votes(seed: int, pictures: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = softmax(3 * rng.normal(size=(2, pictures, labels)))
    return made[0], made[1]


def sureness(p: np.ndarray) -> float:
    return 1 + sum(float(x) * math.log(x) for x in p if x > 0) / math.log(len(p))


def released_script(image: np.ndarray, text: np.ndarray) -> list[np.ndarray]:
    """Section 3.4 as the released script computes it, one picture after the other."""
    all_alpha, all_beta, out = [], [], []
    for p_img, p_txt in zip(image, text, strict=True):
        all_alpha.append(sureness(p_img))
        all_beta.append(sureness(p_txt))
        out.append(p_img * all_alpha[-1] / sum(all_alpha) + p_txt * all_beta[-1] / sum(all_beta))
    return out


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 9))
def test_paper_code_equals_the_script_in_order_and_shuffled(
    seed: int, pictures: int, labels: int
) -> None:
    image, text = votes(seed, pictures, labels)
    shuffled = np.random.default_rng(seed).permutation(pictures)
    for order in (np.arange(pictures), shuffled):
        expected = np.stack(released_script(image[order], text[order]))
        found = PaperCode().pool(image[order], text[order])
        assert np.allclose(found.probabilities, expected / expected.sum(axis=1, keepdims=True))


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_paper_code_does_not_depend_on_how_pictures_are_batched(seed: int, first: int) -> None:
    image, text = votes(seed, 7, 4)
    all_at_once, parts = PaperCode(), PaperCode()
    expected = all_at_once.pool(image, text).probabilities
    found = [parts.pool(image[s], text[s]).probabilities for s in (slice(first), slice(first, 7))]
    assert np.array_equal(np.concatenate(found), expected)


def test_paper_code_depends_on_order() -> None:
    image, text = votes(3, 6, 4)
    forwards = PaperCode().pool(image, text).probabilities
    backwards = PaperCode().pool(image[::-1], text[::-1]).probabilities[::-1]
    assert not np.allclose(forwards, backwards)


@given(st.integers(0, 10_000), st.floats(0.1, 1), st.floats(0.1, 1))
def test_paper_equals_its_formula_and_is_pure(
    seed: int, mean_image: float, mean_text: float
) -> None:
    image, text = votes(seed, 5, 4)
    means = MeanConfidence(mean_image, mean_text)
    found = pool_paper(image, text, means).probabilities
    for i in range(5):
        p = sureness(image[i]) / mean_image * image[i] + sureness(text[i]) / mean_text * text[i]
        assert np.allclose(found[i], p / p.sum())
    order = np.random.default_rng(seed).permutation(5)
    assert np.array_equal(pool_paper(image[order], text[order], means).probabilities, found[order])


def test_two_uniform_votes_leave_the_image() -> None:
    flat = np.full((1, 4), 0.25)
    for pooled in (pool_paper(flat, flat, MeanConfidence()), PaperCode().pool(flat, flat)):
        assert np.allclose(pooled.probabilities, 0.25)
        assert np.allclose(pooled.weights, [[1, 0]])


def test_alone_is_the_vote() -> None:
    image, _ = votes(0, 2, 3)
    assert np.array_equal(single_vote(image, image=True).probabilities, image)
    assert single_vote(image, image=False).weights.tolist() == [[0, 1], [0, 1]]
