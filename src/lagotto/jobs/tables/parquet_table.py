"""The path of a parquet file comes in; its columns and rows go out, parsed by a worker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import LagottoError
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.parsing.parquet_columns import Column, columns_from_json
from lagotto.core.types import JsonObject, JsonValue
from lagotto.jobs.tables.cells import Row, read_rows
from lagotto.jobs.tables.worker import TableError, table_worker

_TASKS = "lagotto.jobs.tables.parquet_task"


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows from `first` up to `stop`, and the byte ranges [start, stop) of columns of them."""

    first: int
    stop: int
    places: tuple[tuple[int, int], ...]


class ParquetTable:
    """A parquet file: `columns` has their names and kinds, `rows` is how many it declares.

    Of a file that is there in part, `within` has each read end at the end of its row group.
    """

    def __init__(self, path: Path, error: type[LagottoError], *, within: bool = False) -> None:
        """Raises `error` if the file cannot be read, or is refused."""
        self.path = path
        self._within = within
        self._error = error
        self._worker = table_worker()
        answer = self._ask("describe_parquet", {"path": str(path.absolute())})
        try:
            self.columns: tuple[Column, ...] = columns_from_json(answer.get("columns"))
            self.rows = int(str(answer.get("rows")))
        except ValueError as reason:
            raise self._unreadable(str(reason)) from reason

    def read(
        self, columns: Sequence[str], most: int, first: int = 0
    ) -> Iterator[dict[str, list[object]]]:
        """The cells of some columns by name, at most `most` rows at a time, from a row on.

        A column may be a field of a struct, as `image.bytes`; its cells are then structs under the
        name `image`. Raises the error that was given to the table.
        """
        names = list(dict.fromkeys(self._top_name(column) for column in columns))
        while first < self.rows:
            rows = self._rows(columns, first, most)
            if not rows or any(len(row) != len(names) for row in rows):
                raise self._unreadable("it holds fewer rows than it declares")
            yield {name: [row[place] for row in rows] for place, name in enumerate(names)}
            first += len(rows)

    def row_groups(self, columns: Sequence[str]) -> tuple[RowGroup, ...]:
        """The row groups of the file, with the places of some columns in it."""
        answer = self._ask(
            "list_row_groups", {"path": str(self.path.absolute()), "columns": [*columns]}
        )
        groups: list[RowGroup] = []
        first, listed = 0, answer.get("groups")
        for group in listed if isinstance(listed, list) else ():
            match group:
                case [int(rows), list(places)] if rows >= 0:
                    found = tuple(map(self._place, places))
                    groups.append(RowGroup(first, first + rows, found))
                    first += rows
                case _:
                    raise self._unreadable("its worker gave no row groups")
        return tuple(groups)

    def _place(self, value: JsonValue) -> tuple[int, int]:
        match value:
            case [int(start), int(stop)] if 0 <= start < stop:
                return start, stop
        raise self._unreadable("its worker gave no places of columns")

    def _top_name(self, column: str) -> str:
        names = [item.name for item in self.columns]
        return column if column in names else column.rpartition(".")[0]

    def _rows(self, columns: Sequence[str], first: int, most: int) -> list[Row]:
        if not columns:
            return [[] for _ in range(min(most, self.rows - first))]
        out = self._worker.new_file()
        payload: JsonObject = {
            "path": str(self.path.absolute()),
            "columns": [*columns],
            "first": first,
            "most": most,
            "out": str(out),
            "within": self._within,
        }
        try:
            self._ask("read_parquet", payload)
            return read_rows(out)
        except (OSError, ValueError) as error:
            raise self._unreadable(f"its worker gave no rows: {error}") from error
        finally:
            out.unlink(missing_ok=True)

    def _ask(self, task: str, payload: JsonObject) -> JsonObject:
        try:
            return self._worker.ask(f"{_TASKS}:{task}", payload)
        except TableError as error:
            raise self._unreadable(str(error)) from error

    def _unreadable(self, reason: str) -> LagottoError:
        """The error for a refused or damaged file, or for what a failed download left there."""
        clause = what_lies_at(self.path)
        if clause is not None:
            return self._error(f"{self.path} is {clause}")
        if reason.startswith(("has ", "declares ", "needs ", "takes ", "ends ")):
            return self._error(f"{self.path} {reason}")
        return self._error(f"cannot read {self.path} as parquet: {reason}; check the file")
