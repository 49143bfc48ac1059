"""What one form of name list says comes in; names and their numbers, in one shape, go out."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_NUMBER = 100_000
"""The largest number of an output that a list of names may give."""

MAX_NAMES = 1_000_000
"""Names in one list, at most."""

Name = str | None
"""A name; None where the list says that there is none."""


class NotNamesError(ValueError):
    """A text holds no list of names in the form tried; the message is a clause that says why."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Names in the order of the file; `numbers` are their places where the file gives them.

    `heading` is a first line that was taken for a heading and might be a name.
    """

    names: tuple[Name, ...]
    numbers: tuple[int, ...] | None
    form: str
    notes: tuple[str, ...] = ()
    heading: str | None = None


def whole_number(text: str) -> int | None:
    """The whole number that a text is, also as "007" or "7.0"; None for any other text."""
    text = text.strip().removesuffix(".0")
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        return None
    return int(text)


def are_distinct(names: Sequence[Name], share: float) -> bool:
    """Whether more than a share of the names differ, case aside; missing ones do not count."""
    present = [name.casefold() for name in names if name]
    return len(set(present)) > share * len(present)


def first_repeated(numbers: Iterable[int]) -> int | None:
    """The first number that stands twice; None if none does."""
    known: set[int] = set()
    for number in numbers:
        if number in known:
            return number
        known.add(number)
    return None


def unquoted(text: str) -> str:
    """A text without one pair of quotes around it, and without white space."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].replace(text[0] * 2, text[0]).strip()
    return text


def single_spaced(line: str) -> str:
    """A line with one space, or one tab, where white space is; so that patterns stay fast."""
    return _SPACES.sub(lambda match: "\t" if "\t" in match[0] else " ", line.strip())


_SPACES = re.compile(r"\s+")
_PICTURE = re.compile(r"\.(jpe?g|png|webp|bmp|gif|tiff?|ppm)\b", re.IGNORECASE)


def lists_pictures(names: Sequence[Name]) -> bool:
    """Whether most of the names are files of pictures."""
    present = [name for name in names if name]
    return sum(bool(_PICTURE.search(name)) for name in present) > len(present) / 2
