"""Captions come in; the background words that each names, and nouns of the store's own, go out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from lagotto.core.text.names import name_phrase
from lagotto.encoders.background.words import background_words

MOST_STORE_NOUNS = 512
LEAST_USES = 3
"""Captions that use a noun of the store, at least."""

_LONGEST = 3
_CAPTIONS_READ = 20_000

Phrase = tuple[str, ...]


@cache
def background_phrases() -> dict[Phrase, int]:
    """The number of each background word, by its words in the singular."""
    return {name_phrase(word): number for number, word in enumerate(background_words())}


@cache
def noun_words() -> frozenset[str]:
    """The last word of each background word: a noun, unlike the "of" of "bird of prey"."""
    return frozenset(phrase[-1] for phrase in background_phrases())


def named_phrases(text: str, known: frozenset[Phrase] | dict[Phrase, int]) -> set[Phrase]:
    """The known phrases that a text names; where phrases overlap, the longest one alone.

    >>> sorted(named_phrases("Two rabbit faces", frozenset({("rabbit",), ("rabbit", "face")})))
    [('rabbit', 'face')]
    """
    words, found, start = name_phrase(text), set(), 0
    while start < len(words):
        for length in range(_LONGEST, 0, -1):
            phrase = words[start : start + length]
            if len(phrase) == length and phrase in known:
                found.add(phrase)
                start += length - 1
                break
        start += 1
    return found


def store_nouns(captions: Iterable[str]) -> tuple[str, ...]:
    """Nouns that captions use and the package does not list: two or three of its nouns in a row.

    "rabbit face" is one, where "rabbit" and "face" are listed. The most frequent come first.

    Args:
        captions: The captions of a store, or a sample of them.
    """
    counts: Counter[Phrase] = Counter()
    for text in captions:
        counts.update(set(_compounds(name_phrase(text))))
    frequent = sorted(
        (-count, phrase)
        for phrase, count in counts.items()
        if count >= LEAST_USES and phrase not in background_phrases()
    )
    return tuple(" ".join(phrase) for _, phrase in frequent[:MOST_STORE_NOUNS])


def _compounds(words: Phrase) -> Iterable[Phrase]:
    """The runs of two or three nouns in a text."""
    run: list[str] = []
    for word in (*words, ""):
        if word in noun_words():
            run.append(word)
            continue
        if 2 <= len(run) <= _LONGEST:
            yield tuple(run)
        run = []


def even_sample(count: int) -> Sequence[int]:
    """Positions of at most _CAPTIONS_READ captions, evenly spaced."""
    return range(0, count, max(1, -(-count // _CAPTIONS_READ)))
