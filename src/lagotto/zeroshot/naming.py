"""Stage 2c of zero-shot classification: labels that captions name → prompts moved towards those.

A caption that says "a tabby cat asleep" tells how the encoder reads "cat" in the words people use
under pictures. A label's prompt is moved by the mean of the captions that name it, less the mean
of all captions; one that no caption names stays as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.core.vectors import unit_rows
from lagotto.zeroshot.base import Captions
from lagotto.zeroshot.nearest import NearestRows

CONSIDERED = 256
"""Captions looked at for each label: those nearest to its prompt."""

HALF_TRUST = 4
"""A label that so many captions name is moved half the way."""

_MEAN_ROWS = 20_000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class NamedPrompts:
    """The prompts after the move, unit length, and how many captions name each label."""

    embeddings: Float32[np.ndarray, "labels dim"]
    named: Int64[np.ndarray, " labels"]


def name_prompts(
    prompts: Float32[np.ndarray, "labels dim"],
    phrases: Sequence[str],
    captions: Captions,
    strength: float,
) -> NamedPrompts:
    """Each label's prompt moved by those of its CONSIDERED nearest captions that name it."""
    embeddings = captions.text_embeddings
    mean = mean_row(embeddings)
    rows, _ = NearestRows(embeddings).search(prompts, CONSIDERED)
    moved, counts = prompts.copy(), np.zeros(len(prompts), np.int64)
    for label, phrase in enumerate(phrases):
        texts = captions.texts(rows[label].tolist())
        naming = [row for row, text in zip(rows[label], texts, strict=True) if names(text, phrase)]
        counts[label] = len(naming)
        if naming and strength > 0:
            said = embeddings[np.sort(np.array(naming))].astype(np.float32).mean(axis=0)
            moved[label] = move(prompts[label], said - mean, len(naming), strength)
    return NamedPrompts(moved, counts)


def move(
    prompt: Float32[np.ndarray, " dim"],
    direction: Float[np.ndarray, " dim"],
    naming: int,
    strength: float,
) -> Float32[np.ndarray, " dim"]:
    """The prompt plus strength * trust * the direction made unit length, unit length again."""
    trust = strength * naming / (naming + HALF_TRUST)
    return unit_rows(prompt + trust * unit_rows(direction))


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
