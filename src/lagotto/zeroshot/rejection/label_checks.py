"""Labels come in before the work; what is doubtful about the list goes out, a line each."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.text.names import name_phrase, name_words
from lagotto.core.vectors import unit_rows
from lagotto.zeroshot.prompts.labels import Label
from lagotto.zeroshot.rejection.nouns import background_phrases

SYNONYM_COSINE = 0.58
"""Cosine of two labels, as directions from the mean of the background words, from which the encoder
may not tell them apart. Chosen by hand: "cup" and "mug" have 0.60 with a small general encoder."""

UNKNOWN_COSINE = 0.45
"""Cosine with the nearest background word, as directions, under which a label that no caption names
counts as unknown to the encoder. Chosen by hand: names in other languages have 0.3 to 0.4."""

_SHOWN = 5
_MOST_LABELS = 2_000


def doubtful_labels(
    labels: Sequence[Label],
    prompts: Float32[np.ndarray, "labels dim"],
    background: Float32[np.ndarray, "words dim"],
    named: Int64[np.ndarray, " labels"] | None = None,
) -> tuple[str, ...]:
    """What should be known of a list of labels: near-synonyms, parts of others, unknown ones.

    Args:
        labels: The labels.
        prompts: Their unit embeddings.
        background: Unit embeddings of the background words.
        named: How many captions name each label; None without a store.
    """
    if len(labels) > _MOST_LABELS:
        return ()
    mean = background.mean(axis=0)
    directions = unit_rows(prompts - mean)
    notes = (
        _synonyms(labels, directions),
        _parts(labels),
        _unknown(labels, directions, unit_rows(background - mean), named),
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


def _unknown(
    labels: Sequence[Label],
    directions: Float32[np.ndarray, "labels dim"],
    background: Float32[np.ndarray, "words dim"],
    named: Int64[np.ndarray, " labels"] | None,
) -> str:
    near = (directions @ background.T).max(axis=1) >= UNKNOWN_COSINE
    known = background_phrases()
    unknown = [
        label.name
        for number, label in enumerate(labels)
        if not near[number]
        and not label.descriptions
        and name_phrase(label.words) not in known
        and (named is None or not named[number])
    ]
    if not unknown:
        return ""
    who = "the encoder hardly knows" if named is None else "neither encoder nor captions know"
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
