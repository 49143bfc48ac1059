"""Names with codes of a data set in or behind them come in; the names alone go out."""

import re
from collections.abc import Sequence

from lagotto.core.parsing.name_forms.entries import (
    Name,
    are_distinct,
    single_spaced,
)

_FRONT = re.compile(
    r"(?P<id>n\d{8}(?=\s*[\s,:;|_-])|n\d{2,9}(?=\s*[\s,:;|])|/[mgt]/\w+(?=\s*[\s,:;|]))"
    r"\s*[,:;|_-]?\s*(?P<name>\S.*)"
)
_BEHIND = re.compile(
    r"(?P<name>.*[^\s,:;|(-])(?:\s*[\s,:;|_-]\s*\(?|\s*\()(?P<id>n\d{8}|/[mgt]/\w+)\)?"
)
_CODE = re.compile(r"n\d{8}|/[mgt]/\w+")
_PLACEHOLDER = re.compile(r"LABEL_\d+")
_LETTER = re.compile(r"/(?P<letter>[a-z])/(?P<name>(?P=letter).*)")
_DISTINCT = 0.5


def is_code(text: str) -> bool:
    """Whether a text is a code of WordNet or of a knowledge graph, not a word."""
    return bool(_CODE.fullmatch(text.strip()))


def without_identifiers(names: Sequence[Name]) -> tuple[tuple[Name, ...], tuple[str, ...]]:
    """The names without WordNet ids (n01440764) or knowledge-graph ids (/m/01x), and notes.

    Ids are left out only where every name has one in the same place, all ids differ, and most of
    what remains differs. A list of ids alone is kept, with a note.

    Example:
        >>> without_identifiers(["n01440764 tench", "n01443537 goldfish"])[0]
        ('tench', 'goldfish')
        >>> without_identifiers(["n95 mask", "surgical mask"])[0]
        ('n95 mask', 'surgical mask')
    """
    present = [name for name in names if name]
    if present and all(is_code(name) or _PLACEHOLDER.fullmatch(name) for name in present):
        return tuple(names), ("the names are codes, not words",)
    lettered = [_LETTER.fullmatch(name.strip()) for name in present]
    if len(present) > 1 and all(lettered):  # Places365: /a/airfield
        rest = iter([match["name"] for match in lettered if match])
        notes = ("the letters in front of the names were left out",)
        return tuple(next(rest) if name else None for name in names), notes
    for pattern, where in ((_FRONT, "in front of"), (_BEHIND, "behind")):
        parts = [pattern.fullmatch(single_spaced(name)) for name in present]
        pairs = [(part["id"], part["name"].strip()) for part in parts if part]
        if not pairs or len(pairs) < len(present) or (len(pairs) == 1 and not is_code(pairs[0][0])):
            continue
        words = [name for _, name in pairs]
        if len({code for code, _ in pairs}) == len(pairs) and are_distinct(words, _DISTINCT):
            shorter = iter(words)
            kept = tuple(next(shorter) if name else None for name in names)
            return kept, (f"the ids {where} the names were left out",)
    return tuple(names), ()
