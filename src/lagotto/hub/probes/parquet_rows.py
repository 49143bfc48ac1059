"""A parquet file comes in; a candidate picture for each of some of its rows goes out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from lagotto.core.errors import PictureError, ProbeError
from lagotto.core.parsing.captioned_tables import (
    CaptionTexts,
    find_caption_columns,
    first_column,
    merge_captions,
    parse_captions,
    storable,
)
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
from lagotto.core.sources.credits import credit_columns, credit_of_row
from lagotto.core.types import NO_CREDIT, Credit
from lagotto.hub.probes.candidate import ProbeCandidate, load_named
from lagotto.jobs.tables.cells import Foreign
from lagotto.jobs.tables.parquet_table import ParquetTable

NAME_COLUMNS = ("path", "file_name", "file")

_BATCH_ROWS = 16
_NAMES_PER_BATCH = 4096


@dataclass(frozen=True, slots=True)
class ProbeColumns:
    """The columns that are read of a table; `credits` state licences, authors and origins."""

    picture: str
    captions: tuple[str, ...]
    credits: tuple[str, ...]
    name: str | None

    @property
    def described(self) -> tuple[str, ...]:
        """All but that of the pictures, each once."""
        named = () if self.name is None else (self.name,)
        return tuple(dict.fromkeys((*self.captions, *self.credits, *named)))


def columns_to_read(table: ParquetTable) -> ProbeColumns:
    """The column of pictures, those that describe them, and the one that names them, if any.

    Raises ProbeError if the table has no column of pictures.
    """
    column = _picture_column(table)
    names = [item.name for item in table.columns]
    name_column = first_column(NAME_COLUMNS, names)
    if name_column is None and "path" in file_fields(table.columns, column):
        name_column = f"{column}.path"
    usual = find_caption_columns(names, with_rare=False)
    captions = [name for name in caption_columns(table.columns) or usual if name != column]
    stated = [name for name in credit_columns(names) if name != column]
    return ProbeColumns(column, tuple(captions), tuple(stated), name_column)


def read_parquet_rows(
    table: ParquetTable, title: str, spans: Sequence[tuple[int, int]]
) -> Iterator[ProbeCandidate]:
    """One candidate a row. Names and captions are read now, pictures a few rows at a time.

    Args:
        table: The file.
        title: What the names of its pictures begin with.
        spans: The rows to read, from each first one up to its stop, in rising order.
    """
    found = columns_to_read(table)
    column, name_column = found.picture, found.name
    names = [item.name for item in table.columns]
    columns = [*found.described]
    if not columns:
        columns = [column] if column not in names else []
    pictures = _PictureColumn(table, column, title)
    top = name_column if name_column in names else (name_column or "").rpartition(".")[0]
    for first, stop in spans:
        if not columns:
            for row in range(first, stop):
                yield _parquet_candidate(pictures, row, None, (), NO_CREDIT)
            continue
        row = first
        for batch in table.read(columns, _NAMES_PER_BATCH, first):
            nothing: list[object] = [None] * len(next(iter(batch.values())))
            cells = [batch[name] for name in found.captions]
            for index, name in enumerate(batch.get(top or "", nothing)):
                if row == stop:
                    break
                texts = tuple(cell[index] for cell in cells)
                stated = {name: batch[name][index] for name in found.credits}
                yield _parquet_candidate(pictures, row, name, texts, credit_of_row(stated))
                row += 1
            if row == stop:
                break


def _parquet_candidate(
    pictures: "_PictureColumn",
    row: int,
    name: object,
    cells: tuple[object, ...],
    credit: Credit,
) -> ProbeCandidate:
    """The candidate of one row; a row without a name is named by its number, from 0."""
    if isinstance(name, dict):
        name = name.get("path")
    table = pictures.title
    captions: CaptionTexts = ()
    try:
        for cell in cells:
            captions = merge_captions(captions, parse_captions(cell))
    except TypeError as error:
        raise ProbeError(
            f"{pictures.path} row {row} has captions that are neither a text nor a list"
        ) from error
    source = storable(f"{table}/{name}") if isinstance(name, str) and name else f"{table}#{row}"
    return ProbeCandidate(source, partial(pictures.read, row), captions, credit)


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

    def __init__(self, table: ParquetTable, column: str, title: str) -> None:
        self.path = table.path
        self.title = title
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
                return load_named(self.path.parent, name)
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
