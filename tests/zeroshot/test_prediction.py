"""Predictions as values, and the kinds of pictures that a classifier takes."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caption_world import CONCEPTS, WordEncoder, write_picture
from lagotto.core.errors import PictureError, UsageError
from lagotto.core.types import Skipped
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.types import ModelVote, Prediction, RetrievedCaption

NASTY = "<script>alert('&')</script>\"'"


def prediction(**fields: object) -> Prediction:
    made = Prediction(
        path="a.jpg",
        probabilities=np.array([0.2, 0.5, 0.3]),
        image_only=np.array([0.4, 0.5, 0.1]),
        weights=(0.8, 0.2),
        captions=(RetrievedCaption(3, NASTY, 0.31),),
        votes=(ModelVote("m", np.array([0.1, 0.0, np.nan]), 0.9, 0.5),),
        labels=("cat", NASTY, "dog"),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def test_a_prediction_has_a_label_and_the_most_probable_ones() -> None:
    made = prediction()
    assert made.label == NASTY
    assert made.top(2) == ((NASTY, 0.5), ("dog", 0.3))
    assert len(made.top()) == 3
    with pytest.raises(UsageError, match="give 1 or more"):
        made.top(0)
    with pytest.raises(UsageError, match="3 probabilities and 0 label names"):
        _ = prediction(labels=()).label


def test_predictions_compare_and_hash_by_value() -> None:
    made = prediction()
    assert made == prediction()
    assert hash(made) == hash(prediction())
    assert {made, prediction()} == {made}
    assert pickle.loads(pickle.dumps(made)) == made
    others = (
        prediction(path="b.jpg"),
        prediction(probabilities=np.array([0.2, 0.5, 0.31])),
        prediction(probabilities=np.array([0.2, 0.5, 0.3], np.float64)[::-1]),
        prediction(votes=()),
        prediction(votes=(ModelVote("m", np.array([0.1, 0.0, 0.0]), 0.9, 0.5),)),
    )
    assert all(made != other for other in others)
    assert made != "a.jpg"
    zero, minus = (ModelVote("m", np.array([sign * 0.0]), 1.0, 1.0) for sign in (1, -1))
    assert zero == minus
    assert hash(zero) == hash(minus)


def test_a_prediction_in_a_notebook_is_escaped_and_shows_its_picture(tmp_path: Path) -> None:
    page = prediction(path=NASTY, declined=NASTY)._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script") == 4  # the path, a label, the reason, a caption
    assert "<img" not in page
    shown = prediction(path=str(write_picture(tmp_path / "a.png", 1)))._repr_html_()
    assert shown.count('src="data:image/jpeg;base64,') == 1


@pytest.fixture
def classifier() -> ZeroShotClassifier:
    return ZeroShotClassifier(WordEncoder(), CONCEPTS)


def pixels_of(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def test_paths_pictures_and_arrays_are_predicted_alike(
    classifier: ZeroShotClassifier, tmp_path: Path
) -> None:
    files = [write_picture(tmp_path / f"{concept}.png", concept) for concept in (4, 9, 2)]
    arrays = [pixels_of(file) for file in files]

    def generated() -> Iterator[Image.Image]:
        for array in arrays:
            yield Image.fromarray(array)

    expected = [row.probabilities for row in classifier.predict(files)]  # type: ignore[union-attr]
    assert [int(row.argmax()) for row in expected] == [4, 9, 2]
    many = (
        [str(file) for file in files],
        tuple(files),
        arrays,
        np.stack(arrays),
        generated(),
        [files[0], arrays[1], Image.fromarray(arrays[2])],
        [np.stack(arrays[:2]), files[2]],
    )
    for given in many:
        found = classifier.predict_proba(given)
        assert found.shape == (3, len(CONCEPTS))
        np.testing.assert_array_equal(found, expected)
    for one in (files[0], str(files[0]), arrays[0], Image.fromarray(arrays[0])):
        np.testing.assert_allclose(classifier.predict_proba(one), expected[:1], atol=1e-6)
    named = [row.path for row in classifier.predict([np.stack(arrays[:2]), files[2]])]  # type: ignore[union-attr]
    assert named == ["picture 0", "picture 1", str(files[2])]
    (row,) = classifier.predict(files[0])
    assert isinstance(row, Prediction)
    assert (row.label, row.labels) == (CONCEPTS[4], CONCEPTS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "YCbCr"])
def test_a_picture_in_memory_is_seen_as_its_file_is(mode: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (12, 9, 3), np.uint8)).convert(mode)
    kind = "TIFF" if mode in ("CMYK", "I", "F", "YCbCr") else "PNG"
    picture.save(tmp_path / "a", format=kind)
    seen: list[np.ndarray] = []

    class Seeing(WordEncoder):
        def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
            seen.append(pixels)
            return super().embed_pixels(pixels)

    classifier = ZeroShotClassifier(Seeing(), CONCEPTS)
    with Image.open(tmp_path / "a") as opened:
        list(classifier.predict([tmp_path / "a", opened]))
    (pixels,) = seen
    np.testing.assert_array_equal(pixels[0], pixels[1])


def test_a_turned_picture_in_memory_is_turned_back(tmp_path: Path) -> None:
    array = pixels_of(write_picture(tmp_path / "a.png", 4))
    exif = Image.Exif()
    exif[274] = 3  # upside down
    Image.fromarray(array[::-1, ::-1]).save(tmp_path / "turned.png", exif=exif)
    classifier = ZeroShotClassifier(WordEncoder(), CONCEPTS)
    with Image.open(tmp_path / "turned.png") as opened:
        found = classifier.predict_proba([opened, tmp_path / "turned.png", array])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_grey_arrays_are_pictures(classifier: ZeroShotClassifier) -> None:
    grey = np.full((8, 8), 3, np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=2)
    found = classifier.predict_proba([grey, colour])
    np.testing.assert_array_equal(found[0], found[1])


def test_what_cannot_be_read_is_named(classifier: ZeroShotClassifier, tmp_path: Path) -> None:
    good, bad = write_picture(tmp_path / "good.png", 4), tmp_path / "bad.png"
    bad.write_text("no picture")
    rows = list(classifier.predict([good, bad, np.zeros((4, 4, 3), np.uint8), good]))
    assert [isinstance(row, Skipped) for row in rows] == [False, True, True, False]
    assert [row.source for row in rows if isinstance(row, Skipped)] == [str(bad), "picture 2"]
    with pytest.raises(PictureError, match=r"cannot read .*bad\.png: .*call predict\(\)"):
        classifier.predict_proba([good, bad])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8,), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((2, 8, 8, 1), np.uint8),
    ],
    ids=str,
)
def test_arrays_that_are_no_pictures_are_refused(
    classifier: ZeroShotClassifier, array: np.ndarray
) -> None:
    with pytest.raises(UsageError, match="uint8 arrays of shape") as caught:
        list(classifier.predict(array))
    assert str(array.shape) in str(caught.value)
    with pytest.raises(UsageError, match="no pictures given"):
        list(classifier.predict(np.zeros((0, 8, 8, 3), np.uint8)))


def test_labels_are_a_list_a_generator_a_comma_list_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("cat\ndog\n")
    for given in (
        ["cat", "dog"],
        iter(["cat", "dog"]),
        {"dog", "cat"},
        "cat, dog",
        file,
        str(file),
    ):
        made = ZeroShotClassifier(WordEncoder(), given)
        assert [label.name for label in made.labels] == ["cat", "dog"]
