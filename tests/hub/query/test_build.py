"""Texts, pictures and logits as query vectors, with an encoder that is plain arithmetic."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lagotto.core.errors import UsageError
from lagotto.core.types import EncoderInfo, PixelSpec, Query
from lagotto.encoders.base import Encoder
from lagotto.hub.query.build import (
    image_vector,
    logit_vector,
    text_vector,
)
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.query.types import (
    ImageQuery,
    LogitQuery,
    TextQuery,
)
from lagotto.hub.query.vectors import standardize_query
from lagotto.hub.store.responses import check_logit


class ArithmeticEncoder:
    """Embeds a text by its letters r, g, b and a picture by its mean colour."""

    def __init__(self) -> None:
        pixels = PixelSpec(4, 4, resize="stretch")
        self.info = EncoderInfo("arithmetic", "0" * 64, 3, pixels, 100.0, 5, "see {} now")
        self.texts: list[str] = []

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return _unit(pixels.mean(axis=(1, 2)).astype(np.float32))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        return _unit(np.array([[text.count(c) for c in "rgb"] for text in texts], np.float32))

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


PROBES = _unit(np.random.default_rng(3).uniform(0, 1, (9, 3)).astype(np.float32))
SPACE = ProbeSpace(PROBES, _unit(np.array([[1, 1, 1], [3, 0, 1], [0, 2, 1]], np.float32)), 10.0)


def test_a_text_goes_through_the_template_and_is_stripped() -> None:
    encoder = ArithmeticEncoder()
    assert isinstance(encoder, Encoder)
    vector = text_vector(encoder, SPACE, TextQuery("  rr g "))
    assert encoder.texts == ["see rr g now"]
    concept = _unit(np.array([[2, 1, 0]], np.float32))[0]
    np.testing.assert_allclose(vector.values, standardize_query(PROBES @ concept), atol=1e-6)
    assert vector.query == Query("text", "  rr g ")
    assert (vector.itself, vector.notes) == (None, ())


def test_a_text_with_braces_is_put_in_as_it_is() -> None:
    encoder = ArithmeticEncoder()
    text_vector(encoder, SPACE, TextQuery("{r} {0} %s {}"))
    assert encoder.texts == ["see {r} {0} %s {} now"]


def test_a_long_text_has_a_note_with_both_numbers() -> None:
    encoder = ArithmeticEncoder()
    (note,) = text_vector(encoder, SPACE, TextQuery("r g b r")).notes
    assert "6 tokens" in note
    assert "reads 5" in note
    assert text_vector(encoder, SPACE, TextQuery("r g b")).notes == ()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (TextQuery(""), "empty"),
        (TextQuery("\t "), "empty"),
        (TextQuery("r", template=""), "exactly one"),
        (TextQuery("r", template="{} {}"), "exactly one"),
    ],
)
def test_texts_that_ask_nothing(query: TextQuery, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        text_vector(ArithmeticEncoder(), SPACE, query)


def test_pictures_ask_by_the_mean_of_their_embeddings(tmp_path: Path) -> None:
    files = []
    for number, colour in enumerate([(250, 10, 20), (10, 10, 60)]):
        files.append(tmp_path / f"{number}.png")
        Image.new("RGB", (17, 15), colour).save(files[-1])
    vector = image_vector(ArithmeticEncoder(), SPACE, ImageQuery(tuple(files)))
    rows = _unit(np.array([(250, 10, 20), (10, 10, 60)], np.float32))
    concept = _unit(rows.mean(axis=0, keepdims=True))[0]
    np.testing.assert_allclose(vector.values, standardize_query(PROBES @ concept), atol=1e-5)
    assert vector.query == Query("image", tuple(map(str, files)))
    broken = tmp_path / "broken.png"
    broken.write_text("x")
    with pytest.raises(UsageError, match=r"broken\.png"):
        image_vector(ArithmeticEncoder(), SPACE, ImageQuery((files[0], broken)))
    with pytest.raises(UsageError, match="no example pictures given"):
        image_vector(ArithmeticEncoder(), SPACE, ImageQuery(()))


def test_a_logit_asks_with_its_responses() -> None:
    responses = np.arange(9, dtype=np.float32)
    inside = logit_vector(LogitQuery("alias", 2), responses, ("name", 2))
    assert inside.query == Query("logit", "alias:2")
    assert inside.itself == ("name", 2)
    np.testing.assert_array_equal(inside.values, standardize_query(responses))
    assert logit_vector(LogitQuery("x.onnx", 2), responses, None).itself is None


def test_joined_concepts_are_asked_each_and_shown_as_one() -> None:
    vector = text_vector(ArithmeticEncoder(), SPACE, TextQuery("r AND NOT b"))
    alone = [text_vector(ArithmeticEncoder(), SPACE, TextQuery(text)) for text in "rb"]
    for concept, single in zip(vector.concepts, alone, strict=True):
        np.testing.assert_allclose(concept.weights, single.concepts[0].weights, atol=1e-6)
        np.testing.assert_allclose(concept.direction, single.concepts[0].direction, atol=1e-6)
    red, blue = (np.argmax(single.values) for single in alone)
    assert vector.values[red] > vector.values.mean() > vector.values[blue]


def test_words_with_pictures_ask_for_both(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (0, 0, 250)).save(tmp_path / "blue.png")
    vector = text_vector(
        ArithmeticEncoder(), SPACE, TextQuery("r", pictures=(tmp_path / "blue.png",))
    )
    assert len(vector.concepts) == 2
    shown = image_vector(ArithmeticEncoder(), SPACE, ImageQuery((tmp_path / "blue.png",)))
    np.testing.assert_array_equal(vector.concepts[1].weights, shown.concepts[0].weights)


@pytest.mark.parametrize("logit", [-1, 3, 10**12])
def test_a_logit_that_is_not_there_is_named(logit: int) -> None:
    with pytest.raises(UsageError, match=f"no logit {logit}: it has 3 outputs, 0 to 2"):
        check_logit("m", logit, 3)
    check_logit("m", 2, 3)
