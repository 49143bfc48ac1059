"""Lines come in; the number that places each name, and the name without it, go out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lagotto.core.parsing.name_forms.entries import (
    MAX_NUMBER,
    Entries,
    Name,
    NotNamesError,
    are_distinct,
    first_repeated,
    single_spaced,
    unquoted,
)

_STRONG = r"\s*(?:->|=>|[:,;|=\t\])])\s*|\s*\.\s+"
_WEAK = r"\s+[-–]\s+|[-_.](?=[^\d\s])|\s+"
_WORD = r"(?P<word>(?:class|label|id|index|output)[ _-]?)?"
_FRONT = re.compile(
    rf"[\[(#]?[\"']?{_WORD}(?P<number>\d{{1,12}})[\"']?"
    rf"(?:(?P<strong>{_STRONG})|(?P<weak>{_WEAK}))(?P<name>.*)",
    re.IGNORECASE,
)
_BARE = re.compile(r"[\[(#]?[\"']?(?P<number>\d{1,12})[\"']?\s*[:,;|.\])]*")
_BEHIND = re.compile(
    r"(?P<name>.*[^\s,:;|=>])(?:(?P<strong>\s*(?:->|=>|[:,;|=\t])\s*)|(?P<weak>\s+))"
    r"[\"'(\[]?(?P<number>\d{1,12})[\"')\]]?",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_MOSTLY = 0.8
"""The share of the names that differ once their numbers are gone: "1 euro", "2 euro" are names."""


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    name: Name
    is_strong: bool


def numbered_lines(lines: Sequence[str]) -> Entries | None:
    """The entries of lines that all have a number in front or behind; None for plain names.

    A sign between number and name ("0: cat", "0,cat", a tab) says that the number places the name.
    After a mere space it does so if the numbers begin at 0, or at 1 with few gaps: "7 up", "18
    wheeler" and "1 euro", "2 euro" are names. A first line that alone has no number is a heading.

    Raises:
        NotNamesError: Numbers place the names, and one stands twice, is missing or is too large.
    """
    if sum(bool(_DIGIT.search(line)) for line in lines) < _MOSTLY * (len(lines) - 1):
        return None
    for pattern, where in ((_FRONT, "in front"), (_BEHIND, "behind")):
        parts = [_parse(pattern, line) for line in lines]
        present = [part for part in parts if part]
        if len(present) < max(1, _MOSTLY * (len(parts) - 1)):
            continue
        if sum(part.name is not None for part in present) < len(present) / 2:
            continue  # bare numbers are names: the digits
        heading = parts[0] is None and len(present) == len(parts) - 1 and len(present) >= 2
        if not _place_names(present, where):
            continue
        if len(present) < len(parts) and not heading:
            position = next(i for i, part in enumerate(parts) if part is None)
            raise NotNamesError(
                f"has no number in the line {lines[position][:40]!r}, and the others have one; "
                "number all lines or none"
            )
        notes = (f"the first line, {lines[0][:40]!r}, is a heading",) if heading else ()
        return _entries(present, notes)
    return None


def note_on_numbers(lines: Sequence[str]) -> tuple[str, ...]:
    """A note where every line has a number that was not taken for its place; else none."""
    if not all(map(_DIGIT.search, lines)):
        return ()
    for pattern, where in ((_FRONT, "in front"), (_BEHIND, "behind")):
        parts = [_parse(pattern, line) for line in lines]
        if len(lines) > 1 and all(part is not None and part.name for part in parts):
            return (f"numbers {where} were kept as parts of the names; '0: name' would place them",)
    return ()


def _parse(pattern: re.Pattern[str], line: str) -> _Line | None:
    line = single_spaced(line)
    if pattern is _FRONT and (bare := _BARE.fullmatch(line)):
        return _Line(int(bare["number"]), None, False)
    part = pattern.fullmatch(line)
    if part is None or (part["weak"] and part.groupdict().get("word")):
        return None  # "class 0" is a name, "class 0: cat" is a numbered one
    name = unquoted(part["name"].rstrip(",;") if part["strong"] else part["name"])
    is_strong = bool(part["strong"]) and not (
        part["strong"] in (":", ",", ".") and name[:1].isdigit()
    )
    return _Line(int(part["number"]), name or None, is_strong)


def _place_names(lines: Sequence[_Line], where: str) -> bool:
    """Whether the numbers of the lines are places, by what stands between number and name."""
    numbers = [line.number for line in lines]
    names = [line.name for line in lines]
    named = [line for line in lines if line.name]
    is_strong = all(line.is_strong for line in named)
    low, span = min(numbers), max(numbers) - min(numbers) + 1
    unique = len(set(numbers))
    if where == "behind":
        if not are_distinct(names, _MOSTLY) or unique < len(numbers) or low > 1:
            return False
        return span <= (10 * unique + 10 if is_strong else unique)
    if is_strong:
        return are_distinct(names, 0.5) or unique == len(numbers)
    if not are_distinct(names, _MOSTLY):
        return False
    if unique < len(numbers):  # two names for one number, or names that begin with numbers
        return low == 0 and unique >= _MOSTLY * len(numbers) and span <= 2 * unique
    if low == 0:
        return True
    return unique > 1 and span <= 10 * unique + 10 if low == 1 else span == unique >= 5


def _entries(lines: Sequence[_Line], notes: tuple[str, ...]) -> Entries:
    numbers = tuple(line.number for line in lines)
    names = tuple(line.name for line in lines)
    again = [unquoted(name) for name in names if name]
    inner = [_parse(_FRONT, name) for name in again]
    if len(inner) == len(names) and all(
        part is not None and part.name and part.number == number
        for part, number in zip(inner, numbers, strict=True)
    ):
        names = tuple(part.name for part in inner if part)  # "1 001.Albatross"
    repeated = first_repeated(numbers)
    if repeated is not None:
        twice = [name for line, name in zip(lines, names, strict=True) if line.number == repeated]
        raise NotNamesError(
            f"gives the number {repeated} to {twice[0]!r} and to {twice[1]!r}; "
            "each number must place one name"
        )
    if max(numbers) > MAX_NUMBER:
        raise NotNamesError(f"has the number {max(numbers)}; at most {MAX_NUMBER:,} is allowed")
    return Entries(names, numbers, "numbered lines", notes)
