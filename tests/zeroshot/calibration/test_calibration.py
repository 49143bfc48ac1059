"""What a store's captions have earned: fits, the exam, and its file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caption_world import CONCEPTS, DIM, WordEncoder, WordStore, word_direction, word_store
from lagotto.core.vectors import softmax, unit_rows
from lagotto.zeroshot.calibration.calibration import (
    Calibration,
    calibrate,
    read_calibration,
    relative_weight,
    write_calibration,
)
from lagotto.zeroshot.calibration.conditional_logit import ConditionalLogit, fit_conditional_logit
from lagotto.zeroshot.calibration.pseudo_tasks import (
    make_pseudo_tasks,
    others_captions,
    two_fold_split,
    word_prompts,
)
from lagotto.zeroshot.prompts.adaptation import (
    PromptShift,
    direction,
    mean_row,
    name_prompts,
    names,
    picture_rows,
    shift_prompt,
)
from lagotto.zeroshot.retrieval import Retriever

TEMPLATE = "a photo of a {}."


def calibration(store: WordStore, encoder: WordEncoder) -> Calibration:
    found = calibrate(store, Retriever(store), encoder, TEMPLATE)
    assert found is not None
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_fit_finds_the_weights_that_made_the_choices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-1, 2, 2)
    evidence = rng.normal(size=(3000, 5, 2))
    chances = softmax(evidence @ truth)
    right = np.array([rng.choice(5, p=p) for p in chances])
    rows = np.arange(len(right))
    evidence[rows, 0], evidence[rows, right] = (
        evidence[rows, right].copy(),
        evidence[rows, 0].copy(),
    )
    fit = fit_conditional_logit(evidence, rows)
    assert (np.abs(fit.weights - truth) < 5 * fit.errors).all()
    assert (fit.errors < 0.1).all()


def test_repeating_tasks_in_groups_does_not_make_the_fit_surer() -> None:
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(400, 4, 2))
    once = fit_conditional_logit(evidence, np.arange(400))
    thrice = fit_conditional_logit(np.tile(evidence, (3, 1, 1)), np.tile(np.arange(400), 3))
    assert np.allclose(once.weights, thrice.weights, atol=1e-4)
    assert np.allclose(once.errors, thrice.errors, rtol=1e-3)


def test_evidence_without_information_weighs_nothing() -> None:
    fit = fit_conditional_logit(np.zeros((50, 3, 2)), np.arange(50))
    assert (fit.weights == 0).all()


def test_a_weight_is_relative_and_only_what_is_surely_earned() -> None:
    fit = ConditionalLogit(np.array([2.0, 1.0]), np.array([0.1, 0.25]), 0.0)
    assert relative_weight(fit, certain=False) == 0.5
    assert relative_weight(fit, certain=True) == pytest.approx((1 - 1.96 * 0.25) / 2)
    unsure = ConditionalLogit(np.array([2.0, 1.0]), np.array([0.1, 0.6]), 0.0)
    assert relative_weight(unsure, certain=True) == 0
    assert (
        relative_weight(ConditionalLogit(np.array([-1.0, 1.0]), np.zeros(2), 0.0), certain=False)
        == 0
    )


def test_where_the_encoder_is_blind_pictures_of_named_captions_earn_their_place() -> None:
    blind = WordEncoder(blind=CONCEPTS[:15])
    learned = calibration(word_store(blind, each=12), blind)
    assert learned.naming.pictures > 0
    assert learned.accuracy_after > learned.accuracy_before + 0.2
    assert 0 <= learned.prior <= 1


def test_captions_of_other_things_earn_nothing() -> None:
    encoder = WordEncoder(noise=0.3)
    rng = np.random.default_rng(0)
    images, texts = [], []
    for number in range(240):
        images.append(encoder.picture(number % 30, number))
        texts.append([f"{CONCEPTS[i]} so" for i in rng.choice(30, 2, replace=False)])
    learned = calibration(WordStore(np.stack(images), texts, encoder), encoder)
    assert learned.caption_weight == 0


def test_too_few_pictures_tell_nothing() -> None:
    encoder = WordEncoder()
    store = word_store(encoder, each=1)
    assert calibrate(store, Retriever(store), encoder, TEMPLATE) is None
    bare = WordStore(np.empty((0, DIM)), [], encoder, ["one", "two"])
    assert calibrate(bare, Retriever(bare), encoder, TEMPLATE) is None


def test_the_same_store_gives_the_same_calibration() -> None:
    encoder = WordEncoder()
    assert calibration(word_store(encoder), encoder) == calibration(word_store(encoder), encoder)


def test_the_exam_holds_back_a_pictures_own_captions() -> None:
    encoder = WordEncoder()
    store = word_store(encoder, alone=[f"one {name} here 0" for name in CONCEPTS])
    exam = make_pseudo_tasks(store)
    assert exam is not None
    found = others_captions(exam, Retriever(store), 16)
    for i in range(len(exam.pictures)):
        given = set(store.texts(found.indices[i, found.there[i]].tolist()))
        own = set(store.texts(range(int(store.starts[i]), int(store.ends[i]))))
        assert not given & own
        assert given


def test_the_exam_asks_words_of_the_picture_among_others() -> None:
    store = word_store(WordEncoder())
    exam = make_pseudo_tasks(store)
    assert exam is not None
    own = [frozenset[str]().union(*said) for said in exam.uses]
    for picture, options in zip(exam.asked, exam.options, strict=True):
        assert [exam.words[word] in own[picture] for word in options] == [True] + [False] * 19


def test_words_learn_nothing_from_the_half_they_are_tried_on() -> None:
    encoder = WordEncoder()
    exam = make_pseudo_tasks(word_store(encoder))
    assert exam is not None
    prompts = encoder.embed_texts(list(exam.words))
    before = word_prompts(exam, prompts, 0, PromptShift(1.0, 1.0))
    pictures = exam.pictures.copy()
    pictures[two_fold_split(exam) == 0] = 0
    changed = type(exam)(pictures, exam.captions, exam.uses, exam.words, exam.asked, exam.options)
    assert np.array_equal(word_prompts(changed, prompts, 0, PromptShift(1.0, 1.0)), before)
    assert not np.array_equal(word_prompts(changed, prompts, 1, PromptShift(1.0, 1.0)), before)


def test_nearness_rises_from_far_to_usual() -> None:
    learned = Calibration(0.5, PromptShift(1.0, 0.0), 0.2, 0.4, 0.6, 10, 0.1, 0.2)
    reach = np.array([-np.inf, 0.3, 0.4, 0.5, 0.6, 0.9])
    assert np.allclose(learned.nearness(reach), [0, 0, 0, 0.5, 1, 1])


def test_file_round_trip_and_every_reason_to_fit_anew(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    learned = Calibration(0.5, PromptShift(1.0, 0.5), 0.2, 0.4, 0.6, 10, 0.1, 0.2)
    assert read_calibration(file, "this") is None
    write_calibration(file, "this", learned)
    assert read_calibration(file, "this") == learned
    assert read_calibration(file, "other") is None
    whole = file.read_text()
    changes = [("prior", "pior"), ('"tasks":10', '"tasks":"x"'), ('"version":1', '"version":2')]
    for damaged in ("{", "[]", *(whole.replace(*change) for change in changes)):
        assert damaged != whole
        file.write_text(damaged)
        assert read_calibration(file, "this") is None


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("A Tabby Cat.", "tabby cat", True),
        ("two cats", "cat", True),
        ("boxes of it", "box", True),
        ("a catalogue", "cat", False),
        ("cat of a tabby", "tabby cat", False),
        ("a tench in a pond", "tinca, tench", True),
        ("anything", ",", False),
        ("a t-shirt", "t-shirt", True),
        ("der große Hund", "GROSSE hund", True),
    ],
)
def test_names(text: str, phrase: str, expected: bool) -> None:
    assert names(text, phrase) is expected


def test_a_label_that_nobody_names_keeps_its_prompt() -> None:
    encoder = WordEncoder()
    store = word_store(encoder)
    prompts = encoder.embed_texts(["a zebra", f"a {CONCEPTS[3]}"])
    found = name_prompts(prompts, ["zebra", CONCEPTS[3]], store, PromptShift(1.0, 1.0))
    assert found.named[0] == 0
    assert np.allclose(found.embeddings[0], prompts[0], atol=1e-6)
    assert found.named[1] >= 8
    looks = unit_rows(word_direction(CONCEPTS[3]))
    assert found.embeddings[1] @ looks > prompts[1] @ looks


def test_trust_grows_with_the_number_of_captions() -> None:
    mean, prompt = np.zeros(4, np.float32), np.eye(4, dtype=np.float32)[0]
    other = np.eye(4, dtype=np.float32)[1]
    none = direction(np.empty((0, 4), np.float32), mean)
    shift = PromptShift(1.0, 1.0)
    captions = [direction(np.tile(other, (n, 1)), mean) for n in (0, 1, 4, 100)]
    moved = [shift_prompt(prompt, each, none, shift)[1] for each in captions]
    assert moved == sorted(moved)
    assert moved[0] == 0
    assert moved[2] == pytest.approx(0.5 / np.hypot(1, 0.5))


def test_picture_rows_are_those_of_the_captions() -> None:
    store = word_store(WordEncoder(), each=1, alone=["free"])
    found = picture_rows(store, np.array([0, 1, 5, len(store.text_embeddings) - 1], np.int64))
    assert found.tolist() == [0, 2]


def test_mean_row_of_many_is_that_of_an_even_sample() -> None:
    rows = np.arange(50_000, dtype=np.float32)[:, None]
    assert mean_row(rows)[0] == pytest.approx(rows[::2].mean())
    assert mean_row(rows[:0]).tolist() == [0]
