"""Accuracy by mode and K: against values computed by hand, and with unreadable pictures."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import labelled_makers as make
from caption_makers import FakeEncoder
from colour_world import NAMES
from lagotto.core.errors import UsageError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.evaluation.classification.classification import (
    Evaluation,
    evaluate,
    score,
)
from lagotto.evaluation.classification.dataset import LabelledSet, open_labelled
from lagotto.evaluation.classification.sweep import (
    IMAGE_ONLY,
    CaptionEncodingCache,
    Setting,
    truth_ranks,
)
from lagotto.evaluation.report import Method, results, write_results
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.retrieval import Retrieval

WORDS = tuple(f"word{number:02d}" for number in range(40))


@dataclass(frozen=True)
class Arrays:
    """Captions in memory."""

    image_embeddings: np.ndarray
    text_embeddings: np.ndarray
    said: tuple[str, ...]

    @property
    def starts(self) -> np.ndarray:
        return np.arange(0, len(self.said) + 1, 2)

    @property
    def ends(self) -> np.ndarray:
        return self.starts[1:]

    def texts(self, indices: list[int]) -> list[str]:
        return [self.said[index] for index in indices]


@pytest.fixture(scope="module")
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture(scope="module")
def captions(encoder: FakeEncoder) -> Arrays:
    """80 pictures with two captions each, of words that enough of them use to calibrate on."""
    rng = np.random.default_rng(0)
    said = tuple(" ".join(rng.choice(WORDS, 3, replace=False)) for _ in range(160))
    rows = rng.normal(size=(80, encoder.dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Arrays(rows.astype(np.float16), encoder.embed_texts(said).astype(np.float16), said)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    """Nine pictures of three colours, two of the files damaged."""
    folder = make.write_folder(tmp_path_factory.mktemp("data") / "colours", each=3)
    (folder / "blue" / "01.png").write_bytes(make.broken("PNG"))
    (folder / "green" / "00.png").unlink()
    (folder / "green" / "00.png").write_text("no picture")
    return open_labelled([folder])


def test_metrics_by_hand() -> None:
    truth = np.array([0, 0, 0, 1])
    alone = np.array([2, 2, 1, 1], np.int32)
    ranks = np.array([1, 2, 6, 1], np.int32)
    found = score(Setting("paper", 4), ranks, alone, truth)
    assert found.acc1.value == 0.5
    assert found.acc5.value == 0.75
    assert found.mean_per_class_recall.value == pytest.approx((1 / 3 + 1) / 2)
    assert found.gain.value == 0.0
    assert found.gain.low < 0 < found.gain.high
    assert found.recalls == pytest.approx([1 / 3, 1])
    unreadable = score(Setting("paper", 4), np.array([0, 0, 1, 1], np.int32), alone, truth)
    assert (unreadable.acc1.value, unreadable.acc5.value) == (0.5, 0.5)
    gap = score(IMAGE_ONLY, np.array([1, 1], np.int32), np.array([1, 1], np.int32), truth[2:] * 2)
    assert np.isnan(gap.recalls[1])
    assert gap.mean_per_class_recall.value == 1.0


def test_the_place_of_the_right_label() -> None:
    votes = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2]])
    assert truth_ranks(votes, np.array([0, 0, 0, 1])).tolist() == [1, 3, 1, 2]


@given(
    arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(2, 9)), elements=st.floats(0, 1)),
    st.integers(0, 8),
)
def test_a_rank_of_one_is_the_prediction_and_ranks_are_a_full_sort(
    votes: np.ndarray, label: int
) -> None:
    truth = np.full(len(votes), label % votes.shape[1])
    ranks = truth_ranks(votes, truth)
    assert ((ranks == 1) == (votes.argmax(axis=1) == truth)).all()
    order = np.argsort(-votes, axis=1, kind="stable")
    assert ranks.tolist() == [1 + row.tolist().index(truth[0]) for row in order]


def test_one_pass_gives_what_a_run_of_each_setting_gives(
    encoder: FakeEncoder, captions: Arrays, tmp_path: Path
) -> None:
    data = open_labelled([make.write_folder(tmp_path / "colours", NAMES, each=4)])
    settings = [
        Setting(mode, k)
        for mode in ("guarded", "paper", "paper-code", "captions-only")
        for k in (2, 16, 5)
    ]
    base = ZeroShotClassifier(encoder, data.labels, captions, mode="image-only")
    found = evaluate(base, data, settings)
    spec, pictures = encoder.info.pixels, list(data.pictures())
    pixels = np.stack([to_pixels(decode_picture(each.read()), spec) for each in pictures])
    truth = np.array([each.truth for each in pictures])
    assert [scores.setting for scores in found.scores] == [IMAGE_ONLY, *settings]
    assert len({tuple(row) for row in found.ranks.tolist()}) > 4, "the settings do not differ"
    embeddings = encoder.embed_pixels(pixels)
    for row, scores in enumerate(found.scores):
        mode, k = scores.setting.mode, max(1, scores.setting.k)
        alone = ZeroShotClassifier(encoder, data.labels, captions, mode=mode, k=k)
        said = list(alone.predict_embeddings(embeddings, [""] * len(embeddings)))
        votes = np.stack([each.probabilities for each in said])
        assert found.ranks[row].tolist() == truth_ranks(votes, truth).tolist()
        assert scores.declined == sum(bool(each.declined) for each in said)


def test_pictures_are_embedded_once_and_each_caption_once(
    captions: Arrays, data: LabelledSet
) -> None:
    encoder = FakeEncoder()
    base = ZeroShotClassifier(encoder, data.labels, captions, mode="image-only")
    encoder.pictures = 0
    encoder.texts.clear()
    settings = [Setting(mode, k) for mode in ("paper", "paper-code") for k in (2, 4, 8, 16)]
    evaluate(base, data, settings)
    assert encoder.pictures == len(data) - 2
    assert len(encoder.texts) == len(set(encoder.texts)) <= len(captions.said)


def test_what_is_kept_of_encoded_captions_is_bounded() -> None:
    encoded: list[int] = []

    def encode(found: Retrieval) -> np.ndarray:
        encoded.extend(found.indices[found.present].tolist())
        return found.indices[:, :, None] * np.ones(4, np.float32)

    def asked(*indices: int) -> Retrieval:
        shape = (1, len(indices))
        zeros = np.zeros(shape, np.float32)
        return Retrieval(np.array([indices]), zeros, np.zeros((*shape, 4), np.float32), np.zeros(1))

    kept = CaptionEncodingCache(encode, dim=4, cache_bytes=3 * 16)
    assert kept(asked(7, 5, 7, -1))[0, :, 0].tolist() == [7, 5, 7, 0]
    assert kept(asked(5, 7)).tolist() == [[[5] * 4, [7] * 4]]
    assert sorted(encoded) == [5, 7]
    kept(asked(1, 2))
    kept(asked(5, 1))
    assert sorted(encoded[2:]) == [1, 2, 5]
    assert kept(asked(9, 8, 7, 6, 5))[0, :, 0].tolist() == [9, 8, 7, 6, 5], "more than is kept"


def test_unreadable_pictures_are_wrong_in_every_setting_and_named(
    encoder: FakeEncoder, captions: Arrays, data: LabelledSet
) -> None:
    base = ZeroShotClassifier(encoder, data.labels, captions, mode="image-only")
    found = evaluate(base, data, [Setting("paper", 4)])
    assert (found.unreadable, found.ranks.shape) == (2, (2, 9))
    assert ((found.ranks == 0).sum(axis=1) == 2).all()
    assert [each.source for each in found.skipped] == ["blue/01.png", "green/00.png"]
    assert all(each.reason for each in found.skipped)
    for row, scores in enumerate(found.scores):
        assert scores.acc1.value == (found.ranks[row] == 1).sum() / 9
    assert found.image_only.acc5.value == pytest.approx(7 / 9)


def test_the_digest_tells_data_apart(
    encoder: FakeEncoder, data: LabelledSet, tmp_path: Path
) -> None:
    def digest(known: LabelledSet) -> str:
        return evaluate(ZeroShotClassifier(encoder, known.labels), known, []).data_digest

    same = make.write_folder(tmp_path / "same", each=3)
    first = digest(open_labelled([same]))
    assert digest(open_labelled([same])) == first
    assert digest(data) != first
    swapped = make.write_folder(tmp_path / "swapped", each=3)
    file = swapped / "blue" / "02.png"
    file.rename(swapped / "green" / "0.png")  # the same bytes in the same order
    assert digest(open_labelled([swapped])) != first


def test_labels_must_be_those_of_the_data(encoder: FakeEncoder, data: LabelledSet) -> None:
    with pytest.raises(UsageError, match=r"data\.labels"):
        evaluate(ZeroShotClassifier(encoder, ["a", "b"]), data, [])


@pytest.fixture(scope="module")
def found(encoder: FakeEncoder, captions: Arrays, data: LabelledSet) -> Evaluation:
    base = ZeroShotClassifier(encoder, data.labels, captions, mode="image-only")
    return evaluate(base, data, [Setting("paper", 4), Setting("guarded", 4)], seed=3)


def test_results_have_the_keys_of_clip_benchmark_and_ours(
    found: Evaluation, encoder: FakeEncoder
) -> None:
    made = results(found, Method(encoder.info, ("a photo of a {}.",)))
    assert list(made) == [
        "dataset", "model", "pretrained", "task", "metrics", "language",
        "method", "rows", "per_class", "set_aside", "source_count", "notes",
    ]  # fmt: skip
    assert (made["dataset"], made["model"], made["language"]) == ("colours", "fake", "en")
    assert made["task"] == "zeroshot_classification"
    assert list(made["metrics"]) == ["acc1", "acc5", "mean_per_class_recall"]
    assert list(made["method"]) == [
        "mode", "k", "ci95", "difference_to_image_only", "declined", "templates", "seed", "samples",
        "unreadable", "unreadable_count_as", "interval", "store", "data_digest", "versions",
    ]  # fmt: skip
    assert (made["method"]["mode"], made["method"]["k"]) == ("paper", 4)
    assert (made["method"]["samples"], made["method"]["unreadable"]) == (9, 2)
    assert [(row["mode"], row["k"]) for row in made["rows"]] == [
        ("image-only", 0),
        ("paper", 4),
        ("guarded", 4),
    ]
    assert made["rows"][1]["metrics"] == made["metrics"]
    assert [row["samples"] for row in made["per_class"]] == [3, 3, 3]
    recalls = [row["recall"] for row in made["per_class"]]
    assert np.mean(recalls) == pytest.approx(made["metrics"]["mean_per_class_recall"], abs=1e-5)
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_a_results_file_is_never_overwritten(
    found: Evaluation, encoder: FakeEncoder, tmp_path: Path
) -> None:
    made = results(found, Method(encoder.info, ("{}",)))
    path = tmp_path / "results.json"
    write_results(path, made)
    before = path.read_bytes()
    assert json.loads(before) == made
    with pytest.raises(UsageError, match=r"results.json exists already.*another name"):
        write_results(path, made)
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="no folder"):
        write_results(tmp_path / "none" / "a.json", made)


def test_the_same_run_gives_the_same_bytes(
    encoder: FakeEncoder, captions: Arrays, data: LabelledSet, found: Evaluation
) -> None:
    base = ZeroShotClassifier(encoder, data.labels, captions, mode="image-only")
    again = evaluate(base, data, [Setting("paper", 4), Setting("guarded", 4)], seed=3)
    method = Method(encoder.info, ("{}",))
    assert json.dumps(results(again, method)) == json.dumps(results(found, method))
