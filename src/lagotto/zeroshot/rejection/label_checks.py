"""Labels come in before the work; what is doubtful about the list goes out, a line each."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.core.text.names import name_phrase, name_words
from lagotto.core.vectors import unit_rows
from lagotto.encoders.background.words import background_words
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.prompts.labels import Label
from lagotto.zeroshot.rejection.nouns import background_phrases, noun_words

SYNONYM_COSINE = 0.58
"""Cosine of two labels, as directions from the mean of the background words, from which the encoder
may not tell them apart. Chosen by hand: "cup" and "mug" have 0.60 with a small general encoder."""

FAMILIAR = 0.8
"""Familiarity under which a label that no caption names counts as unknown to the encoder: the mean
cosine with the ten nearest background words, as directions, plus _LETTER_WEIGHT times the letters
of a piece of the tokenizer. Words of another language and nonsense are cut into shorter pieces.
benchmarks/quality/label_checks.py"""

_NEAREST, _LETTER_WEIGHT, _MOST_LETTERS = 10, 0.2, 8
_LEAST_PART = 3
_SHOWN = 5
_MOST_LABELS = 2_000


def doubtful_labels(
    labels: Sequence[Label],
    prompts: Float32[np.ndarray, "labels dim"],
    background: Float32[np.ndarray, "words dim"],
    encoder: Encoder,
    naming: Sequence[Int64[np.ndarray, " _"]] | None = None,
) -> tuple[str, ...]:
    """What should be known of a list of labels: near-synonyms, parts of others, unknown ones.

    Args:
        labels: The labels.
        prompts: Their unit embeddings.
        background: Unit embeddings of the background words.
        encoder: The encoder, for how its tokenizer cuts words.
        naming: The captions that name each label; None without a store.
    """
    if len(labels) > _MOST_LABELS:
        return ()
    mean = background.mean(axis=0)
    directions = unit_rows(prompts - mean)
    notes = (
        _synonyms(labels, directions),
        _parts(labels),
        _unknown(
            labels,
            unfamiliar([label.words for label in labels], prompts, background, encoder),
            naming,
        ),
    )
    return tuple(note for note in notes if note)


def _synonyms(labels: Sequence[Label], directions: Float32[np.ndarray, "labels dim"]) -> str:
    cosines = np.triu(directions @ directions.T, 1)
    first, second = np.nonzero(cosines >= SYNONYM_COSINE)
    order = np.argsort(-cosines[first, second], kind="stable").tolist()
    pairs = [
        f"{labels[first[i]].name} / {labels[second[i]].name} ({cosines[first[i], second[i]]:.2f})"
        for i in order
    ]
    if not pairs:
        return ""
    example = labels[second[order[0]]].name
    return (
        f"labels nearly alike to the encoder: {_some(pairs)}; join them, or describe each: "
        f'"{example} | what sets it apart"'
    )


def _parts(labels: Sequence[Label]) -> str:
    """Labels whose words are some of another's: every "red car" is a "car"."""
    words = [name_words(label.words) for label in labels]
    owners: dict[str, list[int]] = {}
    for number, of_label in enumerate(words):
        for word in of_label:
            owners.setdefault(word, []).append(number)
    pairs = []
    for number, label in enumerate(labels):
        if not words[number] or name_phrase(label.words)[-1:] == ():
            continue
        rarest = min((owners[word] for word in words[number]), key=len)
        pairs += [
            f"{label.name} in {labels[other].name}"
            for other in rarest
            if words[number] < words[other]
            and name_phrase(labels[other].words)[-1] == name_phrase(label.words)[-1]
        ]
    if not pairs:
        return ""
    return (
        f"labels that hold one another: {_some(pairs)}; a picture of the narrower one fits both: "
        "leave the wider one out, or narrow it by a description"
    )


def unfamiliar(
    names: Sequence[str],
    prompts: Float32[np.ndarray, "labels dim"],
    background: Float32[np.ndarray, "words dim"],
    encoder: Encoder,
) -> Bool[np.ndarray, " labels"]:
    """Which labels the encoder seems not to know, or to read by a part alone.

    A background word is always known.

    Args:
        names: The labels in words.
        prompts: Their unit embeddings.
        background: Unit embeddings of the background words.
        encoder: The encoder, for how its tokenizer cuts words.
    """
    mean = background.mean(axis=0)
    cosines = unit_rows(prompts - mean) @ unit_rows(background - mean).T
    nearest = -np.sort(-cosines, axis=1)[:, :_NEAREST].mean(axis=1)
    familiarity = nearest + _LETTER_WEIGHT * _letters_a_piece(names, encoder)
    known = background_phrases()
    return np.array(
        [
            name_phrase(name) not in known
            and (
                familiarity[i] < FAMILIAR
                or _is_read_by_a_part(name, background_words()[int(cosines[i].argmax())])
            )
            for i, name in enumerate(names)
        ],
        bool,
    )


def _letters_a_piece(names: Sequence[str], encoder: Encoder) -> Float64[np.ndarray, " labels"]:
    """The letters of a tokenizer's piece, in the word of each label that is cut least."""
    words = [name.replace("-", " ").split() for name in names]
    every = sorted({word for of_label in words for word in of_label})
    around, *counts = encoder.token_counts(["", *every])
    letters = {
        word: min(len(word) / max(count - around, 1), _MOST_LETTERS)
        for word, count in zip(every, counts, strict=True)
    }
    return np.array([max((letters[word] for word in each), default=0.0) for each in words])


def _is_read_by_a_part(name: str, nearest: str) -> bool:
    """Whether the nearest word is the beginning or end of a longer one, and the rest is no noun."""
    name, nearest = name.casefold(), nearest.casefold()
    if " " in name or "-" in name or len(nearest) < _LEAST_PART or name == nearest:
        return False
    if not name.startswith(nearest) and not name.endswith(nearest):
        return False
    rest = name.removeprefix(nearest) if name.startswith(nearest) else name.removesuffix(nearest)
    return not noun_words() & set(name_phrase(rest)[-1:])


def _unknown(
    labels: Sequence[Label],
    doubtful: Bool[np.ndarray, " labels"],
    naming: Sequence[Int64[np.ndarray, " _"]] | None,
) -> str:
    unknown = [
        label.name
        for number, label in enumerate(labels)
        if doubtful[number]
        and not label.descriptions
        and (naming is None or not len(naming[number]))
    ]
    if not unknown:
        return ""
    who = "the encoder hardly knows" if naming is None else "neither encoder nor captions know"
    language = (
        " (in another language? the common nouns it is compared with are English)"
        if 2 * len(unknown) > len(labels) > 1
        else ""
    )
    return (
        f"labels that {who}: {_some(unknown)}{language}; describe them in other words: "
        f'"{unknown[0]} | what it looks like"'
    )


def _some(items: Sequence[str]) -> str:
    shown = ", ".join(items[:_SHOWN])
    return shown if len(items) <= _SHOWN else f"{shown} and {len(items) - _SHOWN} more"
