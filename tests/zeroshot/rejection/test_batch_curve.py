"""P(none) of pictures that are asked together: the spread of a batch, and its share without one."""

import re
from pathlib import Path

import numpy as np
import pytest

from caption_world import WordEncoder, WordStore, word_direction
from lagotto.core.vectors import unit_rows
from lagotto.encoders.background.words import background_words
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.rejection.batch_curve import (
    DEFAULT_BATCH_CURVE,
    LEAST_BATCH,
    BatchCurve,
    fit_batch_curve,
)
from lagotto.zeroshot.rejection.logistic import fit_weights, probability
from lagotto.zeroshot.rejection.store_pictures import StorePictures
from lagotto.zeroshot.rejection.vocabulary import VOCABULARY_RECORD, open_vocabulary

ENCODER = WordEncoder()
NOUNS = background_words()[:40]
STEEP = BatchCurve(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 9.0)


def picture_of(word: str, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=len(word_direction(word)))
    seen = sum(map(word_direction, word.split()))
    return unit_rows(seen + 0.5 * word_direction("picture") + 0.6 * noise)


@pytest.fixture(scope="module")
def store() -> WordStore:
    """Five pictures of each of 40 nouns; two of three captions name it, the third names another."""
    images, texts = [], []
    for number in range(5):
        for place, noun in enumerate(NOUNS):
            images.append(picture_of(noun, 100 * number + len(images)))
            other = NOUNS[(place + 1) % 40]
            texts.append([f"one {noun}", f"a {noun} {number}", f"that beside a {other} {number}"])
    return WordStore(np.stack(images), texts, ENCODER)


def test_a_curve_is_fitted_where_most_captions_name_a_noun(store: WordStore) -> None:
    background = open_vocabulary(ENCODER, None, None, "").background
    pictures = StorePictures.of(store, background, ENCODER.info.logit_scale)
    assert pictures is not None
    nouns = pictures.nouns[:1]
    assert int(pictures.showing(nouns).sum()) == 5
    assert int(pictures.mentioning(nouns).sum()) == 10
    curve = fit_batch_curve(pictures)
    assert curve is not None
    assert curve.lists > 100
    evidence = np.linspace(-5, 20, 12)
    assert (np.diff(curve.log_odds(evidence, 4, evidence)) > 0).all()


def test_a_batch_tells_how_many_pictures_have_no_label() -> None:
    picture = np.array([0.0])
    low, even, high = (
        float(STEEP.log_odds(picture, 2, np.repeat([-6.0, 6.0], counts))[0])
        for counts in ((18, 2), (10, 10), (2, 18))
    )
    assert low < even < high
    assert even == pytest.approx(0.1, abs=0.05)  # what the store's crowded pictures ask for
    assert high < np.log(0.8 / 0.2)  # pulled to one half


def test_a_wide_spread_makes_a_difference_count_for_more() -> None:
    narrow, wide = np.array([4.0, 6.0] * 10), np.array([-4.0, 14.0] * 10)
    slopes = [
        float(np.diff(DEFAULT_BATCH_CURVE.log_odds(np.array([5.0, 6.0]), 4, batch))[0])
        for batch in (narrow, wide)
    ]
    assert 0 < 1.2 * slopes[0] < slopes[1]


def test_few_pictures_are_judged_alone_and_the_last_with_those_before(store: WordStore) -> None:
    classifier = ZeroShotClassifier(ENCODER, NOUNS[:20], store)
    pictures = np.stack([picture_of(noun, 700 + i) for i, noun in enumerate(NOUNS)])

    def none(part: np.ndarray, together: np.ndarray | None = None) -> list[float]:
        return [row.none for row in classifier.predict_embeddings(part, [""] * len(part), together)]

    few = pictures[: LEAST_BATCH - 1]
    assert none(few) == pytest.approx([none(row[None])[0] for row in few])
    every = none(pictures)
    assert max(every[:20]) < 0.5 < min(every[20:])
    assert none(few) != pytest.approx(every[: len(few)])
    before = classifier.asked_together(few, pictures)
    assert before is pictures
    assert none(few, before) == pytest.approx(every[: len(few)], rel=1e-4)
    assert classifier.asked_together(few, None) is few
    assert classifier.asked_together(pictures, few) is pictures


def test_a_damaged_curve_is_made_anew(store: WordStore, tmp_path: Path) -> None:
    made = open_vocabulary(ENCODER, store, tmp_path, "store")
    record = tmp_path / VOCABULARY_RECORD
    written = record.read_text()
    assert open_vocabulary(ENCODER, store, tmp_path, "store").batch_curve == made.batch_curve
    for damage in ('"by_spread":"Infinity"', '"by_distance":1'):
        record.write_text(re.sub('"by_spread":[^,]*', damage, written, count=1))
        again = open_vocabulary(ENCODER, store, tmp_path, "store")
        assert again.batch_curve == made.batch_curve
        assert record.read_text() == written


def test_weights_of_a_regression_are_found_again() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(2, 3, (20_000, 2))
    answers = rng.random(20_000) < probability(0.5 - 0.4 * features[:, 0] + 0.2 * features[:, 1])
    found = fit_weights(features, answers.astype(float), np.ones(20_000), 1e-6)
    assert found == pytest.approx([0.5, -0.4, 0.2], abs=0.05)
