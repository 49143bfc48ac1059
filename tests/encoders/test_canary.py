"""Canaries: what changes an encoder's embeddings without its files is an error that names it."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import encoder_makers
import lagotto.encoders.canary as canary_module
from lagotto.core.errors import CaptionError, HubError, MismatchError
from lagotto.core.files import canonical_json
from lagotto.core.images import to_pixels
from lagotto.core.types import PixelSpec
from lagotto.demo import bundled
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import (
    TEXTS,
    TOLERANCE,
    CanaryCheckedEncoder,
    canary_from_json,
    canary_pixels,
    measure_canary,
)
from lagotto.encoders.registry import load_encoder
from lagotto.hub.hub import Hub
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import ZeroShotClassifier

Change = Callable[[Any], Any]


class Altered:
    """An encoder whose pixels or texts are changed on their way; its info is as before."""

    def __init__(self, encoder: Encoder, pixels: Change | None = None, texts: Change | None = None):
        self.info = encoder.info
        self._encoder = encoder
        self._pixels = pixels or (lambda each: each)
        self._texts = texts or (lambda each: each)

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._encoder.embed_pixels(self._pixels(pixels))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoder.embed_texts(self._texts(texts))

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.token_counts(self._texts(texts))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder_makers.write_encoder(tmp_path_factory.mktemp("canary") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load_encoder(str(folder), threads=1)


@pytest.fixture(scope="module")
def demo() -> Encoder:
    """The bundled encoder: trained, so that it sees what is in a picture."""
    return load_encoder(str(bundled.DEMO_ENCODER), threads=1)


def refusal(encoder: Encoder, altered: Encoder, use: str) -> str:
    watched = CanaryCheckedEncoder(altered, measure_canary(encoder), "hub h")
    pixels = canary_pixels(encoder.info.pixels)[None]
    calls = {"pixels": lambda: watched.embed_pixels(pixels)}
    with pytest.raises(MismatchError) as caught:
        calls.get(use, lambda: watched.embed_texts(["dog"]))()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_same_encoder_passes_and_is_checked_once(encoder: Encoder, folder: Path) -> None:
    kept = canary_from_json(json.loads(json.dumps(measure_canary(encoder).as_json())))
    assert kept is not None
    watched = CanaryCheckedEncoder(load_encoder(str(folder), threads=1), kept, "hub h")
    texts = watched.embed_texts(["dog", "cat"])
    assert texts.tobytes() == encoder.embed_texts(["dog", "cat"]).tobytes()
    pixels = canary_pixels(encoder.info.pixels)[None]
    assert watched.embed_pixels(pixels).tobytes() == encoder.embed_pixels(pixels).tobytes()
    assert watched.info == encoder.info
    assert watched.token_counts(["dog"]) == encoder.token_counts(["dog"])
    assert isinstance(watched, Encoder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pixels: pixels[..., ::-1], "something else for the same pixels"),
        (lambda pixels: pixels[:, ::-1], "something else for the same pixels"),
        (lambda pixels: pixels // 2, "something else for the same pixels"),
    ],
    ids=["BGR", "upside down", "scale"],
)
def test_a_changed_preprocessing_is_named(demo: Encoder, change: Change, said: str) -> None:
    message = refusal(demo, Altered(demo, pixels=change), "pixels")
    assert said in message
    assert "similarity of the canary" in message
    assert "the same packages" in message


def test_another_resize_is_named(demo: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = measure_canary(demo)

    def bilinear(picture: Image.Image, spec: PixelSpec) -> np.ndarray:
        return to_pixels(picture, replace(spec, resample="bilinear"))

    monkeypatch.setattr(canary_module, "to_pixels", bilinear)
    watched = CanaryCheckedEncoder(demo, kept, "hub h")
    with pytest.raises(MismatchError, match="pictures are resized to other pixels"):
        watched.embed_pixels(canary_pixels(demo.info.pixels)[None])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda texts: [f"the {text}" for text in texts], "tokens, not"),
        (lambda texts: [text.replace("photo", "truffle") for text in texts], "ids of its tokens"),
    ],
    ids=["another count", "other ids"],
)
def test_a_changed_tokenizer_is_named(encoder: Encoder, change: Change, said: str) -> None:
    assert said in refusal(encoder, Altered(encoder, texts=change), "texts")


def test_the_packages_that_changed_are_named(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = measure_canary(encoder)
    older = tuple((n, "0.1" if n == "pillow" else v) for n, v in kept.made_with)
    watched = CanaryCheckedEncoder(
        Altered(encoder, pixels=lambda pixels: 255 - pixels), replace(kept, made_with=older), "h"
    )
    with pytest.raises(MismatchError, match=r"pillow 0\.1 then, [0-9.]+ now\); go back"):
        watched.embed_pixels(canary_pixels(encoder.info.pixels)[None])


def test_rounding_of_another_processor_passes(encoder: Encoder) -> None:
    kept = measure_canary(encoder)
    nudged = kept.texts + np.float32(TOLERANCE / 4) / np.sqrt(np.float32(kept.texts.shape[1]))
    CanaryCheckedEncoder(encoder, replace(kept, texts=nudged), "h").embed_texts(["dog"])


def test_a_text_query_does_not_run_the_picture_tower(encoder: Encoder) -> None:
    def never(pixels: np.ndarray) -> np.ndarray:
        raise AssertionError("the picture tower was run")

    watched = CanaryCheckedEncoder(Altered(encoder, pixels=never), measure_canary(encoder), "h")
    assert len(watched.embed_texts(["dog"])) == 1


@pytest.mark.parametrize(
    "value", [{}, [], "x", {"similarity": 1.0}, {"similarity": 0.5, "pixels": "x", "tokens": []}]
)
def test_what_is_no_canary_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="canary"):
        canary_from_json(value)
    assert canary_from_json(None) is None


def _silent_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the ONNX encoder sees BGR, though no file of it has changed."""
    from lagotto.core.image_processor import Preprocessing

    right = Preprocessing.tensor
    monkeypatch.setattr(
        Preprocessing, "tensor", lambda self, pixels: right(self, pixels[..., ::-1])
    )


