"""An encoder and a recorded canary come in; an encoder that is checked against the canary goes out.

A canary is a fixed picture and fixed texts, with the embeddings that an encoder gave for them when
a hub or a store was made. The fingerprint of an encoder covers its files and settings. It does not
notice that Pillow, a tokenizer, a runtime or our own code now gives other embeddings for the same
files. Old and new embeddings would then be in different spaces; the canary detects this.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from threading import Lock

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from lagotto.core.errors import MismatchError
from lagotto.core.images import to_pixels
from lagotto.core.types import EncoderInfo, JsonObject, JsonValue, PixelSpec
from lagotto.encoders.base import Encoder

TOLERANCE = 0.01
"""Maximal distance of a unit embedding from the recorded one. On two measured encoders, noise of
one gray level on every pixel moves it by 0.004 and 0.007, another resampling filter by 0.13."""

TEXTS = ("a photo of a Dog, running; 2 ducks!", "caf\u00e9 \u6c34 na\u00efve", "word " * 120)
_SIZE = (150, 110)
_PACKAGES = ("onnxruntime", "pillow", "tokenizers", "numpy", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Canary:
    """The recorded embeddings of an encoder.

    `similarity` is the cosine of the picture and the first text. `pixels` is the SHA-256 of the
    prepared picture. `tokens` are the token counts of the texts. `made_with` are package versions.
    """

    similarity: float
    pixels: str
    tokens: tuple[int, ...]
    picture: Float32[np.ndarray, " dim"]
    texts: Float32[np.ndarray, "texts dim"]
    made_with: tuple[tuple[str, str], ...]

    def as_json(self) -> JsonObject:
        """For a manifest; embeddings as base64 of little-endian float32."""
        return {
            "similarity": round(self.similarity, 6),
            "pixels": self.pixels,
            "tokens": list(self.tokens),
            "picture": _packed(self.picture),
            "texts": _packed(self.texts),
            "made_with": dict(self.made_with),
        }


def canary_from_json(value: JsonValue) -> Canary | None:
    """The canary in a manifest; None if it has none, as in old manifests.

    Raises ValueError for any other value.
    """
    if value is None:
        return None
    match value:
        case {
            "similarity": float() | int() as similarity,
            "pixels": str(pixels),
            "tokens": list(tokens),
            "picture": str(picture),
            "texts": str(texts),
            "made_with": dict(made_with),
        } if tokens and all(isinstance(count, int) for count in tokens):
            rows = _unpacked(texts)
            if len(rows) % len(tokens):
                raise ValueError("embeddings of texts do not fit their number")
            return Canary(
                similarity=float(similarity),
                pixels=pixels,
                tokens=tuple(int(str(count)) for count in tokens),
                picture=_unpacked(picture),
                texts=rows.reshape(len(tokens), -1),
                made_with=tuple((str(name), str(made_with[name])) for name in made_with),
            )
    raise ValueError("not a canary")


def with_canary_check(encoder: Encoder, recorded: JsonValue, owner: str) -> Encoder:
    """The encoder, checked against the canary of a manifest, if the manifest has one.

    `owner` names the hub or store in the message, as in "hub my-hub".
    """
    canary = canary_from_json(recorded)
    return encoder if canary is None else CanaryCheckedEncoder(encoder, canary, owner)


def measure_canary(encoder: Encoder) -> Canary:
    """The canary of an encoder as it is now; runs both towers."""
    pixels = canary_pixels(encoder.info.pixels)
    picture = encoder.embed_pixels(pixels[None])[0]
    texts = encoder.embed_texts(TEXTS)
    return Canary(
        similarity=float(picture @ texts[0]),
        pixels=sha256(pixels.tobytes()).hexdigest(),
        tokens=tuple(encoder.token_counts(TEXTS)),
        picture=picture,
        texts=texts,
        made_with=_versions(),
    )


def canary_pixels(spec: PixelSpec) -> UInt8[np.ndarray, "height width channels"]:
    """The picture of the canary, prepared for an encoder: stripes, a gradient and speckles."""
    width, height = _SIZE
    rows, columns = np.mgrid[:height, :width]
    red = columns * 255 // width
    green = np.where((rows // 3 + columns // 5) % 2, 220, 30)
    blue = (rows * 7 + columns * 13 + rows * columns) % 256
    picture = np.stack([red, green, blue], axis=2).astype(np.uint8)
    return to_pixels(Image.fromarray(picture), spec)


class CanaryCheckedEncoder:
    """An encoder that is checked against a canary.

    Each tower is checked when it is first used, since towers load lazily. A tower that gives other
    embeddings raises MismatchError, which names what differs, before it returns any.
    """

    def __init__(self, encoder: Encoder, canary: Canary, owner: str) -> None:
        """`owner` names the hub or store that records the canary, as in "hub my-hub"."""
        self._encoder = encoder
        self._canary = canary
        self._owner = owner
        self._lock = Lock()
        self._checked: set[str] = set()

    @property
    def info(self) -> EncoderInfo:
        """The name, the fingerprint, and what a caller needs to prepare inputs."""
        return self._encoder.info

    def embed_pixels(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images dim"]:
        """As the encoder; MismatchError if the picture of the canary gives another embedding."""
        with self._lock:
            if "pixels" not in self._checked:
                self._check_pixels()
                self._checked.add("pixels")
        return self._encoder.embed_pixels(pixels)

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """As the encoder; MismatchError if the texts of the canary give other embeddings."""
        with self._lock:
            if "texts" not in self._checked:
                self._check_texts()
                self._checked.add("texts")
        return self._encoder.embed_texts(texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """As the encoder."""
        return self._encoder.token_counts(texts)

    def _check_pixels(self) -> None:
        pixels = canary_pixels(self.info.pixels)
        picture = self._encoder.embed_pixels(pixels[None])[0]
        similarity = float(picture @ self._canary.texts[0])
        if _distance(picture, self._canary.picture) <= TOLERANCE:
            return
        same = sha256(pixels.tobytes()).hexdigest() == self._canary.pixels
        what = (
            "the picture tower, or the scaling before it, gives something else for the same pixels"
            if same
            else "pictures are resized to other pixels"
        )
        raise self._mismatch(what, similarity)

    def _check_texts(self) -> None:
        texts = self._encoder.embed_texts(TEXTS[: len(self._canary.texts)])
        similarity = float(self._canary.picture @ texts[0])
        if _distance(texts, self._canary.texts) <= TOLERANCE:
            return
        counts = tuple(self._encoder.token_counts(TEXTS[: len(self._canary.tokens)]))
        what = (
            "the text tower, or the ids of its tokens, give something else for the same texts"
            if counts == self._canary.tokens
            else f"texts are cut into {_listed(counts)} tokens, not {_listed(self._canary.tokens)}"
        )
        raise self._mismatch(what, similarity)

    def _mismatch(self, what: str, similarity: float) -> MismatchError:
        recorded = dict(self._canary.made_with)
        changed = [
            f"{name} {recorded[name]} then, {number} now"
            for name, number in _versions()
            if name in recorded and recorded[name] != number
        ]
        return MismatchError(
            f"{self._owner}: its encoder {self.info.name} no longer does what it did: {what} "
            f"(similarity of the canary {self._canary.similarity:.4f} then, {similarity:.4f} now; "
            f"{'; '.join(changed) or 'the same packages'}); go back to what made it, or make it "
            "anew"
        )


def _distance(rows: Float32[np.ndarray, "..."], recorded: Float32[np.ndarray, "..."]) -> float:
    """The largest distance of unit rows; infinite if their shapes differ."""
    if rows.shape != recorded.shape:
        return float("inf")
    return float(np.linalg.norm(rows - recorded, axis=-1).max())


def _versions() -> tuple[tuple[str, str], ...]:
    versions = []
    for name in _PACKAGES:
        try:
            versions.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(versions)


def _listed(counts: Sequence[int]) -> str:
    return ", ".join(map(str, counts))


def _packed(values: Float32[np.ndarray, "..."]) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _unpacked(text: str) -> Float32[np.ndarray, " values"]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
