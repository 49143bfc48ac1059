"""A csv, tsv or text file comes in; its lines and rows, numbered, go out.

Nothing is read whole: a line has a bounded length, a quoted field a bounded number of lines. So a
quote mark that nothing closes costs its own line, and no other.
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from lagotto.core.errors import LagottoError

MAX_LINE_BYTES = 16 * 2**20
MAX_ROW_LINES = 64
"""Lines that one row may take because a quoted field holds line ends."""

MAX_ROW_CHARACTERS = 2**18

DELIMITERS = (",", "\t", "|", ";")

_QUOTE = '"'
_NOT_TEXT = "is not UTF-8 text"
_UNCLOSED = "has a quote mark that nothing closes; close it or leave it out"
_QUOTES = re.compile('"+')
_SAMPLE_LINES = 1000
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

NumberedLine: TypeAlias = tuple[int, str | None]
"""(number from 1, text without its line end); None for a line that is not text."""

NumberedRow: TypeAlias = tuple[int, list[str] | str]
"""(number of its last line, its fields; or why it cannot be read, as a text)."""


def text_lines(path: Path, error: type[LagottoError]) -> Iterator[NumberedLine]:
    """The lines of a file in UTF-8, or in UTF-16 or UTF-32 by its mark; memory is that of one line.

    Args:
        path: The file.
        error: The class of the error to raise.

    Raises:
        error: The file cannot be read, or a line is over MAX_LINE_BYTES.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
        encoding = next((name for mark, name in _MARKS if head.startswith(mark)), None)
        if encoding is not None:
            yield from _wide_lines(path, encoding, error)
            return
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(raw) > MAX_LINE_BYTES:
                    raise _too_long(path, number, error)
                data = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
                try:
                    yield number, data.decode().rstrip("\r\n")
                except UnicodeDecodeError:
                    yield number, None
    except OSError as reason:
        raise error(f"cannot read {path}: {reason.strerror}; check the file") from reason


def _wide_lines(path: Path, encoding: str, error: type[LagottoError]) -> Iterator[NumberedLine]:
    """The lines of a file in UTF-16 or UTF-32; a damaged line is no text."""
    with path.open(encoding=encoding, errors="replace", newline="\n") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES // 4 + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES // 4:
                raise _too_long(path, number, error)
            yield number, None if "\ufffd" in line else line.rstrip("\r\n")


def _too_long(path: Path, number: int, error: type[LagottoError]) -> LagottoError:
    return error(
        f"{path} line {number} is over {MAX_LINE_BYTES // 2**20} MiB; is it a text file with one "
        "caption a line?"
    )


