"""An image folder, jsonl manifest or parquet file comes in; candidate pictures go out, in order.

The order is that of the source. The files of a folder are sorted by relative path, because the
order of a file system differs between machines.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from lagotto.core.errors import PictureError, ProbeError, UsageError
from lagotto.core.images import IMAGE_SUFFIXES, read_picture_file
from lagotto.core.parsing.captioned_tables import (
    CAPTION_COLUMNS,
    PATH_COLUMNS,
    PICTURE_COLUMNS,
    columns_of,
    first_column,
    merge_captions,
    parse_captioned_line,
    parse_captions,
    picture_column,
    storable,
    struct_fields,
)

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


def read_probe_source(path: Path) -> Iterator[ProbeCandidate]:
    """Reads the names and captions of one picture source; a picture is read when it is loaded.

    Args:
        path: An image folder, a .jsonl (or .ndjson) manifest, or a .parquet file.

    Returns:
        The candidates in the order of the source. Their names are relative and start with the name
        of the source: `photos/a/1.jpg`, `faces.parquet#17`.

    Raises:
        UsageError: The path is missing or of no known kind.
        ProbeError: The source cannot be read; some errors are raised while iterating.
    """
    if path.is_dir():
        return _read_folder(path)
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


def _read_folder(folder: Path) -> Iterator[ProbeCandidate]:
    """Every picture file under a folder, except hidden ones; folder links are not followed."""
    root = folder.resolve()
    pictures: list[tuple[str, Path]] = []
    for base, subfolders, files in os.walk(root, onerror=_refuse_folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                file = Path(base, name)
                pictures.append((storable(file.relative_to(root).as_posix()), file))
    for name, file in sorted(pictures):
        load = _refuse_link if _leaves(file, root) else partial(read_picture_file, file)
        yield ProbeCandidate(f"{storable(root.name)}/{name}", load)


def _refuse_folder(error: OSError) -> None:
    """Called by os.walk for a folder that cannot be listed."""
    raise ProbeError(
        f"cannot read the folder {error.filename}: {error.strerror}; check its permissions"
    ) from error


def _leaves(file: Path, root: Path) -> bool:
    """True for a link that leads out of the root."""
    return file.is_symlink() and not file.resolve().is_relative_to(root)


def _refuse_link() -> bytes:
    """The `load` of a link that leads out of the folder."""
    raise PictureError("a link that leaves the folder; copy the picture into the folder")


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
        load = partial(read_picture_file, folder / name)
        yield ProbeCandidate(storable(f"{folder.name}/{name}"), load, texts)


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
        column, is_struct = _picture_column(path, schema)
        name_column = first_column(NAME_COLUMNS, schema.names)
        caption_column = first_column(CAPTION_COLUMNS, schema.names)
        if name_column is None and is_struct and "path" in struct_fields(schema.field(column).type):
            name_column = f"{column}.path"
        columns = [name for name in (name_column, caption_column) if name is not None]
        pictures = _PictureColumn(path, file, column)
        row = 0
        for batch in file.iter_batches(columns=columns):
            values = batch.to_pydict()
            nothing = [None] * batch.num_rows
            names = values.get((name_column or "").partition(".")[0], nothing)
            captions = values.get(caption_column, nothing)
            for name, texts in zip(names, captions, strict=True):
                yield _parquet_candidate(pictures, row, name, texts)
                row += 1
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise _unreadable_parquet(path, error) from error


def _parquet_candidate(
    pictures: "_PictureColumn", row: int, name: object, texts: object
) -> ProbeCandidate:
    """The candidate of one row; a row without a name is named by its number, from 0."""
    if isinstance(name, dict):
        name = name.get("path")
    table = storable(pictures.path.name)
    try:
        captions = parse_captions(texts)
    except TypeError as error:
        raise ProbeError(
            f"{pictures.path} row {row} has captions that are neither a text nor a list"
        ) from error
    source = storable(f"{table}/{name}") if isinstance(name, str) and name else f"{table}#{row}"
    return ProbeCandidate(source, partial(pictures.read, row), captions)


def _picture_column(path: Path, schema: Any) -> tuple[str, bool]:
    """(name of the column that holds pictures, whether it is a struct with `bytes`)."""
    column = picture_column(schema)
    if column is None:
        raise ProbeError(
            f"{path} has no column of pictures; found {columns_of(schema)}; give one of "
            f"{', '.join(PICTURE_COLUMNS)} as binary, or as a struct with bytes and path"
        )
    return column


def _unreadable_parquet(path: Path, error: Exception) -> ProbeError:
    """The error for a damaged parquet file."""
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
        if isinstance(value, dict):
            name = value.get("path")
            value = value.get("bytes")
            if value is None and isinstance(name, str) and name:
                return read_picture_file(self.path.parent / name)
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
