"""A world of words for zero-shot tests: an encoder and a caption store whose answers are known.

A text's embedding is the sum of its words' random directions. A picture is 8 x 8 pixels whose first
pixel holds a concept's number; its embedding is the concept's direction, with noise from the second
pixel, plus a direction that all pictures share.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lagotto.core.types import EncoderInfo, PixelSpec
from lagotto.core.vectors import unit_rows

DIM = 64
CONCEPTS = tuple(f"{a}{b}" for a in ("bal", "cor", "dun", "fel", "gim") for b in ("ka", "lo", "mi",
    "nu", "pe", "ri"))  # fmt: skip
CONTEXT = 20


def word_direction(word: str) -> np.ndarray:
    """A word's own direction, the same in every run."""
    seed = int.from_bytes(word.casefold().encode()[:8].ljust(8, b"."), "big") % 2**63
    return np.random.default_rng(seed).normal(size=DIM)


class WordEncoder:
    """An Encoder; `blind` are concepts that its picture tower sends somewhere else."""

    def __init__(self, blind: Sequence[str] = (), noise: float = 0.6) -> None:
        self.blind = tuple(blind)
        self.noise = noise
        self.texts_embedded = 0

    @property
    def info(self) -> EncoderInfo:
        return EncoderInfo(
            name="words",
            fingerprint="words-1",
            dim=DIM,
            pixels=PixelSpec(8, 8, resample="nearest"),
            logit_scale=20.0,
            context_length=CONTEXT,
            prompt_template="a photo of a {}.",
        )

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return np.stack([self.picture(int(p[0, 0, 0]), int(p[0, 0, 1])) for p in pixels])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.texts_embedded += len(texts)
        rows = [sum(map(word_direction, ["", *_words(text)])) for text in texts]
        return unit_rows(np.stack(rows))

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]

    def picture(self, concept: int, seed: int) -> np.ndarray:
        """The unit embedding of a picture of a concept."""
        rng = np.random.default_rng(1000 * concept + seed)
        name = CONCEPTS[concept % len(CONCEPTS)]  # the canary is a picture of none
        seen = word_direction(f"{name}-looks" if name in self.blind else name)
        noisy = seen + 0.5 * word_direction("picture") + self.noise * rng.normal(size=DIM)
        return unit_rows(noisy)


def _words(text: str) -> list[str]:
    return [word for word in text.replace(".", " ").split() if word not in ("a", "of", "photo")]


class WordStore:
    """A Captions in memory."""

    def __init__(
        self, images: np.ndarray, texts: Sequence[Sequence[str]], encoder: WordEncoder,
        alone: Sequence[str] = (),
    ) -> None:  # fmt: skip
        flat = [text for group in texts for text in group]
        self._texts = [*flat, *alone]
        self.image_embeddings = images.astype(np.float16).reshape(-1, DIM)
        self.text_embeddings = (
            encoder.embed_texts(self._texts).astype(np.float16)
            if self._texts
            else np.empty((0, DIM), np.float16)
        )
        counts = np.array([len(group) for group in texts], np.int64)
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.ends = self.starts[1:]

    def texts(self, indices: Sequence[int]) -> list[str]:
        return [self._texts[i] for i in indices]


def word_store(encoder: WordEncoder, each: int = 8, alone: Sequence[str] = ()) -> WordStore:
    """`each` pictures of every concept, with two captions that name it."""
    images, texts = [], []
    for number in range(each):
        for i, name in enumerate(CONCEPTS):
            images.append(encoder.picture(i, number))
            texts.append([f"one {name} here {number}", f"{name} and {CONCEPTS[(i + number) % 30]}"])
    return WordStore(np.stack(images), texts, encoder, alone)


def write_picture(path: Path, concept: int, seed: int = 200) -> Path:
    """A PNG that the encoder reads as a picture of a concept."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0, 0] = concept, seed, 0
    Image.fromarray(pixels).save(path)
    return path


def write_pair_sources(folder: Path) -> list[Path]:
    """Eight pictures of each concept, captioned, and a file of captions alone."""
    photos = folder / "photos"
    photos.mkdir()
    lines = []
    for number in range(8):
        for i, name in enumerate(CONCEPTS):
            picture = write_picture(photos / f"{i}_{number}.png", i, number)
            said = [f"one {name} here {number}", f"{name} and {CONCEPTS[(i + number) % 30]}"]
            lines.append(json.dumps({"image": picture.name, "captions": said}))
    (photos / "captions.jsonl").write_text("\n".join(lines))
    texts = folder / "texts.txt"
    texts.write_text("\n".join(f"{name} alone {i}" for i in range(10) for name in CONCEPTS))
    return [photos, texts]
