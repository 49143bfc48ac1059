"""A parquet file (img2dataset, Hugging Face datasets, or captions alone) comes in; pairs go out.

A worker parses it, within limits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lagotto.core.errors import CaptionError, PictureError
from lagotto.core.parsing.captioned_tables import (
    CAPTION_COLUMNS,
    CaptionTexts,
    merge_captions,
    parse_captions,
    path_column_by_content,
    storable,
)
from lagotto.core.parsing.parquet_columns import (
    Column,
    caption_columns,
    columns_of,
    files_in,
    is_picture_cell,
    path_column,
    picture_column,
    read_columns,
    text_columns,
    unnamed_file_columns,
)
from lagotto.core.types import Skipped
from lagotto.jobs.tables.cells import Foreign
from lagotto.jobs.tables.parquet_table import ParquetTable
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairSource,
    find_picture_folder,
    picture_at,
)

_PICTURES_PER_BATCH = 16
_TEXTS_PER_BATCH = 4096


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


def open_parquet(path: Path) -> ParquetTable:
    """A parquet file that a worker reads; CaptionError if it is damaged or refused."""
    return ParquetTable(path, CaptionError)


def required_captions(path: Path, columns: Sequence[Column]) -> tuple[str, ...]:
    """The caption columns (texts, or lists of them); CaptionError if there is none."""
    names = caption_columns(columns)
    if names:
        return names
    raise CaptionError(
        f"{path} has no column of captions; found {columns_of(columns)}; give one of "
        f"{', '.join(CAPTION_COLUMNS)} as text or as lists of texts"
    )


class _Table:
    """A parquet file with the roles of its columns."""

    def __init__(self, path: Path, images: Path | None) -> None:
        self._path = path
        self._images = images
        self._file = open_parquet(path)
        columns = self._file.columns
        self.rows = self._file.rows
        self.columns = ", ".join(column.name[:100] for column in columns[:100])
        self._captions = required_captions(path, columns)
        self._picture = picture_column(columns) or path_column(columns) or self._column_by_content()
        self.has_pictures = self._picture is not None
        self._holds_files = any(column.files for column in columns if column.name == self._picture)
        self._columns = list(self._captions)
        if self._picture is not None and self._picture not in self._captions:
            self._columns += read_columns(columns, self._picture)
        names = {column.name for column in columns}
        self._extra_columns: list[str] = [
            name for name in ("key", "status") if self._holds_files and name in names
        ]

    def _column_by_content(self) -> str | None:
        """The one column of a foreign name that holds or names pictures.

        Raises:
            CaptionError: Several columns do.
        """
        columns = self._file.columns
        texts = [name for name in text_columns(columns) if name not in self._captions]
        names = unnamed_file_columns(columns) + texts
        if not names or not self.rows:
            return None
        first = next(self._file.read(names, _PICTURES_PER_BATCH))
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
        for batch in self._file.read(self._columns + self._extra_columns, size):
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
        data = cell.get("bytes")
        cell = data if isinstance(data, bytes | Foreign) else cell.get("path")
    if isinstance(cell, bytes):
        return Pair("", (), partial(bytes, cell))
    if isinstance(cell, str) and cell and "\0" not in cell:
        return picture_at(folder, cell)
    if isinstance(cell, Foreign):
        return Pair("", (), partial(_refuse, cell.what))
    return Pair("", (), partial(_refuse, "no picture in this row"))


def _without_gaps(cell: object) -> object:
    """A cell without the empty entries of a list."""
    return [item for item in cell if item is not None] if isinstance(cell, list) else cell


def _refuse(reason: str) -> bytes:
    raise PictureError(reason)
