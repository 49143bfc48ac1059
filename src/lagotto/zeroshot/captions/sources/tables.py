"""A jsonl, csv, tsv or plain text file comes in; pairs of captions and picture paths go out."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.parsing.captioned_tables import (
    CAPTION_COLUMNS,
    PATH_COLUMNS,
    CaptionTexts,
    merge_captions,
    parse_captioned_line,
    parse_captions,
    storable,
)
from lagotto.core.parsing.delimited_text import (
    NumberedLine,
    numbered_rows,
    split_line,
    text_lines,
)
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    PairRow,
    PairSource,
    located_pairs,
)
from lagotto.zeroshot.captions.sources.table_forms import (
    SAMPLE_LINES,
    TOKEN,
    TableForm,
    find_table_form,
)

JSONL_SUFFIXES = (".jsonl", ".ndjson")
CSV_SUFFIXES = (".csv", ".tsv")
TEXT_SUFFIXES = (".txt", ".token")

_READ_BYTES = 2**20


def jsonl_source(path: Path, images: Path | None = None) -> PairSource:
    """A source with one JSON object a line: captions and, optionally, the path of a picture."""
    refuse_what_lies_there(path)
    has_pictures = any(
        not isinstance(row, Skipped) and row[0] for row in islice(_jsonl_rows(path), SAMPLE_LINES)
    )
    return PairSource(
        path,
        count_lines(path),
        lambda: located_pairs(_jsonl_rows(path), path.resolve().parent, images),
        has_pictures=has_pictures,
    )


def text_source(path: Path, images: Path | None = None) -> PairSource:
    """A source with one caption a line; a file that has the form of a table is read as one."""
    refuse_what_lies_there(path)
    form = find_table_form(path, _sample(path), need_pictures=True)
    if form is not None:
        return _table_source(path, form, images)
    return PairSource(
        path,
        count_lines(path),
        lambda: located_pairs(_text_rows(path), path.resolve().parent),
        has_pictures=False,
    )


def csv_source(path: Path, images: Path | None = None) -> PairSource:
    """A source with one caption a row; without a picture column it is text-only.

    The first line is a header, or the content of the columns tells what they are.

    Raises:
        CaptionError: No column holds captions; the message lists the columns.
    """
    refuse_what_lies_there(path)
    sample = _sample(path)
    form = find_table_form(path, sample)
    if form is None:
        content = ", ".join(split_line(sample[0][1] or "", ",")) or "an empty line"
        raise CaptionError(
            f"{path} has no column of captions; its first line holds: {content[:200]}; give it a "
            f"header with one of {', '.join(CAPTION_COLUMNS)} and, for pictures, one of "
            f"{', '.join(PATH_COLUMNS)}"
        )
    return _table_source(path, form, images)


def refuse_what_lies_there(path: Path) -> None:
    """Raises CaptionError for what a failed download leaves in place of a table."""
    clause = what_lies_at(path)
    if clause is not None and not clause.startswith("empty"):
        raise CaptionError(f"{path} is {clause}")


def _table_source(path: Path, form: TableForm, images: Path | None) -> PairSource:
    note = ""
    if form.picture is None:
        note = f"{path}: no column of pictures among {', '.join(form.columns)}; text alone"
    return PairSource(
        path,
        max(count_lines(path) - form.header_lines, 0),
        lambda: located_pairs(_table_rows(path, form), path.resolve().parent, images),
        note=note,
        has_pictures=form.picture is not None,
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
        raise CaptionError(f"cannot read {path}: {error.strerror}; check the file") from error
    return lines + (last not in (b"\n", b"\0"))


def _jsonl_rows(path: Path) -> Iterator[PairRow | Skipped]:
    for number, line in text_lines(path, CaptionError):
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
    for number, line in text_lines(path, CaptionError):
        where = f"{storable(path.name)} line {number}"
        if line is None:
            yield Skipped(where, "is not UTF-8 text")
        elif line.strip():
            yield "", where, (storable(line.strip()),)


def _table_rows(path: Path, form: TableForm) -> Iterator[PairRow | Skipped]:
    """The rows below the header."""
    lines = islice(text_lines(path, CaptionError), form.header_lines, None)
    if form.is_tokens:
        yield from map(partial(_token_row, path), lines)
        return
    width, rest = len(form.columns), form.rest_is_caption
    for number, fields in numbered_rows(
        lines, form.delimiter, width, form.quoted, rest_is_last=rest
    ):
        where = f"{storable(path.name)} line {number}"
        if isinstance(fields, str):
            yield Skipped(where, fields)
        elif len(fields) != width:
            yield Skipped(where, _other_width(fields, form))
        elif form.picture is not None and not _is_name(fields[form.picture]):
            yield Skipped(where, f"names no picture in column {form.columns[form.picture]}")
        else:
            captions: CaptionTexts = ()
            for index in form.captions:
                captions = merge_captions(captions, parse_captions(fields[index]))
            yield "" if form.picture is None else fields[form.picture], where, captions


def _token_row(path: Path, item: NumberedLine) -> PairRow | Skipped:
    """The row of a line such as `0001.jpg#0<TAB>a dog`."""
    number, line = item
    where = f"{storable(path.name)} line {number}"
    if line is None:
        return Skipped(where, "is not UTF-8 text")
    match = TOKEN.match(line)
    if match is None:
        return Skipped(where, "is not a picture, # with a number, and a caption")
    return match[1].strip(), where, parse_captions(match[3])


def _is_name(text: str) -> bool:
    return bool(text.strip()) and "\0" not in text


def _other_width(fields: list[str], form: TableForm) -> str:
    advice = "put texts that hold it in double quotes" if form.quoted else "leave it out of texts"
    delimiter = repr(form.delimiter)
    return (
        f"has {len(fields)} fields, the header {len(form.columns)}; the delimiter is {delimiter}: "
        f"{advice}"
    )


def _sample(path: Path) -> list[NumberedLine]:
    """The first lines; CaptionError if the file is empty or not text."""
    sample = list(islice(text_lines(path, CaptionError), SAMPLE_LINES))
    if not sample:
        raise CaptionError(f"{path} is empty; give a file with captions")
    if sample[0][1] is None:
        raise CaptionError(f"{path} line 1 is not UTF-8 text; save the file as UTF-8")
    return sample