def split_line(line: str, delimiter: str, quoted: bool = True, most: int = 0) -> list[str]:
    """The fields of one line, stripped; with `quoted` off, quote marks are plain characters.

    With `most`, a line without quotes has that many fields at most: the last one takes the rest.
    """
    if not quoted or _QUOTE not in line:
        return [field.strip() for field in line.split(delimiter, most - 1)]
    try:
        rows = list(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return []
    return [field.strip() for row in rows for field in row]


def is_quoted(lines: Iterable[NumberedLine], delimiter: str, width: int) -> bool:
    """Whether quote marks in a table enclose fields, judged by its first lines.

    In a csv they always do. A tab-separated file mostly has no quoting: there they do where a field
    begins with a quote mark, and all of these fields are closed and have doubled marks inside.
    """
    if delimiter != "\t":
        return True
    sample = list(islice(lines, _SAMPLE_LINES))
    if not any((line or "").startswith(_QUOTE) or '\t"' in (line or "") for _, line in sample):
        return False
    is_whole = len(sample) < _SAMPLE_LINES
    last = len(sample) if is_whole else len(sample) - MAX_ROW_LINES
    for number, fields in numbered_rows(sample, delimiter, width, quoted=True, strict=True):
        if isinstance(fields, str) and number <= last and fields != _NOT_TEXT:
            return False
    return True


def numbered_rows(
    lines: Iterable[NumberedLine],
    delimiter: str,
    width: int,
    quoted: bool,
    strict: bool = False,
    rest_is_last: bool = False,
) -> Iterator[NumberedRow]:
    """The rows of a table; a line that cannot be read is a row with the reason in place of fields.

    Args:
        lines: Its lines.
        delimiter: What separates the fields.
        width: The number of fields of the header. A row of several lines must have it exactly; a
            row of one line comes out as it is.
        quoted: Whether quote marks enclose fields.
        strict: Whether a field that only begins with a closed quote cannot be read.
        rest_is_last: Whether delimiters beyond the last column are part of its text.
    """
    waiting: list[NumberedLine] = []  # lines that were read ahead, the next one last
    stream = iter(lines)
    while (item := waiting.pop() if waiting else next(stream, None)) is not None:
        number, line = item
        if line is None:
            yield number, _NOT_TEXT
        elif not line.strip():
            continue
        elif not quoted or _QUOTE not in line or (rest_is_last and _has_rest(line, delimiter)):
            yield number, split_line(line, delimiter, False, width if rest_is_last else 0)
        elif (fields := _strict_fields([line], delimiter)) is not None:
            yield number, fields
        elif _is_open(line, delimiter):
            ahead = list(_take(waiting, stream, MAX_ROW_LINES - 1))
            end = _end_of_row(line, ahead, delimiter, width)
            if end is None:
                waiting.extend(reversed(ahead))
                yield number, _UNCLOSED
            else:
                waiting.extend(reversed(ahead[end:]))
                texts = [line, *(text or "" for _, text in ahead[:end])]
                yield ahead[end - 1][0], _strict_fields(texts, delimiter) or []
        elif strict:
            yield number, _UNCLOSED
        else:  # marks inside a field, as in `a 12" ruler` or `"a sign" on a door`
            yield number, split_line(line, delimiter)


def _has_rest(line: str, delimiter: str) -> bool:
    """Whether the quote marks of a line are inside its fields, so that none of them is quoted."""
    fields = (field.strip() for field in line.split(delimiter))
    return not any(field.startswith(_QUOTE) for field in fields)


def _take(
    waiting: list[NumberedLine], stream: Iterator[NumberedLine], count: int
) -> Iterator[NumberedLine]:
    """The next lines, at most `count` and MAX_ROW_CHARACTERS together."""
    characters = 0
    while count and characters <= MAX_ROW_CHARACTERS:
        item = waiting.pop() if waiting else next(stream, None)
        if item is None:
            return
        yield item
        characters += len(item[1] or "")
        count -= 1


def _end_of_row(line: str, ahead: list[NumberedLine], delimiter: str, width: int) -> int | None:
    """How many of the lines ahead belong to the row that begins with a line; None if none do."""
    texts = [line]
    for end, (_, text) in enumerate(ahead, 1):
        if text is None:
            return None
        texts.append(text)
        closing = next((run for run in _QUOTES.finditer(text) if len(run[0]) % 2), None)
        if closing is None:
            continue
        rest = text[closing.end() :].lstrip(" ")
        if rest and not rest.startswith(delimiter):
            return None
        if not _is_open(rest, delimiter):
            fields = _strict_fields(texts, delimiter)
            return end if fields is not None and len(fields) == width else None
    return None


def _strict_fields(texts: list[str], delimiter: str) -> list[str] | None:
    """The fields of the row that some lines make; None unless its quoting is without fault."""
    source = [f"{text}\n" for text in texts]
    source[-1] = texts[-1]
    try:
        rows = list(csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error:
        return None
    return [field.strip() for field in rows[0]] if len(rows) == 1 else None


def _is_open(text: str, delimiter: str) -> bool:
    """Whether the last field of a text begins with a quote mark that the text does not close."""
    is_in_quotes, at_start, position = False, True, 0
    while position < len(text):
        char = text[position]
        if is_in_quotes:
            if char == _QUOTE:
                if text[position + 1 : position + 2] == _QUOTE:
                    position += 1
                else:
                    is_in_quotes = False
        elif char == delimiter:
            at_start = True
            position += 1
            continue
        elif char == _QUOTE and at_start:
            is_in_quotes = True
        if not char.isspace():
            at_start = False
        position += 1
    return is_in_quotes
