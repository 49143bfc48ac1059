"""A parquet file (img2dataset, Hugging Face datasets, or captions alone) comes in; pairs go out."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lagotto.core.errors import CaptionError, PictureError
from lagotto.core.parsing.captioned_tables import (
    CAPTION_COLUMNS,
    CaptionTexts,
    merge_captions,
    parse_captions,
    path_column_by_content,
    storable,
)
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.parsing.parquet_columns import (
    caption_columns,
    columns_of,
    files_in,
    holds_files,
    is_picture_cell,
    path_column,
    picture_column,
    read_columns,
    text_columns,
    unnamed_file_columns,
)
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairSource,
    find_picture_folder,
    picture_at,
)

_PICTURES_PER_BATCH = 16
_TEXTS_PER_BATCH = 4096
_READ_BUFFER_BYTES = 2**20


def parquet_source(path: Path, images: Path | None = None) -> PairSource:
    """A source with one pair a row: captions, and a picture as bytes, a struct, or a path.

    Rows by img2dataset whose download failed are set aside.

    Raises:
        CaptionError: No column holds captions; the message lists the columns.
    """
    table = _Table(path, images)
    note = "" if table.has_pictures else f"{path}: no column of pictures among "
    return PairSource(
        path,
        table.rows,
        table.read,
        note=note and f"{note}{table.columns}; text alone",
        has_pictures=table.has_pictures,
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


def required_captions(path: Path, schema: Any) -> tuple[str, ...]:
    """The caption columns (texts, or lists of them); CaptionError if there is none."""
    names = caption_columns(schema)
    if names:
        return names
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

    def __init__(self, path: Path, images: Path | None) -> None:
        self._path = path
        self._images = images
        file = open_parquet(path)
        schema = file.schema_arrow
        self.rows: int = file.metadata.num_rows
        self.columns = ", ".join(schema.names)
        self._captions = required_captions(path, schema)
        self._picture = (
            picture_column(schema) or path_column(schema) or self._column_by_content(file, schema)
        )
        self.has_pictures = self._picture is not None
        self._holds_files = self._picture is not None and holds_files(
            schema.field(self._picture).type
        )
        self._columns = list(self._captions)
        if self._picture is not None and self._picture not in self._captions:
            self._columns += read_columns(schema, self._picture)
        self._extra_columns = [
            name for name in ("key", "status") if self._holds_files and name in schema.names
        ]

    def _column_by_content(self, file: Any, schema: Any) -> str | None:
        """The one column of a foreign name that holds or names pictures.

        Raises:
            CaptionError: Several columns do.
        """
        texts = [name for name in text_columns(schema) if name not in self._captions]
        names = unnamed_file_columns(schema) + texts
        if not names or not self.rows:
            return None
        first = next(batches(self._path, file, names, _PICTURES_PER_BATCH))
        holding = [name for name in names if any(map(is_picture_cell, first[name]))]
        if len(holding) > 1:
            raise CaptionError(
                f"{self._path}: columns {', '.join(holding)} all hold pictures; rename the one to "
                "read to image"
            )
        if holding:
            return holding[0]
        try:
            return path_column_by_content({n: first[n] for n in texts})
        except ValueError as error:
            raise CaptionError(f"{self._path} {error}") from error

    def read(self) -> Iterator[Item]:
        """The pairs of the rows, in order."""
        size = _PICTURES_PER_BATCH if self.has_pictures else _TEXTS_PER_BATCH
        row = 0
        folder: Path | None = None
        for batch in batches(
            self._path, open_parquet(self._path), self._columns + self._extra_columns, size
        ):
            cells = batch[self._picture] if self._picture else None
            if folder is None and cells is not None:
                folder = self._folder(cells)
            for row_in_batch in range(len(batch[self._captions[0]])):
                cell = cells[row_in_batch] if cells is not None else None
                extra = {name: batch[name][row_in_batch] for name in self._extra_columns}
                texts = [batch[name][row_in_batch] for name in self._captions]
                yield self._item(row, texts, cell, extra, folder)
                row += 1

    def _folder(self, cells: list[object]) -> Path:
        """The folder to which paths in the first cells are relative: where the files are."""
        parent = self._path.resolve().parent
        paths = [cell.get("path") if isinstance(cell, dict) else cell for cell in cells]
        names = [path for path in paths if isinstance(path, str) and path]
        return find_picture_folder(parent, names, self._images) or self._images or parent

    def _item(
        self,
        row: int,
        texts: list[object],
        cell: object,
        extra: dict[str, object],
        folder: Path | None,
    ) -> Item:
        """The pair of one row; its source is the path, the key, or the row's number from 0."""
        files = files_in(cell)
        cell = files[0] if files else None
        table = storable(self._path.name)
        name: object = extra.get("key")
        if isinstance(cell, dict):
            name = name or cell.get("path")
        elif isinstance(cell, str):
            name = cell
        source = storable(f"{table}/{name}") if isinstance(name, str) and name else f"{table}#{row}"
        if extra.get("status") not in (None, "success"):
            return Skipped(source, f"img2dataset: {extra['status']}")
        if len(files) > 1:
            return Skipped(source, f"{len(files)} pictures in one row; give each a row of its own")
        captions: CaptionTexts = ()
        try:
            for text in texts:
                captions = merge_captions(captions, parse_captions(_without_gaps(text)))
        except TypeError as error:
            return Skipped(source, f"has captions that are no texts: {error}")
        if not self.has_pictures:
            return Pair(source, captions)
        picture = _picture(cell, folder or self._path.parent)
        return replace(picture, source=source, captions=captions)


def _picture(cell: object, folder: Path) -> Pair:
    """A pair without captions, with the picture of a cell."""
    if isinstance(cell, dict):
        if isinstance(cell.get("bytes"), bytes):
            return Pair("", (), partial(bytes, cell["bytes"]))
        cell = cell.get("path")
    if isinstance(cell, bytes):
        return Pair("", (), partial(bytes, cell))
    if isinstance(cell, str) and cell and "\0" not in cell:
        return picture_at(folder, cell)
    return Pair("", (), _no_picture)


def _without_gaps(cell: object) -> object:
    """A cell without the empty entries of a list."""
    return [item for item in cell if item is not None] if isinstance(cell, list) else cell


def _no_picture() -> bytes:
    raise PictureError("no picture in this row")
