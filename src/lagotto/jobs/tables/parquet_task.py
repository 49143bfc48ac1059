"""A parquet file comes in, in a worker; its columns and rows go out, a few at a time.

pyarrow may ask for memory without end, or end the process. So no other process parses parquet, and
what the file declares is looked at first.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from lagotto.core.images import MAX_PICTURE_BYTES
from lagotto.core.parsing.parquet_columns import columns_of_schema
from lagotto.core.types import JsonObject, JsonValue
from lagotto.jobs.tables.cells import Foreign, Row, write_rows

MAX_COLUMNS = 10_000
MAX_CELL_BYTES = MAX_PICTURE_BYTES
_MAX_CELL = 2**14
"""Characters of a text that are read; a caption of more than 10,000 is set aside by its length."""

MAX_ITEMS = 10_000
"""Entries of a list in one cell."""

_CHUNK_BYTES = 2**25
_READ_BUFFER_BYTES = 2**20
_FREE_ROWS = 1_000_000
_ROWS_A_BYTE = 64
"""A table of more than _FREE_ROWS rows holds less than this for each byte of its file."""

_open: list["_Reader"] = []


def describe_parquet(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """The task: {"path"} to {"rows", "groups", "columns"}, or {"refused": why}."""
    path = Path(str(payload["path"]))
    file = _parquet_file(path)
    metadata = file.metadata
    if metadata.num_columns > MAX_COLUMNS:
        count = f"has {metadata.num_columns:,} columns"
        return {"refused": f"{count}; at most {MAX_COLUMNS:,} are read"}
    size = path.stat().st_size
    if metadata.num_rows > max(_FREE_ROWS, _ROWS_A_BYTE * size):
        count = f"declares {metadata.num_rows:,} rows in {size:,} bytes"
        return {"refused": f"{count}, more than any table of captions or pictures has"}
    columns = [column.as_json() for column in columns_of_schema(file.schema_arrow)]
    return {"rows": metadata.num_rows, "columns": columns}


def list_row_groups(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """The task: {"path", "columns"} to {"groups": [[rows, [[start, stop], ...]], ...]}.

    The places are those of the bytes of the columns in the file; a column may be a field of a
    struct, as `image.bytes`. What lies outside the file is refused.
    """
    path = Path(str(payload["path"]))
    wanted = payload.get("columns")
    names = [str(name) for name in wanted] if isinstance(wanted, list) else []
    metadata, size = _parquet_file(path).metadata, path.stat().st_size
    groups: list[JsonValue] = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        places: list[JsonValue] = []
        for index in range(group.num_columns):
            chunk = group.column(index)
            if not any(_is_under(chunk.path_in_schema, name) for name in names):
                continue
            offsets = [chunk.data_page_offset]
            if chunk.dictionary_page_offset:  # 0 and None are none
                offsets.append(chunk.dictionary_page_offset)
            start, stop = min(offsets), min(offsets) + chunk.total_compressed_size
            if not 0 < start < stop <= size:
                return {"refused": "declares columns outside itself"}
            places.append([start, stop])
        groups.append([group.num_rows, places])
    return {"groups": groups}


def _is_under(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


def read_parquet(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """The task: rows from `first` on, of some columns, written to the file `out`.

    With "within": true no more is read than the row group that `first` is in: the rest of the file
    may not be there. Checksums of pages are then compared, as no other checksum covers them.

    The answer is {"rows": how many, at most `most`}, or {"refused": why}.
    """
    match payload:
        case {
            "path": str(path),
            "columns": list(columns),
            "first": int(first),
            "most": int(most),
            "out": str(out),
        }:
            names, within = tuple(map(str, columns)), payload.get("within") is True
            if not _open or (_open[0].path, _open[0].columns) != (path, names):
                _open[:] = [_Reader(path, names, within)]
            if _open[0].refusal:
                return {"refused": _open[0].refusal}
            rows = _open[0].take(first, most)
            write_rows(Path(out), rows)
            return {"rows": len(rows)}
    raise ValueError("not a task to read parquet")


def _parquet_file(path: Path | str, checked: bool = False) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(
        *(path,),
        buffer_size=_READ_BUFFER_BYTES,
        pre_buffer=False,
        page_checksum_verification=checked,
    )


class _Reader:
    """The rows of some columns; in rising order they cost one pass."""

    def __init__(self, path: str, columns: tuple[str, ...], within: bool) -> None:
        self.path, self.columns, self._within = path, columns, within
        self._file = _parquet_file(path, checked=within)
        metadata = self._file.metadata
        groups = (metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))
        self._starts = list(accumulate(groups, initial=0))
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._first = self._stop = self._starts[-1]
        self._names = list(dict.fromkeys(self._top_name(column) for column in columns))
        self.refusal = self._declared(metadata)

    def _top_name(self, column: str) -> str:
        """The column that a name such as `image.bytes` is a field of."""
        names = self._file.schema_arrow.names
        return column if column in names else column.rpartition(".")[0]

    def _declared(self, metadata: Any) -> str:
        """Why the sizes that the file declares of these columns are refused; "" if they are not."""
        for group in range(metadata.num_row_groups):
            for index in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(index)
                if chunk.path_in_schema.partition(".")[0] not in self._names:
                    continue
                cell = chunk.total_uncompressed_size // max(chunk.num_values, 1)
                if cell > MAX_CELL_BYTES:
                    return (
                        f"declares cells of {cell / 2**20:,.0f} MiB in {chunk.path_in_schema}; at "
                        f"most {MAX_CELL_BYTES // 2**20} MiB are read"
                    )
        return ""

    def take(self, first: int, most: int) -> list[Row]:
        """At least one and at most `most` rows from `first` on; none behind the last."""
        if first >= self._starts[-1]:
            return []
        if self._batch is None or not self._first <= first < self._stop or self._is_far(first):
            group = bisect_right(self._starts, first) - 1
            end = group + 1 if self._within else len(self._starts) - 1
            groups, self._stop = list(range(group, end)), self._starts[end]
            self._batches = self._file.iter_batches(
                batch_size=most, row_groups=groups, columns=list(self.columns), use_threads=False
            )
            self._first, self._batch = self._starts[group], next(self._batches)
        while first >= self._first + self._batch.num_rows:
            self._first += self._batch.num_rows
            self._batch = next(self._batches)
        return _cells(self._batch.slice(first - self._first, most), self._names)

    def _is_far(self, first: int) -> bool:
        """Whether a row is in a later group than the one that comes next."""
        return bisect_right(self._starts, first) > bisect_right(self._starts, self._first) + 1


def _cells(batch: Any, names: list[str]) -> list[Row]:
    """The rows of a batch, as many as fit in a chunk, at least one."""
    columns = [batch.column(names.index(name)) for name in names]
    if batch.nbytes <= _CHUNK_BYTES and all(_is_flat(column.type) for column in columns):
        lists = [[_bounded(cell) for cell in column.to_pylist()] for column in columns]
        return [list(row) for row in zip(*lists, strict=True)]
    rows: list[Row] = []
    size = 0
    for index in range(batch.num_rows):
        rows.append([_cell(column[index]) for column in columns])
        size += sum(map(_size, rows[-1]))
        if size > _CHUNK_BYTES:
            break
    return rows


def _is_flat(kind: Any) -> bool:
    """Whether cells of a type are no larger than their share of the batch."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return all(_is_flat(field.type) for field in kind)
    return not (pa.types.is_nested(kind) or pa.types.is_dictionary(kind))


