"""A jsonl, csv, tsv or plain text file comes in; pairs of captions and picture paths go out."""

import csv
from collections.abc import Iterator
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.parsing.captioned_tables import (
    CAPTION_COLUMNS,
    PATH_COLUMNS,
    first_column,
    parse_captioned_line,
    parse_captions,
    storable,
)
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    PairRow,
    PairSource,
    pairs_of_rows,
)

JSONL_SUFFIXES = (".jsonl", ".ndjson")
CSV_SUFFIXES = (".csv", ".tsv")
MAX_LINE_BYTES = 16 * 2**20

_DELIMITERS = (",", "\t", "|", ";")
_READ_BYTES = 2**20


def jsonl_source(path: Path) -> PairSource:
    """A source with one JSON object a line: captions and, optionally, the path of a picture."""
    return PairSource(
        path, count_lines(path), lambda: pairs_of_rows(_jsonl_rows(path), path.resolve().parent)
    )


def text_source(path: Path) -> PairSource:
    """A source with one caption a line; a file that has a csv header is read as csv."""
    first = _first_line(path)
    if _header(first) is not None:
        return csv_source(path)
    return PairSource(
        path, count_lines(path), lambda: pairs_of_rows(_text_rows(path), path.resolve().parent)
    )


def csv_source(path: Path) -> PairSource:
    """A csv source with a header and one caption a row; without a picture column it is text-only.

    Raises:
        CaptionError: No column holds captions; the message lists the columns.
    """
    first = _first_line(path)
    header = _header(first) or _header(first, need_pictures=False)
    if header is None:
        content = ", ".join(_fields(first, ",")) or "an empty line"
        raise CaptionError(
            f"{path} has no column of captions; its first line holds: {content[:200]}; give it a "
            f"header with one of {', '.join(CAPTION_COLUMNS)} and, for pictures, one of "
            f"{', '.join(PATH_COLUMNS)}"
        )
    delimiter, columns = header
    picture_column = first_column(PATH_COLUMNS, columns)
    note = (
        ""
        if picture_column
        else f"{path}: no column of pictures among {', '.join(columns)}; text alone"
    )
    return PairSource(
        path,
        max(count_lines(path) - 1, 0),
        lambda: pairs_of_rows(_csv_rows(path, delimiter, columns), path.resolve().parent),
        note=note,
    )


def count_lines(path: Path) -> int:
    """The number of lines in a file; CaptionError if it cannot be read."""
    lines, last = 0, b"\n"
    try:
        with path.open("rb") as file:
            while part := file.read(_READ_BYTES):
                lines += part.count(b"\n")
                last = part[-1:]
    except OSError as error:
        raise _unreadable(path, error) from error
    return lines + (last != b"\n")


def _jsonl_rows(path: Path) -> Iterator[PairRow | Skipped]:
    for number, line in _lines(path):
        where = f"{storable(path.name)} line {number}"
        if line is None:
            yield Skipped(where, "is not UTF-8 text")
        elif line.strip():
            try:
                name, captions = parse_captioned_line(line)
            except ValueError as error:
                yield Skipped(where, str(error))
            else:
                yield name or "", where, captions


def _text_rows(path: Path) -> Iterator[PairRow | Skipped]:
    for number, line in _lines(path):
        where = f"{storable(path.name)} line {number}"
        if line is None:
            yield Skipped(where, "is not UTF-8 text")
        elif line.strip():
            yield "", where, (storable(line.strip()),)


class _CountedLines:
    """The lines of a file for a csv reader, with the number of the last line that it yielded."""

    def __init__(self, path: Path) -> None:
        self._lines = _lines(path)
        self.number = 0
        self.bad: list[int] = []

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self.number = number
            if line is None:
                self.bad.append(number)
            else:
                yield line


def _csv_rows(path: Path, delimiter: str, columns: list[str]) -> Iterator[PairRow | Skipped]:
    """The rows below the header."""
    picture_column = first_column(PATH_COLUMNS, columns)
    caption_index = columns.index(first_column(CAPTION_COLUMNS, columns) or "")
    picture_index = columns.index(picture_column) if picture_column else -1
    lines = _CountedLines(path)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    header = True
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            fields = None
        except csv.Error as error:
            yield Skipped(f"{storable(path.name)} line {lines.number}", f"is not csv: {error}")
            continue
        for number in lines.bad:
            yield Skipped(f"{storable(path.name)} line {number}", "is not UTF-8 text")
        lines.bad.clear()
        if fields is None:
            return
        if header or not fields:
            header = False
            continue
        where = f"{storable(path.name)} line {lines.number}"
        if len(fields) != len(columns):
            yield Skipped(
                where,
                f"has {len(fields)} fields, the header {len(columns)}; put texts that hold "
                f"{delimiter!r} in double quotes",
            )
        elif picture_index >= 0 and (
            not fields[picture_index].strip() or "\0" in fields[picture_index]
        ):
            yield Skipped(where, f"names no picture in column {picture_column}")
        else:
            name = fields[picture_index].strip() if picture_index >= 0 else ""
            yield name, where, parse_captions(fields[caption_index])


def _lines(path: Path) -> Iterator[tuple[int, str | None]]:
    """(number from 1, text) of each line, without a byte order mark; None if it is not UTF-8."""
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(raw) > MAX_LINE_BYTES:
                    raise CaptionError(
                        f"{path} line {number} is over {MAX_LINE_BYTES // 2**20} MiB; is it a text "
                        "file with one caption a line?"
                    )
                try:
                    yield number, raw.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").decode()
                except UnicodeDecodeError:
                    yield number, None
    except OSError as error:
        raise _unreadable(path, error) from error


def _first_line(path: Path) -> str:
    """The first line; CaptionError if the file is empty or not text."""
    for _, line in _lines(path):
        if line is None:
            raise CaptionError(f"{path} line 1 is not UTF-8 text; save the file as UTF-8")
        return line
    raise CaptionError(f"{path} is empty; give a file with captions")


def _header(line: str, need_pictures: bool = True) -> tuple[str, list[str]] | None:
    """(delimiter, columns) of a csv header with captions, and with pictures if they are needed."""
    for delimiter in _DELIMITERS:
        columns = _fields(line, delimiter)
        has_pictures = first_column(PATH_COLUMNS, columns) is not None
        if first_column(CAPTION_COLUMNS, columns) and (has_pictures or not need_pictures):
            return delimiter, columns
    return None


def _fields(line: str, delimiter: str) -> list[str]:
    """The fields of one line, stripped; none if it is not csv."""
    try:
        return [
            field.strip()
            for row in csv.reader([line], delimiter=delimiter, skipinitialspace=True)
            for field in row
        ]
    except csv.Error:
        return []


def _unreadable(path: Path, error: OSError) -> CaptionError:
    return CaptionError(f"cannot read {path}: {error.strerror}; check the file")
