"""A table of classes (CSV, TSV) comes in; the entries of its column of names go out."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lagotto.core.parsing.name_forms.entries import (
    Entries,
    NotNamesError,
    are_distinct,
    first_repeated,
    lists_pictures,
    unquoted,
    whole_number,
)
from lagotto.core.parsing.name_forms.identifiers import is_code
from lagotto.core.parsing.name_forms.lines import (
    HEADINGS,
    heading_key,
    parse_lines,
    split_lines,
    without_comments,
)
from lagotto.core.parsing.name_forms.numbered import numbered_lines

_NAMES = (
    *("display name", "class name", "classname", "label name", "labelname", "name", "sign name"),
    *("names", "label", "labels", "class", "classes", "category", "title", "category name"),
    *("english", "en", "text", "word", "words", "species", "common name", "description"),
)
_NUMBERS = (
    *("index", "idx", "class index", "class idx", "class id", "classid", "label id", "labelid"),
    *("id", "number", "no", "nr", "num", "output", "position", "label index", "category id"),
    *("class number", "target", "train id", "trainid", "label", "class", "y", "code", "key"),
    *("value", "#", "", "unnamed: 0"),
)
_DELIMITERS = ",;\t|"
_QUOTED_CELL = re.compile(r'(?:^|[,;|])\s*"(?:[^"]|"")*("?)')
_REST_OF_CELL = re.compile(r'(?!\d+\s*[,;|])[^"]*("(?!")\s*(?:[,;|]|$))?')
_MOST_LINES_OF_A_CELL = 8


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows of one width; `header` is empty if the first row is data like the others."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def column(self, index: int) -> list[str]:
        """The fields of one column."""
        return [row[index] for row in self.rows]


def parse_table(text: str, delimiter: str | None = None) -> Entries:
    """The entries of a table of classes.

    The column of numbers places the names. Both columns are known by their headings, or by what
    stands in them: whole numbers, each once; codes of data sets are passed over.

    Args:
        text: The table.
        delimiter: What parts its fields; None to see it in the text.

    Raises:
        NotNamesError: It cannot be told which column holds the names, or it is a table of pictures.
    """
    lines, notes = without_comments(split_lines(text))
    lines = [line for line in lines if line]
    if lines and re.fullmatch(r"sep=[,;|\t]?", lines[0]):  # what Excel is told
        delimiter, lines = lines[0][4:] or delimiter, lines[1:]
    if not lines:
        raise NotNamesError("holds no name")
    if delimiter != "\t" and '"' in text:
        lines, joined = _with_whole_cells(lines)
        if joined:
            names = "name was" if joined == 1 else "names were"
            notes = (*notes, f"{joined} quoted {names} put on one line")
    delimiter = delimiter or _delimiter(lines)
    rows = [] if delimiter is None else _rows(lines, delimiter)
    if delimiter is None or all(len(row) == 1 for row in rows):
        column = parse_lines("\n".join(lines))
        return replace(column, notes=(*notes, *column.notes))
    if len(rows) == 1 and whole_number(rows[0][0]) is None:
        return Entries(tuple(cell for cell in rows[0] if cell), None, "comma list", notes)
    widths = {len(row) for row in rows}
    if len(widths) > 1 and not _is_header(rows[0]) and (found := numbered_lines(lines)):
        return found  # 0,tench, Tinca tinca
    table = _table(rows, delimiter, notes)
    return _choose(table)


def _delimiter(lines: Sequence[str]) -> str | None:
    """The sign that parts the fields of most lines, and of the first; None for one column."""
    counts = {sign: sum(sign in line for line in lines[:1000]) for sign in _DELIMITERS}
    fitting = [sign for sign in _DELIMITERS if counts[sign] >= 0.9 * len(lines[:1000])]
    if not fitting:
        return None
    heads = Counter({sign: lines[0].count(sign) for sign in fitting})
    tab_first = "\t" if heads.get("\t") else None
    return tab_first or (heads.most_common(1)[0][0] if any(heads.values()) else fitting[0])


def _with_whole_cells(lines: Sequence[str]) -> tuple[list[str], int]:
    """The lines, those joined by a space that one quoted cell spans; and how many cells did.

    A quote mark that nothing closes within a few lines, or only behind the number of another row,
    stays on its own line.
    """
    whole: list[str] = []
    at = joined = 0
    while at < len(lines):
        end = _end_of_cell(lines, at) if _is_open(lines[at]) else at
        whole.append(" ".join(lines[at : end + 1]))
        joined += end > at
        at = end + 1
    return whole, joined


def _end_of_cell(lines: Sequence[str], start: int) -> int:
    """The line that closes a cell which `start` opens; `start` if none of the next ones does."""
    for at in range(start + 1, min(start + _MOST_LINES_OF_A_CELL, len(lines))):
        rest = _REST_OF_CELL.match(lines[at])
        if rest is not None and rest[1]:
            return at
        if rest is None or '"' in lines[at]:
            break
    return start


def _is_open(line: str) -> bool:
    """Whether the last quoted cell of a line is not closed on it."""
    closed = [cell[1] for cell in _QUOTED_CELL.finditer(line)]
    return closed[-1:] == [""]


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The fields of each line. A quote that is not closed can swallow its own line only."""
    plain = delimiter == "\t" and not any(_is_quoted(line, delimiter) for line in lines)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL
    try:
        rows = [
            next(csv.reader([line], delimiter=delimiter, quoting=quoting, skipinitialspace=True))
            for line in lines
        ]
    except csv.Error as error:
        raise NotNamesError(f"is a table that cannot be read: {error}") from error
    return [[unquoted(cell) for cell in row] for row in rows]


