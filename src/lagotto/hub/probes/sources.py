"""An image folder, jsonl manifest or parquet file comes in; candidate pictures go out, in order.

The order is that of the source. The files of a folder are sorted by relative path, because the
order of a file system differs between machines.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import PictureError, ProbeError, UsageError
from lagotto.core.images import read_picture_file
from lagotto.core.parsing.captioned_tables import (
    PATH_COLUMNS,
    CaptionTexts,
    find_caption_columns,
    first_column,
    merge_captions,
    parse_captioned_line,
    parse_captions,
    resolve_picture,
    storable,
)
from lagotto.core.parsing.delimited_text import text_lines
from lagotto.core.parsing.parquet_columns import (
    PICTURE_COLUMNS,
    caption_columns,
    columns_of,
    file_fields,
    files_in,
    is_picture_cell,
    picture_column,
    unnamed_file_columns,
)
from lagotto.core.sources.folder import count_rest, list_pictures, refuse_outside
from lagotto.jobs.tables.cells import Foreign
from lagotto.jobs.tables.parquet_table import ParquetTable

MANIFEST_SUFFIXES = (".jsonl", ".ndjson")
NAME_COLUMNS = ("path", "file_name", "file")

_BATCH_ROWS = 16
_NAMES_PER_BATCH = 4096
MAX_ROWS = 5_000_000
"""Of a parquet file of probes: each row is a candidate that is held in memory."""


@dataclass(frozen=True, slots=True)
class ProbeCandidate:
    """A picture that may become a probe.

    `load` returns the bytes of its file, or raises PictureError.
    """

    source: str
    load: Callable[[], bytes]
    captions: tuple[str, ...] = ()


def read_probe_source(
    path: Path, passed_over: Counter[str] | None = None
) -> Iterator[ProbeCandidate]:
    """Reads the names and captions of one picture source; a picture is read when it is loaded.

    Args:
        path: An image folder, a .jsonl (or .ndjson) manifest, or a .parquet file. Of a folder
            without pictures the parquet files in it and in its folders are read.
        passed_over: Gets the number of files of a folder that are no pictures, by kind.

    Returns:
        The candidates in the order of the source. Their names are relative and start with the name
        of the source: `photos/a/1.jpg`, `faces.parquet#17`.

    Raises:
        UsageError: The path is missing or of no known kind.
        ProbeError: The source cannot be read; some errors are raised while iterating.
    """
    if path.is_dir():
        return _read_folder(path, Counter() if passed_over is None else passed_over)
    if not path.exists():
        raise UsageError(
            f"no probes at {path}: no such file or folder; give an image folder, "
            "a .jsonl manifest or a .parquet file"
        )
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return _read_manifest(path)
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    raise UsageError(
        f"{path} is no probe source; give an image folder, a .jsonl manifest or a .parquet file"
    )


def _read_folder(folder: Path, passed_over: Counter[str]) -> Iterator[ProbeCandidate]:
    """Every picture file under a folder, except hidden ones; folder links are not followed."""
    root = folder.resolve()
    listing = list_pictures(root, ProbeError)
    tables: list[Path] = []
    if not listing.pictures and not listing.outside:
        roots = link_roots(root)
        found = sorted(root.rglob("*.parquet"))
        tables = [path for path in found if path.is_file() and stays_inside(path, roots)]
    passed_over.update(count_rest(listing, tables, with_pictures=False))
    outside = dict.fromkeys(listing.outside, refuse_outside)
    files = [*listing.pictures, *listing.outside]
    for name, file in sorted((storable(f.relative_to(root).as_posix()), f) for f in files):
        load = outside.get(file, partial(read_picture_file, file))
        yield ProbeCandidate(f"{storable(root.name)}/{name}", load)
    for table in tables:
        yield from _read_parquet(table)


def _read_manifest(manifest: Path) -> Iterator[ProbeCandidate]:
    """One candidate a picture path, at its first line, with the captions of all its lines.

    Paths are relative to the manifest's folder.
    """
    folder = manifest.resolve().parent
    captions: dict[str, dict[str, None]] = {}
    for number, line in text_lines(manifest, ProbeError):
        if line is None:
            raise ProbeError(f"{manifest} line {number} is not UTF-8 text; save it as UTF-8")
        if line.strip():
            name, texts = _parse_line(line, f"{manifest} line {number}")
            captions.setdefault(name, {}).update(dict.fromkeys(texts))
    for name, known in captions.items():
        load = partial(_load_named, folder, name)
        yield ProbeCandidate(storable(f"{folder.name}/{name}"), load, tuple(known))


def _load_named(folder: Path, name: str) -> bytes:
    return read_picture_file(resolve_picture(folder, name))


def _parse_line(line: str, where: str) -> tuple[str, tuple[str, ...]]:
    """(picture path, captions) of one line."""
    try:
        name, captions = parse_captioned_line(line)
    except ValueError as error:
        raise ProbeError(f"{where} {error}") from error
    if name is None:
        raise ProbeError(
            f"{where} names no picture; give its path as one of {', '.join(PATH_COLUMNS)}"
        )
    return name, captions


def _read_parquet(path: Path) -> Iterator[ProbeCandidate]:
    """One candidate a row. Names and captions are read now, pictures a few rows at a time."""
    table = ParquetTable(path, ProbeError)
    if table.rows > MAX_ROWS:
        raise ProbeError(
            f"{path} has {table.rows:,} rows; at most {MAX_ROWS:,} are looked at, give a part of it"
        )
    column = _picture_column(table)
    names = [item.name for item in table.columns]
    name_column = first_column(NAME_COLUMNS, names)
    if name_column is None and "path" in file_fields(table.columns, column):
        name_column = f"{column}.path"
    usual = find_caption_columns(names, with_rare=False)
    captions = [name for name in caption_columns(table.columns) or usual if name != column]
    columns = [*captions, *([] if name_column is None else [name_column])]
    if not columns:
        columns = [column] if column not in names else []
    pictures = _PictureColumn(table, column)
    if not columns:
        for row in range(table.rows):
            yield _parquet_candidate(pictures, row, None, ())
        return
    row = 0
    for batch in table.read(columns, _NAMES_PER_BATCH):
        nothing: list[object] = [None] * len(next(iter(batch.values())))
        top = name_column if name_column in names else (name_column or "").rpartition(".")[0]
        cells = [batch[name] for name in captions]
        for index, name in enumerate(batch.get(top or "", nothing)):
            yield _parquet_candidate(pictures, row, name, tuple(cell[index] for cell in cells))
            row += 1


def _parquet_candidate(
    pictures: "_PictureColumn", row: int, name: object, cells: tuple[object, ...]
) -> ProbeCandidate:
    """The candidate of one row; a row without a name is named by its number, from 0."""
    if isinstance(name, dict):
        name = name.get("path")
    table = storable(pictures.path.name)
    captions: CaptionTexts = ()
    try:
        for cell in cells:
            captions = merge_captions(captions, parse_captions(cell))
    except TypeError as error:
        raise ProbeError(
            f"{pictures.path} row {row} has captions that are neither a text nor a list"
        ) from error
    source = storable(f"{table}/{name}") if isinstance(name, str) and name else f"{table}#{row}"
    return ProbeCandidate(source, partial(pictures.read, row), captions)


def _picture_column(table: ParquetTable) -> str:
    """The column that holds pictures, by its name or else by its first cells."""
    column = picture_column(table.columns)
    names = unnamed_file_columns(table.columns) if column is None else []
    if names and table.rows:
        first = next(table.read(names, _BATCH_ROWS))
        holding = [name for name in names if any(map(is_picture_cell, first[name]))]
        column = holding[0] if len(holding) == 1 else None
    if column is None:
        raise ProbeError(
            f"{table.path} has no column of pictures; found {columns_of(table.columns)}; give one "
            f"of {', '.join(PICTURE_COLUMNS)} as binary, or as a struct with bytes and path"
        )
    return column


class _PictureColumn:
    """The pictures of a parquet file by row number; a few rows are in memory at a time.

    Rows in rising order cost one pass.
    """

    def __init__(self, table: ParquetTable, column: str) -> None:
        self.path = table.path
        self._table = table
        self._column = column
        self._values: list[object] = []
        self._first = 0

    def read(self, row: int) -> bytes:
        """The bytes of the picture in a row; raises PictureError if there is none."""
        files = files_in(self._value(row))
        if len(files) > 1:
            raise PictureError(f"{len(files)} pictures in one row; give each a row of its own")
        value = files[0] if files else None
        if isinstance(value, dict):
            name = value.get("path")
            value = value.get("bytes")
            if value is None and isinstance(name, str) and name:
                return _load_named(self.path.parent, name)
        if isinstance(value, Foreign):
            raise PictureError(value.what)
        if not isinstance(value, bytes):
            raise PictureError("no picture in this row")
        return value

    def _value(self, row: int) -> object:
        if not self._first <= row < self._first + len(self._values):
            self._values = next(self._table.read([self._column], _BATCH_ROWS, row))[self._column]
            self._first = row
        return self._values[row - self._first]
