"""Caption source: parquet, as img2dataset or Hugging Face datasets write it, or text alone."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lagotto.core.errors import CaptionError, PictureError
from lagotto.core.parsing.captioned_tables import (
    CAPTION_COLUMNS,
    PATH_COLUMNS,
    CaptionTexts,
    columns_of,
    first_column,
    parse_captions,
    picture_column,
    storable,
    struct_fields,
)
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairSource,
    picture_at,
)

_PICTURES_A_BATCH = 16
_TEXTS_A_BATCH = 4096
_READ_BUFFER_BYTES = 2**20


def parquet_source(path: Path) -> PairSource:
    """One pair a row: captions and a picture as bytes, as a struct, or as a path beside the file.

    Of a file by img2dataset only the rows whose download succeeded. Raises CaptionError, listing
    the columns found, where none holds captions.
    """
    with_file = _Table(path)
    note = "" if with_file.pictured else f"{path}: no column of pictures among "
    return PairSource(
        path,
        with_file.rows,
        with_file.read,
        note=note and f"{note}{with_file.columns}; text alone",
    )


def open_parquet(path: Path) -> Any:
    """A pyarrow ParquetFile that reads little at a time; CaptionError if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=_READ_BUFFER_BYTES, pre_buffer=False)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def batches(path: Path, file: Any, columns: list[str], size: int) -> Iterator[dict[str, Any]]:
    """The columns of a parquet file, `size` rows at a time; CaptionError where it is damaged."""
    import pyarrow as pa

    try:
        for batch in file.iter_batches(batch_size=size, columns=columns):
            yield batch.to_pydict()
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def caption_column(path: Path, schema: Any) -> str:
    """The column of captions: texts or lists of texts. CaptionError lists those found."""
    import pyarrow as pa

    name = first_column(CAPTION_COLUMNS, schema.names)
    if name is not None:
        kind = schema.field(name).type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return name
    raise CaptionError(
        f"{path} has no column of captions; found {columns_of(schema)}; give one of "
        f"{', '.join(CAPTION_COLUMNS)} as text or as lists of texts"
    )


def unreadable(path: Path, error: Exception) -> CaptionError:
    """What to say of a damaged parquet file."""
    first_line = (str(error).splitlines() or [""])[0]
    return CaptionError(f"cannot read {path} as parquet: {first_line}; check the file")


class _Table:
    """A parquet file whose columns have been understood."""

    def __init__(self, path: Path) -> None:
        self._path = path
        file = open_parquet(path)
        schema = file.schema_arrow
        self.rows: int = file.metadata.num_rows
        self.columns = ", ".join(schema.names)
        self._captions = caption_column(path, schema)
        found = picture_column(schema)
        self._picture = found[0] if found else self._path_column(schema)
        self.pictured = self._picture is not None
        is_struct = bool(found and found[1])
        inside = struct_fields(schema.field(self._picture).type) if is_struct else []
        self._wanted = [self._captions] + (
            [f"{self._picture}.{name}" for name in ("bytes", "path") if name in inside]
            if is_struct
            else [self._picture]
            if self._picture
            else []
        )
        self._extra = [name for name in ("key", "status") if found and name in schema.names]

    def _path_column(self, schema: Any) -> str | None:
        import pyarrow as pa

        name = first_column(PATH_COLUMNS, schema.names)
        is_text = name is not None and (
            pa.types.is_string(schema.field(name).type)
            or pa.types.is_large_string(schema.field(name).type)
        )
        return name if is_text else None

    def read(self) -> Iterator[Item]:
        """The rows, in order."""
        size = _PICTURES_A_BATCH if self.pictured else _TEXTS_A_BATCH
        row = 0
        for batch in batches(
            self._path, open_parquet(self._path), self._wanted + self._extra, size
        ):
            for place, said in enumerate(batch[self._captions]):
                cell = batch[self._picture][place] if self._picture else None
                extra = [batch[name][place] for name in self._extra]
                texts = [t for t in said if t is not None] if isinstance(said, list) else said
                yield self._item(row, parse_captions(texts), cell, extra)
                row += 1

    def _item(self, row: int, captions: CaptionTexts, cell: object, extra: list[object]) -> Item:
        """The pair of one row; a row is named by its path, its key, or its number from 0."""
        table = storable(self._path.name)
        known = dict(zip(self._extra, extra, strict=True))
        name: object = known.get("key")
        if isinstance(cell, dict):
            name = name or cell.get("path")
        elif isinstance(cell, str):
            name = cell
        source = storable(f"{table}/{name}") if isinstance(name, str) and name else f"{table}#{row}"
        if known.get("status") not in (None, "success"):
            return Skipped(source, f"img2dataset: {known['status']}")
        load = self._loader(cell) if self.pictured else None
        return Pair(source, captions, load)

    def _loader(self, cell: object) -> Callable[[], bytes]:
        folder = self._path.resolve().parent
        if isinstance(cell, dict):
            if isinstance(cell.get("bytes"), bytes):
                return partial(bytes, cell["bytes"])
            cell = cell.get("path")
        if isinstance(cell, bytes):
            return partial(bytes, cell)
        if isinstance(cell, str) and cell and "\0" not in cell:
            return picture_at(folder, cell)
        return _no_picture


def _no_picture() -> bytes:
    raise PictureError("no picture in this row")
