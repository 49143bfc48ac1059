"""Text with one name a line, numbered or not, comes in; entries go out."""

import re
from collections.abc import Sequence

from lagotto.core.parsing.name_forms.entries import (
    MAX_NAMES,
    Entries,
    NotNamesError,
    unquoted,
)
from lagotto.core.parsing.name_forms.identifiers import without_identifiers
from lagotto.core.parsing.name_forms.numbered import note_on_numbers, numbered_lines

HEADINGS = frozenset(
    {
        *("name", "names", "label", "labels", "class", "classes", "class name", "class names"),
        *("category", "categories", "label name", "label names", "display name"),
    }
)
"""Headings of a column of names, as `heading_key` writes them."""

_BREAK = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"(#|//)(\s|$)")
_SETTING = re.compile(r"\w[\w.-]{0,60}\s?=\s?\S")
_COMMA_INSIDE = re.compile(r"\([^()]*,[^()]*\)")
_BULLET = re.compile(r"[-*•]\s+(?=\S)")


def heading_key(text: str) -> str:
    """A heading in the form in which headings are compared: lower case, single spaces."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unquoted(text)).replace("_", " ").replace("-", " ")
    return " ".join(words.casefold().strip(" :").split())


def split_lines(text: str) -> list[str]:
    """The lines of a text, parted by CR, LF or both, without white space around them.

    Empty lines at the end do not count.
    """
    lines = [line.strip() for line in _BREAK.split(text.strip("\ufeff"))]
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > MAX_NAMES:
        raise NotNamesError(f"has {len(lines):,} lines; at most {MAX_NAMES:,} names are read")
    return lines


def without_comments(lines: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The lines without those that begin with `# ` or `// `, and a note with their count.

    Empty lines below comments at the top part them from the names.
    """
    kept = [line for line in lines if not _COMMENT.match(line)]
    count = len(lines) - len(kept)
    if not count or not any(kept):
        return list(lines), ()
    if _COMMENT.match(next(line for line in lines if line)):
        kept = _without_empty_start(kept)
    return kept, (f"{count} comment {'line was' if count == 1 else 'lines were'} left out",)


def _without_empty_start(lines: list[str]) -> list[str]:
    start = next((i for i, line in enumerate(lines) if line), len(lines))
    return lines[start:]


def parse_lines(text: str) -> Entries:
    """The entries of a text with one name a line.

    Numbers in front or behind place the names; WordNet ids are left out. One line with commas is a
    comma list. An empty line between names is an output without a name.

    Raises:
        NotNamesError: There is no name, or the numbers contradict each other.
    """
    lines, notes = without_comments(split_lines(text))
    present = [line for line in lines if line]
    if not present:
        raise NotNamesError("holds no name")
    if len(present) == 1 and len(parts := _comma_list(present[0])) > 1:
        return Entries(tuple(parts), None, "comma list", notes)
    if len(present) > 1 and all(map(_BULLET.match, present)):
        lines = [_BULLET.sub("", line, count=1) for line in lines]
        present = [line for line in lines if line]
    heading = None
    if len(present) > 1 and heading_key(present[0]) in HEADINGS:
        heading = present[0]
        notes += (f"the first line, {present[0]!r}, seems to be a heading",)
        lines = _without_empty_start(lines[lines.index(present[0]) + 1 :])
        present = present[1:]
    if (found := numbered_lines(present)) is not None:
        names, id_notes = without_identifiers(found.names)
        return Entries(names, found.numbers, found.form, notes + found.notes + id_notes)
    shorter, id_notes = without_identifiers(present)
    if shorter != tuple(present):
        notes += id_notes
        found = numbered_lines([name or "" for name in shorter])
        if found is not None:
            return Entries(found.names, found.numbers, found.form, notes + found.notes)
    elif id_notes:
        notes += id_notes
    else:
        notes += note_on_numbers(present)
        _check_settings(present)
    rest = iter(shorter)
    names = tuple(unquoted(next(rest) or "") if line else None for line in lines)
    return Entries(names, None, "lines", notes, heading)


def _check_settings(lines: Sequence[str]) -> None:
    """Refuses lines such as `classes = 4`, `names = data/obj.names`: settings, not names."""
    settings = sum(bool(_SETTING.match(line)) for line in lines)
    if settings > len(lines) / 2:
        raise NotNamesError("holds settings (key = value), not names")


def _comma_list(line: str) -> list[str]:
    """The parts of a line between commas; or between other signs, if there are two of them."""
    for sign, fewest in ((",", 2), (";", 3), ("|", 3), ("\t", 2)):
        if sign == "," and _COMMA_INSIDE.search(line):
            continue
        parts = [unquoted(part) for part in line.split(sign) if part.strip()]
        if len(parts) >= fewest:
            return parts
    return []