def test_a_hub_and_a_store_refuse_an_encoder_that_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / f"{number}.png")
    (pictures / "captions.csv").write_text("file,caption\n0.png,a dog\n1.png,a cat\n")
    hub = Hub.create(tmp_path / "hub", pictures, str(folder))
    store = CaptionStore.create(tmp_path / "store", [pictures], str(folder))
    pixels = canary_pixels(hub.encoder.info.pixels)[None]
    for each in (hub, CaptionStore.open(tmp_path / "store")):
        each.encoder.embed_pixels(pixels)
    ZeroShotClassifier(str(folder), ["dog", "cat"], store, mode="paper").encoder.embed_pixels(
        pixels
    )
    _silent_change(folder, monkeypatch)
    with pytest.raises(MismatchError, match=r"hub .*hub: its encoder tiny no longer does"):
        Hub.open(tmp_path / "hub").encoder.embed_pixels(pixels)
    with pytest.raises(MismatchError, match="caption store"):
        CaptionStore.open(tmp_path / "store").encoder.embed_pixels(pixels)
    classifier = ZeroShotClassifier(str(folder), ["dog", "cat"], tmp_path / "store", mode="paper")
    with pytest.raises(MismatchError, match="caption store"):
        list(classifier.predict([pictures / "0.png"]))


def test_an_artefact_without_a_canary_is_read_and_a_damaged_one_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (20, 30), "red").save(pictures / "0.png")
    Image.new("RGB", (20, 30), "blue").save(pictures / "1.png")
    (pictures / "captions.csv").write_text("file,caption\n0.png,a dog\n1.png,a cat\n")
    Hub.create(tmp_path / "hub", pictures, str(folder))
    CaptionStore.create(tmp_path / "store", [pictures], str(folder))
    cases: list[tuple[str, Any, type[Exception]]] = [
        ("hub/hub.json", lambda: Hub.open(tmp_path / "hub"), HubError),
        ("store/captions.json", lambda: CaptionStore.open(tmp_path / "store"), CaptionError),
    ]
    from hashlib import sha256

    for name, opened, error in cases:
        content = json.loads((tmp_path / name).read_text())
        for canary in (None, {"similarity": "high"}):
            changed = {k: v for k, v in content.items() if k not in ("canary", "sha256")}
            if canary is not None:
                changed["canary"] = canary
            digest = sha256(canonical_json(changed)).hexdigest()
            (tmp_path / name).write_bytes(canonical_json({**changed, "sha256": digest}))
            if canary is None:
                assert len(opened().encoder.embed_texts(TEXTS)) == 3
            else:
                with pytest.raises(error, match="canary"):
                    opened()
    shutil.rmtree(tmp_path / "hub")
