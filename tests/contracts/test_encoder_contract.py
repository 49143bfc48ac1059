"""What every encoder must do, whatever made it: unit rows, each of its own input alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import encoder_makers as makers
from lagotto.core.errors import UsageError
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder

TEXTS = [
    "a photo of the dog",
    "cat",
    "red duck sleeping on the grass in water",
    "",
    "unheard of words",
    "the blue dog running",
    "truffle",
]
LONG = "dog " * 500
NOISE = 1e-5


SAVED = {"saved-clip": "clip", "saved-siglip": "siglip"}


@pytest.fixture(scope="module", params=[*sorted(makers.FORMS), *SAVED])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param in SAVED:
        pytest.importorskip("torch", reason="torch is not installed (extra `transformers`)")
        pytest.importorskip("transformers", reason="transformers is not installed")
        place = tmp_path_factory.mktemp("encoders") / request.param
        saved: Path = makers.write_tiny_clip(place, SAVED[request.param])
        return saved
    made: Path = makers.write_encoder(
        tmp_path_factory.mktemp("encoders") / request.param, makers.FORMS[request.param]
    )
    return made


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load_encoder(str(folder), threads=1)


def pictures(encoder: Encoder, count: int, seed: int = 0) -> np.ndarray:
    shape = (count, *encoder.info.pixels.shape)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_is_an_encoder(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)


def test_info_is_complete(encoder: Encoder) -> None:
    info = encoder.info
    assert info.name
    assert len(info.fingerprint) == 64
    assert info.dim > 0
    assert info.context_length > 2
    assert info.logit_scale > 0
    assert info.prompt_template.count("{}") == 1


def test_rows_are_unit_float32_of_the_stated_width(encoder: Encoder) -> None:
    for rows in (encoder.embed_pixels(pictures(encoder, 7)), encoder.embed_texts(TEXTS)):
        assert rows.dtype == np.float32
        assert rows.shape == (7, encoder.info.dim)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_different_inputs_give_different_rows(encoder: Encoder) -> None:
    for rows in (encoder.embed_pixels(pictures(encoder, 7)), encoder.embed_texts(TEXTS)):
        assert (rows @ rows.T)[~np.eye(7, dtype=bool)].max() < 0.9999


def test_a_text_alone_is_the_text_among_others(encoder: Encoder) -> None:
    texts = [*TEXTS, LONG]
    alone = np.concatenate([encoder.embed_texts([text]) for text in texts])
    np.testing.assert_allclose(encoder.embed_texts(texts), alone, atol=NOISE)


def test_a_picture_alone_is_the_picture_among_others(encoder: Encoder) -> None:
    pixels = pictures(encoder, 5)
    pixels[2] //= 16  # a dark one, whose range differs from the rest
    alone = np.concatenate([encoder.embed_pixels(pixels[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(encoder.embed_pixels(pixels), alone, atol=NOISE)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(len(TEXTS))), picks=st.integers(1, len(TEXTS)))
def test_order_and_company_do_not_matter(encoder: Encoder, order: list[int], picks: int) -> None:
    chosen = order[:picks]
    rows = encoder.embed_texts([TEXTS[i] for i in chosen])
    np.testing.assert_allclose(rows, encoder.embed_texts(TEXTS)[chosen], atol=NOISE)


def test_more_than_one_internal_batch(encoder: Encoder) -> None:
    pixels = pictures(encoder, 70, seed=1)
    rows = encoder.embed_pixels(pixels)
    np.testing.assert_allclose(rows[65:], encoder.embed_pixels(pixels[65:]), atol=NOISE)
    texts = [TEXTS[i % len(TEXTS)] for i in range(70)]
    rows = encoder.embed_texts(texts)
    np.testing.assert_allclose(rows[65:], encoder.embed_texts(texts[65:]), atol=NOISE)


def test_the_same_again_gives_the_same_bytes(encoder: Encoder, folder: Path) -> None:
    again = load_encoder(str(folder), threads=1)
    assert again.info == encoder.info
    pixels = pictures(encoder, 4)
    assert again.embed_pixels(pixels).tobytes() == encoder.embed_pixels(pixels).tobytes()
    assert again.embed_texts(TEXTS).tobytes() == encoder.embed_texts(TEXTS).tobytes()


def test_nothing_in_nothing_out(encoder: Encoder) -> None:
    assert encoder.embed_texts([]).shape == (0, encoder.info.dim)
    assert encoder.embed_pixels(pictures(encoder, 0)).shape == (0, encoder.info.dim)
    assert encoder.token_counts([]) == []


def test_a_text_too_long_is_cut_and_counted_in_full(encoder: Encoder) -> None:
    context = encoder.info.context_length
    fits, over = "dog " * (context - 2), "dog " * (context + 3)
    assert encoder.token_counts([fits, over, "dog"]) == [context, context + 5, 3]
    rows = encoder.embed_texts([fits, over])
    np.testing.assert_allclose(rows[0], rows[1], atol=NOISE)


def test_counting_between_two_calls_changes_nothing(encoder: Encoder) -> None:
    before = encoder.embed_texts([LONG, "cat"])
    encoder.token_counts([LONG])
    assert before.tobytes() == encoder.embed_texts([LONG, "cat"]).tobytes()


def test_a_text_that_is_no_unicode_is_still_embedded(encoder: Encoder) -> None:
    assert encoder.embed_texts(["dog \udc80"]).shape == (1, encoder.info.dim)


def test_pixels_of_another_shape_are_refused(encoder: Encoder) -> None:
    height, width, channels = encoder.info.pixels.shape
    with pytest.raises(UsageError, match="takes uint8 of shape") as caught:
        encoder.embed_pixels(np.zeros((1, height + 1, width, channels), np.uint8))
    assert "\n" not in str(caught.value)
