"""The calibration of a store: the fit, the pseudo tasks, and the file."""

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
from lagotto.zeroshot.calibration.conditional_logit import (
    _hessian_and_gradient,
    _loss,
    fit_conditional_logit,
)
from lagotto.zeroshot.calibration.pseudo_tasks import (
    make_pseudo_tasks,
    shift_word_prompts,
    two_fold_split,
)
from lagotto.zeroshot.prompts.adaptation import (
    PromptShift,
    direction,
    mean_row,
    names,
    naming_captions,
    picture_rows,
    shift_prompt,
    shift_prompts,
)
from lagotto.zeroshot.retrieval import Retriever

TEMPLATE = "a photo of a {}."


def calibration(store: WordStore, encoder: WordEncoder) -> Calibration:
    result = calibrate(store, Retriever(store), encoder, TEMPLATE)
    assert result is not None
    return result


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_fit_finds_the_weights_that_made_the_choices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-1, 2, 2)
    features = rng.normal(size=(3000, 5, 2))
    chances = softmax(features @ truth)
    right = np.array([rng.choice(5, p=p) for p in chances])
    rows = np.arange(len(right))
    features[rows, 0], features[rows, right] = (
        features[rows, right].copy(),
        features[rows, 0].copy(),
    )
    assert np.allclose(fit_conditional_logit(features).weights, truth, atol=0.25)


def test_gradient_and_hessian_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(3)
    features, weights = rng.normal(1, 2, (30, 4, 3)), np.array([0.7, -0.4, 0.2])
    hessian, gradient = _hessian_and_gradient(features, weights)
    steps = 1e-5 * np.eye(3)
    slopes = [_loss(features, weights + h) - _loss(features, weights - h) for h in steps]
    assert np.allclose(np.array(slopes) / 2e-5, gradient, atol=1e-7)
    bends = [
        _hessian_and_gradient(features, weights + h)[1]
        - _hessian_and_gradient(features, weights - h)[1]
        for h in steps
    ]
    assert np.allclose(np.stack(bends) / 2e-5, hessian, atol=2e-6)  # its ridge is 1e-6


def test_the_fit_ends_where_the_loss_has_no_slope() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(0.3, 1, (200, 4, 2)) * [1.0, 50.0]
    fit = fit_conditional_logit(features)
    assert fit.loss == pytest.approx(_loss(features, fit.weights))
    for step in np.diag(1e-4 * np.abs(fit.weights)):
        higher = [_loss(features, fit.weights + sign * step) for sign in (-1, 1)]
        assert min(higher) > fit.loss - 1e-12
        assert higher[0] - fit.loss == pytest.approx(higher[1] - fit.loss, rel=0.05)


def test_evidence_without_information_weighs_nothing() -> None:
    fit = fit_conditional_logit(np.zeros((50, 3, 2)))
    assert (fit.weights == 0).all()


def test_a_weight_is_relative_and_within_bounds() -> None:
    assert relative_weight(np.array([2.0, 1.0])) == 0.5
    assert relative_weight(np.array([2.0, -1.0])) == 0
    assert relative_weight(np.array([2.0, 5.0])) == 1
    assert relative_weight(np.array([-1.0, 1.0])) == 0


def test_where_the_encoder_is_blind_pictures_of_named_captions_earn_their_place() -> None:
    blind = WordEncoder(blind=CONCEPTS[:15])
    fitted = calibration(word_store(blind, each=12), blind)
    assert fitted.prompt_shift.pictures > 0
    assert fitted.accuracy_after > fitted.accuracy_before + 0.2
    assert 0 <= fitted.prior <= 1


def test_too_few_pictures_tell_nothing() -> None:
    encoder = WordEncoder()
    store = word_store(encoder, each=1)
    assert calibrate(store, Retriever(store), encoder, TEMPLATE) is None
    bare = WordStore(np.empty((0, DIM)), [], encoder, ["one", "two"])
    assert calibrate(bare, Retriever(bare), encoder, TEMPLATE) is None


def test_the_same_store_gives_the_same_calibration() -> None:
    encoder = WordEncoder()
    assert calibration(word_store(encoder), encoder) == calibration(word_store(encoder), encoder)


def test_only_the_right_option_is_a_word_of_the_picture() -> None:
    store = word_store(WordEncoder())
    tasks = make_pseudo_tasks(store)
    assert tasks is not None
    own_words = [frozenset[str]().union(*words_used) for words_used in tasks.caption_words]
    for picture, options in zip(tasks.pictures_of_tasks, tasks.options, strict=True):
        assert [tasks.words[word] in own_words[picture] for word in options] == [True] + [
            False
        ] * 19


def test_prompts_learn_nothing_from_the_fold_they_are_tried_on() -> None:

    encoder = WordEncoder()
    tasks = make_pseudo_tasks(word_store(encoder))
    assert tasks is not None
    prompts = encoder.embed_texts(list(tasks.words))
    before = shift_word_prompts(tasks, prompts, 0, PromptShift(1.0, 1.0))
    pictures = tasks.pictures.copy()
    pictures[two_fold_split(tasks) == 0] = 0
    changed = type(tasks)(
        pictures,
        tasks.captions,
        tasks.caption_words,
        tasks.words,
        tasks.pictures_of_tasks,
        tasks.options,
    )
    assert np.array_equal(shift_word_prompts(changed, prompts, 0, PromptShift(1.0, 1.0)), before)
    assert not np.array_equal(
        shift_word_prompts(changed, prompts, 1, PromptShift(1.0, 1.0)), before
    )


def test_the_gate_opens_from_low_to_high() -> None:
    fitted = Calibration(0.5, PromptShift(1.0, 0.0), 0.4, 0.6, 10, 0.1, 0.2)
    similarity = np.array([-np.inf, 0.3, 0.4, 0.5, 0.6, 0.9])
    assert np.allclose(fitted.gate(similarity), [0, 0, 0, 0.5, 1, 1])


def test_file_round_trip_and_every_reason_to_fit_anew(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    fitted = Calibration(0.5, PromptShift(1.0, 0.5), 0.4, 0.6, 10, 0.1, 0.2)
    assert read_calibration(file, "this") is None
    write_calibration(file, "this", fitted)
    assert read_calibration(file, "this") == fitted
    assert read_calibration(file, "other") is None
    content = file.read_text()
    changes = [("prior", "pior"), ('"tasks":10', '"tasks":"x"'), ('"version":2', '"version":1')]
    for damaged in ("{", "[]", *(content.replace(*change) for change in changes)):
        assert damaged != content
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
    naming = naming_captions(prompts, ["zebra", CONCEPTS[3]], store)
    result = shift_prompts(prompts, naming, store, PromptShift(1.0, 1.0))
    assert len(naming[0]) == 0
    assert np.allclose(result[0], prompts[0], atol=1e-6)
    assert len(naming[1]) >= 8
    picture_direction = unit_rows(word_direction(CONCEPTS[3]))
    assert result[1] @ picture_direction > prompts[1] @ picture_direction


def test_the_shift_grows_with_the_number_of_captions() -> None:
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
    result = picture_rows(store, np.array([0, 1, 5, len(store.text_embeddings) - 1], np.int64))
    assert result.tolist() == [0, 2]


def test_mean_row_of_many_is_that_of_an_even_sample() -> None:
    rows = np.arange(50_000, dtype=np.float32)[:, None]
    assert mean_row(rows)[0] == pytest.approx(rows[::2].mean())
    assert mean_row(rows[:0]).tolist() == [0]