def _is_quoted(line: str, delimiter: str) -> bool:
    cells = [cell.strip() for cell in line.split(delimiter)]
    return any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)


def _is_header(row: Sequence[str]) -> bool:
    known = [heading_key(cell) in {*_NAMES, *_NUMBERS, *HEADINGS} for cell in row if cell]
    return any(known) and all(whole_number(cell) is None for cell in row)


def _table(rows: list[list[str]], delimiter: str, notes: tuple[str, ...]) -> _Table:
    for row in rows:
        while len(row) > 1 and not row[-1]:
            row.pop()
    numeric_below = any(
        all(len(row) > i and whole_number(row[i]) is not None for row in rows[1:])
        and whole_number(cell) is None
        for i, cell in enumerate(rows[0])
    )
    has_header = _is_header(rows[0]) or (len(rows) > 2 and numeric_below)
    width = len(rows[0]) if has_header else max(len(row) for row in rows)
    for number, row in enumerate(rows, 1):
        if len(row) > width and _may_be_joined(rows[0], has_header):
            row[width - 1 :] = [f"{delimiter} ".join(row[width - 1 :])]
        row += [""] * (width - len(row))  # an empty field at the end: no name
        if len(row) != width:
            raise NotNamesError(
                f"has {len(row)} fields in row {number} and {width} in the others; "
                "write quotes around names with commas"
            )
    header = tuple(heading_key(cell) for cell in rows[0]) if has_header else ()
    return _Table(header, tuple(map(tuple, rows[has_header:])), notes)


def _may_be_joined(header: Sequence[str], has_header: bool) -> bool:
    """Whether the last column holds the names, so that commas there belong to them."""
    return has_header and heading_key(header[-1]) in _NAMES


def _choose(table: _Table) -> Entries:
    columns = range(len(table.rows[0])) if table.rows else range(0)
    if not columns:
        raise NotNamesError("is a table with a heading and no rows")
    number_at = _number_column(table, columns)
    name_at = _name_column(table, [i for i in columns if i != number_at], number_at)
    names = [cell or None for cell in table.column(name_at)]
    shows_pictures = any(map(lists_pictures, map(table.column, columns)))
    if not are_distinct(names, 0.5) or (shows_pictures and len(set(names)) < len(names)):
        raise NotNamesError(
            "repeats its names again and again, as a table of labelled pictures does; "
            "give a list with each class once"
        )
    passed_over = [
        repr(table.header[i] if table.header else f"column {i + 1}")
        for i in columns
        if i not in (number_at, name_at)
    ]
    notes = table.notes
    if passed_over:
        notes += (f"columns not read: {', '.join(passed_over[:5])}",)
    if number_at is None:
        return Entries(tuple(names), None, "table", notes)
    numbers = [whole_number(cell) for cell in table.column(number_at)]
    return Entries(
        tuple(names),
        tuple(number for number in numbers if number is not None),
        "table with numbers",
        notes,
    )


def _number_column(table: _Table, columns: range) -> int | None:
    """The column whose whole numbers place the names; None if there is none."""
    whole = []
    for i in columns:
        wrong = [row for row in table.rows if whole_number(row[i]) is None]
        if not wrong:
            whole.append(i)
        elif len(wrong) <= 0.1 * len(table.rows) and (i == 0 or _says_number(table, i)):
            raise NotNamesError(
                f"has no number in the row {', '.join(wrong[0])[:40]!r}, and the others have one; "
                "number all rows or none"
            )
    if len(whole) == len(columns):  # the digits as names
        named = [i for i in whole if table.header and table.header[i] in _NAMES]
        whole = [i for i in whole if i != (named[0] if named else columns[-1])]
    headed = [i for i in whole if _says_number(table, i)]
    if headed:
        return min(headed, key=lambda i: _NUMBERS.index(table.header[i]))
    for i in whole:
        numbers = [whole_number(cell) or 0 for cell in table.column(i)]
        low, span = min(numbers), max(numbers) - min(numbers) + 1
        if first_repeated(numbers) is None and low < 2 and span <= 2 * len(numbers) + 10:
            return i
    return None


def _says_number(table: _Table, column: int) -> bool:
    return bool(table.header) and table.header[column] in _NUMBERS


def _name_column(table: _Table, columns: Sequence[int], number_at: int | None) -> int:
    """The column of names; refuses a table in which two could be it."""
    headed = [i for i in columns if table.header and table.header[i] in _NAMES]
    words = [i for i in columns if not all(is_code(cell) for cell in table.column(i))]
    texts = [i for i in words if not all(whole_number(c) is not None for c in table.column(i))]
    if headed:
        return min(headed, key=lambda i: (i not in texts, _NAMES.index(table.header[i])))
    for candidates in (texts, words, list(columns)):
        if len(candidates) == 1:
            return candidates[0]
    names = ", ".join(map(repr, table.header)) if table.header else f"{len(columns)} columns"
    raise NotNamesError(
        f"does not say which column holds the names ({names}); give that column the heading 'name'"
    )
