"""A parquet file (img2dataset, Hugging Face datasets, or captions alone) comes in; pairs go out."""

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
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairSource,
    picture_at,
)

_PICTURES_PER_BATCH = 16
_TEXTS_PER_BATCH = 4096
_READ_BUFFER_BYTES = 2**20


def parquet_source(path: Path) -> PairSource:
    """A source with one pair a row: captions, and a picture as bytes, a struct, or a path.

    Rows by img2dataset whose download failed are set aside.

    Raises:
        CaptionError: No column holds captions; the message lists the columns.
    """
    table = _Table(path)
    note = "" if table.has_pictures else f"{path}: no column of pictures among "
    return PairSource(
        path,
        table.rows,
        table.read,
        note=note and f"{note}{table.columns}; text alone",
    )


def open_parquet(path: Path) -> Any:
    """A pyarrow ParquetFile with a small read buffer; CaptionError if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=_READ_BUFFER_BYTES, pre_buffer=False)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def batches(path: Path, file: Any, columns: list[str], size: int) -> Iterator[dict[str, Any]]:
    """The columns of a parquet file, `size` rows at a time; CaptionError if it is damaged."""
    import pyarrow as pa

    try:
        for batch in file.iter_batches(batch_size=size, columns=columns):
            yield batch.to_pydict()
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def caption_column(path: Path, schema: Any) -> str:
    """The name of the caption column (texts, or lists of them); CaptionError if there is none."""
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
    """The error for a damaged parquet file, or for what a failed download left in its place."""
    clause = what_lies_at(path)
    if clause is not None:
        return CaptionError(f"{path} is {clause}")
    first_line = (str(error).splitlines() or [""])[0]
    return CaptionError(f"cannot read {path} as parquet: {first_line}; check the file")


class _Table:
    """A parquet file with the roles of its columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        file = open_parquet(path)
        schema = file.schema_arrow
        self.rows: int = file.metadata.num_rows
        self.columns = ", ".join(schema.names)
        self._captions = caption_column(path, schema)
        picture_field = picture_column(schema)
        self._picture = picture_field[0] if picture_field else self._path_column(schema)
        self.has_pictures = self._picture is not None
        is_struct = bool(picture_field and picture_field[1])
        fields = struct_fields(schema.field(self._picture).type) if is_struct else []
        self._columns = [self._captions] + (
            [f"{self._picture}.{name}" for name in ("bytes", "path") if name in fields]
            if is_struct
            else [self._picture]
            if self._picture
            else []
        )
        self._extra_columns = [
            name for name in ("key", "status") if picture_field and name in schema.names
        ]

    def _path_column(self, schema: Any) -> str | None:
        import pyarrow as pa

        name = first_column(PATH_COLUMNS, schema.names)
        is_text = name is not None and (
            pa.types.is_string(schema.field(name).type)
            or pa.types.is_large_string(schema.field(name).type)
        )
        return name if is_text else None

    def read(self) -> Iterator[Item]:
        """The pairs of the rows, in order."""
        size = _PICTURES_PER_BATCH if self.has_pictures else _TEXTS_PER_BATCH
        row = 0
        for batch in batches(
            self._path, open_parquet(self._path), self._columns + self._extra_columns, size
        ):
            for row_in_batch, cell_captions in enumerate(batch[self._captions]):
                cell = batch[self._picture][row_in_batch] if self._picture else None
                extra = [batch[name][row_in_batch] for name in self._extra_columns]
                texts = (
                    [t for t in cell_captions if t is not None]
                    if isinstance(cell_captions, list)
                    else cell_captions
                )
                yield self._item(row, parse_captions(texts), cell, extra)
                row += 1

    def _item(self, row: int, captions: CaptionTexts, cell: object, extra: list[object]) -> Item:
        """The pair of one row; its source is the path, the key, or the row's number from 0."""
        table = storable(self._path.name)
        extra_values = dict(zip(self._extra_columns, extra, strict=True))
        name: object = extra_values.get("key")
        if isinstance(cell, dict):
            name = name or cell.get("path")
        elif isinstance(cell, str):
            name = cell
        source = storable(f"{table}/{name}") if isinstance(name, str) and name else f"{table}#{row}"
        if extra_values.get("status") not in (None, "success"):
            return Skipped(source, f"img2dataset: {extra_values['status']}")
        load = self._loader(cell) if self.has_pictures else None
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
