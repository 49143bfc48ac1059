"""An image folder, jsonl manifest or parquet file comes in; candidate pictures go out, in order.

The order is that of the source. The files of a folder are sorted by relative path, because the
order of a file system differs between machines.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

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
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.parsing.parquet_columns import (
    PICTURE_COLUMNS,
    caption_columns,
    columns_of,
    files_in,
    is_picture_cell,
    picture_column,
    struct_fields,
    unnamed_file_columns,
)
from lagotto.core.sources.folder import count_rest, list_pictures, refuse_outside

MANIFEST_SUFFIXES = (".jsonl", ".ndjson")
NAME_COLUMNS = ("path", "file_name", "file")

_BATCH_ROWS = 16
_READ_BUFFER_BYTES = 2**20


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
    captions: dict[str, tuple[str, ...]] = {}
    try:
        with manifest.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    name, texts = _parse_line(line, f"{manifest} line {number}")
                    captions[name] = merge_captions(captions.get(name, ()), texts)
    except OSError as error:
        raise ProbeError(f"cannot read {manifest}: {error.strerror}; check the file") from error
    except UnicodeDecodeError as error:
        raise ProbeError(f"{manifest} is not UTF-8 text; save it as UTF-8") from error
    for name, texts in captions.items():
        load = partial(_load_named, folder, name)
        yield ProbeCandidate(storable(f"{folder.name}/{name}"), load, texts)


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
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, buffer_size=_READ_BUFFER_BYTES, pre_buffer=False)
        schema = file.schema_arrow
        column = _picture_column(path, file)
        name_column = first_column(NAME_COLUMNS, schema.names)
        if name_column is None and "path" in struct_fields(schema.field(column).type):
            name_column = f"{column}.path"
        usual = find_caption_columns(schema.names, with_rare=False)
        captions = [name for name in caption_columns(schema) or usual if name != column]
        columns = [*captions, *([] if name_column is None else [name_column])]
        pictures = _PictureColumn(path, file, column)
        row = 0
        for batch in file.iter_batches(columns=columns):
            values = batch.to_pydict()
            nothing = [None] * batch.num_rows
            names = values.get((name_column or "").partition(".")[0], nothing)
            texts = zip(*(values[name] for name in captions), strict=True) if captions else nothing
            for name, cells in zip(names, texts, strict=True):
                yield _parquet_candidate(pictures, row, name, cells or ())
                row += 1
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise _unreadable_parquet(path, error) from error


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


def _picture_column(path: Path, file: Any) -> str:
    """The column that holds pictures, by its name or else by its first cells."""
    schema = file.schema_arrow
    column = picture_column(schema)
    names = unnamed_file_columns(schema) if column is None else []
    if names and file.metadata.num_rows:
        first = next(file.iter_batches(batch_size=_BATCH_ROWS, columns=names)).to_pydict()
        holding = [name for name in names if any(map(is_picture_cell, first[name]))]
        column = holding[0] if len(holding) == 1 else None
    if column is None:
        raise ProbeError(
            f"{path} has no column of pictures; found {columns_of(schema)}; give one of "
            f"{', '.join(PICTURE_COLUMNS)} as binary, or as a struct with bytes and path"
        )
    return column


def _unreadable_parquet(path: Path, error: Exception) -> ProbeError:
    """The error for a damaged parquet file, or for what a failed download left in its place."""
    clause = what_lies_at(path)
    if clause is not None:
        return ProbeError(f"{path} is {clause}")
    first_line = (str(error).splitlines() or [""])[0]
    return ProbeError(f"cannot read {path} as parquet: {first_line}; check the file")


class _PictureColumn:
    """The pictures of a parquet file by row number; a few rows are in memory at a time.

    Rows in rising order cost one pass. A step back restarts at the row group of that row.
    """

    def __init__(self, path: Path, file: Any, column: str) -> None:
        groups = (file.metadata.row_group(g).num_rows for g in range(file.num_row_groups))
        self.path = path
        self._file = file
        self._column = column
        self._starts = list(accumulate(groups, initial=0))
        self._group = -1
        self._batches: Iterator[Any] = iter(())
        self._values: Any = ()
        self._first = 0

    def read(self, row: int) -> bytes:
        """The bytes of the picture in a row; raises PictureError if there is none."""
        import pyarrow as pa

        try:
            value = self._value(row)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable_parquet(self.path, error) from error
        files = files_in(value)
        if len(files) > 1:
            raise PictureError(f"{len(files)} pictures in one row; give each a row of its own")
        value = files[0] if files else None
        if isinstance(value, dict):
            name = value.get("path")
            value = value.get("bytes")
            if value is None and isinstance(name, str) and name:
                return _load_named(self.path.parent, name)
        if not isinstance(value, bytes):
            raise PictureError("no picture in this row")
        return value

    def _value(self, row: int) -> Any:
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._first:
            self._batches = self._file.iter_batches(
                batch_size=_BATCH_ROWS, row_groups=[group], columns=[self._column]
            )
            self._group, self._first, self._values = group, self._starts[group], ()
        while row >= self._first + len(self._values):
            self._first += len(self._values)
            self._values = next(self._batches).column(0)
        return self._values[row - self._first].as_py()
