"""Stage 2c of zero-shot classification: labels that captions name → prompts moved towards those.

A caption that says "a tabby cat asleep" tells how the encoder reads "cat" in the words people use
under pictures, and its picture how a cat looks to it. A label's prompt is moved by the mean of the
captions that name it, less the mean of all captions, and by that of their pictures likewise; one
that no caption names stays as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.core.vectors import unit_rows
from lagotto.neighbors.exact import NearestRows
from lagotto.zeroshot.types import Captions

CONSIDERED = 256
"""Captions looked at for each label: those nearest to its prompt."""

PRIOR_COUNT = 4
"""A label that so many captions (or pictures) show is moved half the way."""

_MEAN_ROWS = 20_000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class PromptShift:
    """How far prompts are moved towards the captions that name them, and towards their pictures."""

    captions: float
    pictures: float


@dataclass(frozen=True, slots=True)
class Direction:
    """The mean of some rows less the mean of all, and how many rows those are."""

    towards: Float32[np.ndarray, " dim"]
    rows: int


@dataclass(frozen=True, slots=True)
class NamedPrompts:
    """The prompts after the move, unit length, and how many captions name each label."""

    embeddings: Float32[np.ndarray, "labels dim"]
    named: Int64[np.ndarray, " labels"]


def name_prompts(
    prompts: Float32[np.ndarray, "labels dim"],
    phrases: Sequence[str],
    captions: Captions,
    strength: PromptShift,
) -> NamedPrompts:
    """Each label's prompt moved by those of its CONSIDERED nearest captions that name it."""
    texts, pictures = captions.text_embeddings, captions.image_embeddings
    mean_text, mean_picture = mean_row(texts), mean_row(pictures)
    nearest, _ = NearestRows(texts, keep=False).search(prompts, CONSIDERED)
    moved, counts = prompts.copy(), np.zeros(len(prompts), np.int64)
    for label, phrase in enumerate(phrases):
        rows = nearest[label]
        said = captions.texts(rows.tolist())
        naming = rows[[names(text, phrase) for text in said]]
        counts[label] = len(naming)
        shown = picture_rows(captions, naming)
        moved[label] = shift_prompt(
            prompts[label],
            direction(texts[np.sort(naming)], mean_text),
            direction(pictures[shown], mean_picture),
            strength,
        )
    return NamedPrompts(moved, counts)


def picture_rows(
    captions: Captions, rows: Int64[np.ndarray, " rows"]
) -> Int64[np.ndarray, " pictures"]:
    """The pictures of some captions, each once, in order."""
    found = np.searchsorted(np.asarray(captions.starts[:-1]), rows, side="right") - 1
    found, rows = found[found >= 0], rows[found >= 0]
    return np.unique(found[rows < np.asarray(captions.ends)[found]])


def direction(rows: Float[np.ndarray, "rows dim"], mean: Float32[np.ndarray, " dim"]) -> Direction:
    """Where some rows lie, seen from the mean of all."""
    if not len(rows):
        return Direction(np.zeros_like(mean), 0)
    return Direction(unit_rows(rows.astype(np.float32).mean(axis=0) - mean), len(rows))


def shift_prompt(
    prompt: Float32[np.ndarray, " dim"],
    captions: Direction,
    pictures: Direction,
    strength: PromptShift,
) -> Float32[np.ndarray, " dim"]:
    """The prompt plus both directions, each as far as its strength and its rows allow; unit."""
    moved: Float32[np.ndarray, " dim"] = prompt.astype(np.float32)
    for towards, far in ((captions, strength.captions), (pictures, strength.pictures)):
        trust = towards.rows / (towards.rows + PRIOR_COUNT)
        moved += np.float32(far * trust) * towards.towards
    return unit_rows(moved)


def names(text: str, phrase: str) -> bool:
    """True if the text has the phrase as whole words, case aside, its last word perhaps in s or es.

    Of a phrase with commas each part counts for itself.

    >>> names("Two Golden Retrievers on a beach", "golden retriever")
    True
    >>> names("a carpet", "car")
    False
    """
    said = f" {' '.join(tokens(text))} "
    for part in phrase.split(","):
        wanted = " ".join(tokens(part))
        if wanted and any(f" {wanted}{end} " in said for end in ("", "s", "es")):
            return True
    return False


def tokens(text: str) -> list[str]:
    """The words of a text, lower case."""
    return _WORD.findall(text.casefold())


def mean_row(rows: Float[np.ndarray, "rows dim"]) -> Float32[np.ndarray, " dim"]:
    """The mean of the rows, of 20,000 evenly spaced ones where there are more; zeros for none."""
    if not len(rows):
        return np.zeros(rows.shape[1], np.float32)
    step = max(1, len(rows) // _MEAN_ROWS)
    total = np.zeros(rows.shape[1], np.float64)
    taken = rows[::step]
    for start in range(0, len(taken), 4096):
        total += taken[start : start + 4096].astype(np.float64).sum(axis=0)
    return np.asarray((total / len(taken)).astype(np.float32))
