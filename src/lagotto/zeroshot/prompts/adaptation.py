"""Prompts of labels and a caption store come in; prompts shifted towards naming captions go out.

The caption "a tabby cat asleep" names the label "cat": its embedding shows how the encoder reads
"cat" in captions, and the embedding of its picture shows how a cat looks to the encoder. A prompt
is shifted by the mean of the captions that name its label, minus the mean of all captions, and
likewise by the mean of their pictures. The prompt of a label that no caption names stays as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.core.vectors import unit_rows
from lagotto.neighbors.base import StoredRows
from lagotto.zeroshot.nearest import search_of
from lagotto.zeroshot.types import Captions

CAPTIONS_PER_LABEL = 256
"""Captions searched for the name of each label: those nearest to its prompt."""

PRIOR_COUNT = 4
"""The shift of a prompt by n captions is n / (n + PRIOR_COUNT) of the full shift."""

_MAX_MEAN_ROWS = 20_000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class PromptShift:
    """How far prompts are shifted: towards naming captions, and towards the pictures of those.

    Both are lengths, in units of a prompt's length (1).
    """

    captions: float
    pictures: float


@dataclass(frozen=True, slots=True)
class Direction:
    """The unit vector from the mean of all rows to the mean of some rows, and their count."""

    vector: Float32[np.ndarray, " dim"]
    count: int


def naming_captions(
    prompts: Float32[np.ndarray, "labels dim"], phrases: Sequence[str], captions: Captions
) -> tuple[Int64[np.ndarray, " _"], ...]:
    """For each label the captions that name it, of the CAPTIONS_PER_LABEL nearest to its prompt.

    Args:
        prompts: Unit embeddings of the labels' prompts.
        phrases: The label of each prompt, as words.
        captions: The store.
    """
    nearest, _ = search_of(captions, "captions", keep=False).search(prompts, CAPTIONS_PER_LABEL)
    return tuple(
        rows[[names(text, phrase) for text in captions.texts(rows.tolist())]]
        for rows, phrase in zip(nearest, phrases, strict=True)
    )


def shift_prompts(
    prompts: Float32[np.ndarray, "labels dim"],
    naming: Sequence[Int64[np.ndarray, " _"]],
    captions: Captions,
    shift: PromptShift,
) -> Float32[np.ndarray, "labels dim"]:
    """Shifts each prompt towards the captions that name its label; unit length again.

    Args:
        prompts: Unit embeddings of the labels' prompts.
        naming: The captions that name each label.
        captions: The store.
        shift: How far prompts are shifted.
    """
    texts, pictures = captions.text_embeddings, captions.image_embeddings
    mean_text, mean_picture = mean_row(texts), mean_row(pictures)
    shifted = prompts.copy()
    for label, rows in enumerate(naming):
        shifted[label] = shift_prompt(
            prompts[label],
            direction(texts[np.sort(rows)], mean_text),
            direction(pictures[picture_rows(captions, rows)], mean_picture),
            shift,
        )
    return shifted


def picture_rows(
    captions: Captions, rows: Int64[np.ndarray, " rows"]
) -> Int64[np.ndarray, " pictures"]:
    """The pictures of some captions, each once, in ascending order."""
    pictures = np.searchsorted(np.asarray(captions.starts[:-1]), rows, side="right") - 1
    pictures, rows = pictures[pictures >= 0], rows[pictures >= 0]
    return np.unique(pictures[rows < np.asarray(captions.ends)[pictures]])


def direction(rows: Float[np.ndarray, "rows dim"], mean: Float32[np.ndarray, " dim"]) -> Direction:
    """The direction from the mean of all rows to the mean of these rows."""
    if not len(rows):
        return Direction(np.zeros_like(mean), 0)
    return Direction(unit_rows(rows.astype(np.float32).mean(axis=0) - mean), len(rows))


def shift_prompt(
    prompt: Float32[np.ndarray, " dim"],
    captions: Direction,
    pictures: Direction,
    shift: PromptShift,
) -> Float32[np.ndarray, " dim"]:
    """The prompt plus both directions, scaled to length 1.

    The length of each addition is that of `shift`, times n / (n + PRIOR_COUNT) for n rows.
    """
    shifted: Float32[np.ndarray, " dim"] = prompt.astype(np.float32)
    for towards, length in ((captions, shift.captions), (pictures, shift.pictures)):
        shrinkage = towards.count / (towards.count + PRIOR_COUNT)
        shifted += np.float32(length * shrinkage) * towards.vector
    return unit_rows(shifted)


def names(text: str, phrase: str) -> bool:
    """Whether the text contains the phrase as whole words, ignoring case.

    The last word may have a plural ending (s or es). A phrase with commas is a list of synonyms:
    one of them suffices.

    >>> names("Two Golden Retrievers on a beach", "golden retriever")
    True
    >>> names("a carpet", "car")
    False
    """
    words = f" {' '.join(tokens(text))} "
    for synonym in phrase.split(","):
        phrase_words = " ".join(tokens(synonym))
        if phrase_words and any(f" {phrase_words}{end} " in words for end in ("", "s", "es")):
            return True
    return False


def tokens(text: str) -> list[str]:
    """The words of a text, case-folded, in order."""
    return _WORD.findall(text.casefold())


def mean_row(rows: StoredRows) -> Float32[np.ndarray, " dim"]:
    """The mean of the rows, or of about 20,000 evenly spaced ones if there are more; 0 of none."""
    if not len(rows):
        return np.zeros(rows.shape[1], np.float32)
    step = max(1, len(rows) // _MAX_MEAN_ROWS)
    total = np.zeros(rows.shape[1], np.float64)
    sample = rows[::step]
    for start in range(0, len(sample), 4096):
        total += sample[start : start + 4096].astype(np.float64).sum(axis=0)
    return np.asarray((total / len(sample)).astype(np.float32))