def _cell(scalar: Any) -> object:
    """The value of a cell, unless it is too large."""
    values = getattr(scalar, "values", None)
    if values is not None and not isinstance(scalar.type, type) and hasattr(values, "nbytes"):
        if len(values) > MAX_ITEMS:
            return Foreign(f"a list of {len(values):,} entries")
        if values.nbytes > MAX_CELL_BYTES:
            return Foreign(f"a list of {values.nbytes / 2**20:,.0f} MiB")
    return _bounded(scalar.as_py())


def _bounded(cell: object) -> object:
    if isinstance(cell, str) and len(cell) > _MAX_CELL:
        return cell[:_MAX_CELL]
    if isinstance(cell, bytes) and len(cell) > MAX_CELL_BYTES:
        return Foreign(f"{len(cell) / 2**20:,.0f} MiB; at most {MAX_CELL_BYTES // 2**20} are read")
    if isinstance(cell, dict):
        return {key: _bounded(value) for key, value in cell.items()}
    if isinstance(cell, list):
        return [_bounded(item) for item in cell]
    return cell


def _size(cell: object) -> int:
    if isinstance(cell, str | bytes):
        return len(cell)
    if isinstance(cell, dict):
        return sum(map(_size, cell.values()))
    return sum(map(_size, cell)) if isinstance(cell, list) else 8
