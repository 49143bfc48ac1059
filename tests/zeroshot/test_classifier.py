"""The classifier from end to end, in memory and on the shared assets."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lagotto
from caption_world import CONCEPTS, DIM, WordEncoder, WordStore, word_store, write_picture
from lagotto.core.errors import UsageError
from lagotto.core.types import Skipped
from lagotto.zeroshot.arguments import MODES
from lagotto.zeroshot.classifier import (
    PICTURE_BATCH_SIZE,
    ZeroShotClassifier,
)
from lagotto.zeroshot.images import find_picture_files
from lagotto.zeroshot.predictor import LEAST_TEXTS
from lagotto.zeroshot.types import (
    Captions,
    Mode,
    Prediction,
)

ENCODER = WordEncoder()
BLIND = WordEncoder(blind=CONCEPTS[:10])
PURE: tuple[Mode, ...] = ("guarded", "paper", "image-only", "captions-only")


@pytest.fixture(scope="module")
def store() -> WordStore:
    return word_store(ENCODER)


def queries(encoder: WordEncoder = ENCODER, each: int = 3) -> tuple[np.ndarray, np.ndarray]:
    truth = np.repeat(np.arange(len(CONCEPTS)), each)
    return np.stack([encoder.picture(c, 200 + i) for i, c in enumerate(truth)]), truth


def accuracy(classifier: ZeroShotClassifier, pictures: np.ndarray, truth: np.ndarray) -> float:
    rows = list(classifier.predict_embeddings(pictures, [""] * len(pictures)))
    return float(
        np.mean([row.probabilities.argmax() == t for row, t in zip(rows, truth, strict=True)])
    )


def test_public_names() -> None:
    assert issubclass(lagotto.Classifier, ZeroShotClassifier)
    assert lagotto.CaptionStore.__name__ == "CaptionStore"


def test_the_fake_is_a_store(store: WordStore) -> None:
    assert isinstance(store, Captions)


@pytest.mark.parametrize("mode", PURE)
def test_a_prediction_depends_on_its_picture_alone(store: WordStore, mode: Mode) -> None:
    classifier = ZeroShotClassifier(ENCODER, CONCEPTS, store, mode=mode)
    pictures, _ = queries()
    names = [str(i) for i in range(len(pictures))]
    expected = list(classifier.predict_embeddings(pictures, names))
    order = np.random.default_rng(0).permutation(len(pictures))
    for position, row in zip(
        order, classifier.predict_embeddings(pictures[order], names), strict=True
    ):
        assert np.allclose(row.probabilities, expected[position].probabilities, atol=1e-6)
        assert [c.index for c in row.captions] == [c.index for c in expected[position].captions]
        assert row.declined == expected[position].declined
        assert sum(row.probabilities) == pytest.approx(1)
        assert sum(row.weights) == pytest.approx(1)


def test_paper_code_depends_on_order_and_encodes_the_prefix(store: WordStore) -> None:
    pictures, _ = queries(each=1)
    names = [""] * len(pictures)
    results = []
    for order in (slice(None), slice(None, None, -1)):
        encoder = WordEncoder()
        classifier = ZeroShotClassifier(encoder, CONCEPTS, store, mode="paper-code")
        before = encoder.texts_embedded
        rows = list(classifier.predict_embeddings(pictures[order], names))
        assert encoder.texts_embedded == before + 16 * len(pictures)
        results.append(np.stack([row.probabilities for row in rows])[order])
    assert not np.allclose(results[0], results[1])


def test_captions_are_never_encoded_at_query_time(store: WordStore) -> None:
    encoder = WordEncoder()
    for mode in PURE:
        classifier = ZeroShotClassifier(encoder, CONCEPTS, store, mode=mode)
        before = encoder.texts_embedded
        list(classifier.predict_embeddings(queries()[0], [""] * 90))
        assert encoder.texts_embedded == before


def test_guarded_learns_concepts_that_only_the_captions_name() -> None:
    pictures, truth = queries(BLIND)
    scores = {
        mode: accuracy(
            ZeroShotClassifier(BLIND, CONCEPTS, word_store(BLIND), mode=mode), pictures, truth
        )
        for mode in ("image-only", "guarded")
    }
    assert scores["guarded"] > scores["image-only"] + 0.2


def test_a_picture_far_from_the_store_declines_and_says_so(store: WordStore) -> None:
    classifier = ZeroShotClassifier(ENCODER, CONCEPTS, store)
    distant = np.zeros((1, DIM), np.float32)
    distant[0] = -store.image_embeddings.astype(np.float32).mean(axis=0)
    distant /= np.linalg.norm(distant)
    (row,) = classifier.predict_embeddings(distant, ["far"])
    assert "no captions near enough" in row.declined
    assert row.weights == (1.0, 0.0)


@pytest.mark.parametrize("mode", ["guarded", "paper", "captions-only", "paper-code"])
def test_an_empty_store_leaves_the_image(mode: Mode) -> None:
    empty = WordStore(np.empty((0, DIM)), [], ENCODER)
    classifier = ZeroShotClassifier(ENCODER, CONCEPTS, empty, mode=mode)
    for row in classifier.predict_embeddings(queries(each=1)[0], [""] * 30):
        assert np.array_equal(row.probabilities, row.image_only)
        assert row.declined
        assert row.captions == ()


def test_without_captions_the_image_alone() -> None:
    classifier = ZeroShotClassifier(ENCODER, CONCEPTS)
    assert classifier.mode == "image-only"
    (row,) = classifier.predict_embeddings(ENCODER.picture(3, 1)[None], ["x"])
    assert np.array_equal(row.probabilities, row.image_only)
    assert (row.declined, row.weights) == ("", (1.0, 0.0))


def test_files_stream_and_bad_ones_get_rows(tmp_path: Path, store: WordStore) -> None:
    requested = 0

    def files() -> Iterator[Path]:
        nonlocal requested
        for i in range(3 * PICTURE_BATCH_SIZE):
            requested += 1
            yield bad if i % 50 == 7 else good

    good, bad = write_picture(tmp_path / "good.png", 4), tmp_path / "bad.png"
    bad.write_text("no picture")
    rows = ZeroShotClassifier(ENCODER, CONCEPTS, store).predict(files())
    first = [next(rows) for _ in range(10)]
    assert (
        PICTURE_BATCH_SIZE <= requested <= 2 * PICTURE_BATCH_SIZE
    )  # those that are read, and one batch ahead
    assert isinstance(first[7], Skipped)
    assert first[7].source == str(bad)
    assert isinstance(first[6], Prediction)
    assert first[6].probabilities.argmax() == 4
    assert len(first) + len(list(rows)) == 3 * PICTURE_BATCH_SIZE


def test_picture_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    files_made = [write_picture(tmp_path / name, 1) for name in ("b.png", "sub/a.png")]
    write_picture(tmp_path / ".hidden" / "c.png", 1)
    (tmp_path / "note.txt").write_text("x")
    empty = tmp_path / "empty"
    empty.mkdir()
    found = find_picture_files([tmp_path])
    assert list(found.files) == files_made
    assert str(found.count(1)) == (
        "4 seen: 1 taken, 1 skipped, 2 passed over (1 .txt, 1 in a hidden folder)"
    )
    with pytest.raises(UsageError, match="no pictures in"):
        find_picture_files([empty])
    with pytest.raises(UsageError, match="no such file"):
        find_picture_files([tmp_path / "nothere"])


def test_refusals(store: WordStore) -> None:
    with pytest.raises(UsageError, match="Did you mean 'guarded'"):
        ZeroShotClassifier(ENCODER, CONCEPTS, store, mode="guard")
    for mode in MODES:
        if mode != "image-only":
            with pytest.raises(UsageError, match="needs captions"):
                ZeroShotClassifier(ENCODER, CONCEPTS, mode=mode)
    with pytest.raises(UsageError, match="k is 0"):
        ZeroShotClassifier(ENCODER, CONCEPTS, store, k=0)


def test_a_small_store_is_not_trusted_and_a_note_says_so() -> None:
    classifier = ZeroShotClassifier(ENCODER, CONCEPTS, word_store(ENCODER, each=1))
    assert classifier.calibration is None
    assert any("too few" in note for note in classifier.notes)


def test_a_store_of_many_texts_moves_the_prompts_and_one_of_few_is_not_asked() -> None:
    def asked(texts: int) -> tuple[Prediction, str]:
        said = [f"one {CONCEPTS[i % 30]} who looks {i}" for i in range(texts)]
        store = WordStore(np.empty((0, DIM)), [], ENCODER, said)
        classifier = ZeroShotClassifier(ENCODER, CONCEPTS, store)
        assert classifier.calibration is None
        (row,) = classifier.predict_embeddings(ENCODER.picture(3, 1)[None], ["x"])
        return row, "\n".join(classifier.notes)

    few, note = asked(LEAST_TEXTS - 1)
    assert "too few captioned pictures" in note
    assert few.declined
    assert np.array_equal(few.probabilities, few.image_only)
    many, note = asked(LEAST_TEXTS)
    assert "30 of 30 labels are named in captions of the store" in note.splitlines()
    assert not many.declined
    assert many.weights == (1.0, 0.0)
    assert many.probabilities.argmax() == 3
    assert not np.array_equal(many.probabilities, many.image_only)
    assert len(many.captions) == 16


@pytest.mark.real
def test_on_real_photos_the_store_does_not_mislead(assets: Path, tmp_path: Path) -> None:
    """200 cats and dogs beside a store of 239 photos: the guarded rule is not under image-only."""
    encoder = lagotto.load_encoder(str(assets / "encoder" / "photo-lit"))
    store = lagotto.CaptionStore.create(
        tmp_path / "store", [assets / "photos" / "coco" / "captions.jsonl"], encoder
    )
    folder = assets / "photos" / "cats-dogs"
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    classifier = ZeroShotClassifier(encoder, ["cat", "dog"], store)
    right = {"image": 0, "guarded": 0}
    for row, prediction in zip(
        rows, classifier.predict(folder / r["image"] for r in rows), strict=True
    ):
        assert isinstance(prediction, Prediction)
        right["guarded"] += ["cat", "dog"][int(prediction.probabilities.argmax())] == row["label"]
        right["image"] += ["cat", "dog"][int(prediction.image_only.argmax())] == row["label"]
    assert right["image"] == 184
    assert right["guarded"] >= right["image"]
    reopened = ZeroShotClassifier(encoder, ["cat", "dog"], tmp_path / "store")
    assert reopened.calibration == classifier.calibration
    assert (tmp_path / "store" / "calibration.json").is_file()
