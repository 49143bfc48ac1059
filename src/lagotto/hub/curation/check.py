"""The probes in the space of an encoder come in; which words they show, and which tell nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.types import JsonObject
from lagotto.core.vectors import unit_rows
from lagotto.hub.query.probe_weights import LEAST_COVERAGE, ProbeSpace

IDLE_BELOW = 0.02
"""A picture on which no word is as likely as this tells no word from the others."""

SAME_FROM = 0.97
"""Cosine of two pictures from which the later one says nearly the same as the earlier one."""

_ROWS = 1024


@dataclass(frozen=True, slots=True)
class WordCoverage:
    """How surely any probe shows a word, as a search for it would find, and which probe it is."""

    word: str
    probability: float
    probe: int

    @property
    def is_shown(self) -> bool:
        """Whether a search for the word would not warn."""
        return self.probability >= LEAST_COVERAGE


@dataclass(frozen=True, slots=True)
class ProbeCheck:
    """What a probe set shows.

    `idle` are the probes on which no word is likely; `repeats` are those nearly the same as an
    earlier one, each with that one. `needed` is how many pictures would show the words that are not
    shown, if each showed as many words that are new as the probes do now: a rough number.
    """

    words: tuple[WordCoverage, ...]
    probes: int
    idle: tuple[int, ...]
    repeats: tuple[tuple[int, int], ...]
    needed: int

    @property
    def shown(self) -> int:
        """The number of words that are shown."""
        return sum(word.is_shown for word in self.words)

    def as_json(self) -> JsonObject:
        """The fields by name; words in their order."""
        return {
            "probes": self.probes,
            "words": len(self.words),
            "shown": self.shown,
            "least": LEAST_COVERAGE,
            "needed": self.needed,
            "idle": [*self.idle],
            "repeats": [[later, earlier] for later, earlier in self.repeats],
            "coverage": [
                {"word": word.word, "probability": round(word.probability, 4), "probe": word.probe}
                for word in self.words
            ],
        }


def check_probes(
    space: ProbeSpace, words: Sequence[str], concepts: Float32[np.ndarray, "words dim"]
) -> ProbeCheck:
    """What the probes of a space show of some words.

    Args:
        space: The probes, and the background words.
        words: The vocabulary.
        concepts: Unit embeddings of the words' prompts.
    """
    covered: list[WordCoverage] = []
    likeliest = np.zeros(len(space.probes))
    surest = np.zeros(len(space.probes), dtype=np.int64)
    for start in range(0, len(words), _ROWS):
        posterior = np.exp(space.log_posterior(concepts[start : start + _ROWS]))
        best = posterior.argmax(axis=1)
        likeliest = np.maximum(likeliest, posterior.max(axis=0))
        np.add.at(surest, best[posterior.max(axis=1) >= LEAST_COVERAGE], 1)
        for row, probe in enumerate(best.tolist()):
            covered.append(WordCoverage(words[start + row], float(posterior[row, probe]), probe))
    missing = sum(not word.is_shown for word in covered)
    used = int((surest > 0).sum())
    a_picture = (len(covered) - missing) / used if used else 0.0
    return ProbeCheck(
        words=tuple(covered),
        probes=len(space.probes),
        idle=tuple(np.flatnonzero(likeliest < IDLE_BELOW).tolist()),
        repeats=find_repeats(space.probes),
        needed=round(missing / a_picture) if a_picture else missing,
    )


def find_repeats(embeddings: Float32[np.ndarray, "pictures dim"]) -> tuple[tuple[int, int], ...]:
    """Pictures that are nearly the same as an earlier one, each with the first such one."""
    unit = unit_rows(embeddings)
    found: list[tuple[int, int]] = []
    for start in range(0, len(unit), _ROWS):
        cosines = unit[start : start + _ROWS] @ unit.T
        rows, columns = np.nonzero(cosines >= SAME_FROM)
        earlier: Int64[np.ndarray, " pairs"] = columns
        for row, first in zip((rows + start).tolist(), earlier.tolist(), strict=True):
            if first < row and (not found or found[-1][0] != row):
                found.append((row, first))
    return tuple(found)
