"""The one output sink: data on stdout, notices and progress on stderr."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lagotto.core.types import JsonObject

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def printable(text: str) -> str:
    """Text from a stranger with control characters shown, not obeyed."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def print_json(value: JsonObject) -> None:
    """One JSON object on stdout and nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def print_line(text: str = "") -> None:
    """One line of the answer on stdout."""
    sys.stdout.write(text + "\n")


def notice(text: str) -> None:
    """One line about the work on stderr."""
    sys.stderr.write(text + "\n")


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: frozenset[str] = frozenset()
) -> None:
    """A plain aligned table on stdout; columns named in `numeric` are right-aligned."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(c), *(len(row[i]) for row in cells), 0) for i, c in enumerate(columns)]
    for row in [list(columns), *cells]:
        aligned = [
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        ]
        print_line("  ".join(aligned).rstrip())


@dataclass(slots=True)
class ProgressBar:
    """A core.progress.Progress on stderr: stage, bar, units done, units a second, time left."""

    _bar: "Progress | None" = field(default=None, init=False)
    _task: "TaskID | None" = field(default=None, init=False)

    def start(self, stage: str, total: int, unit: str) -> None:
        """Opens a bar for the stage."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.finish()
        self._bar = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=not sys.stderr.isatty(),
        )
        self._bar.start()
        self._task = self._bar.add_task(stage, total=total, unit=unit, rate="", note="")

    def advance(self, units: int, note: str = "") -> None:
        """Moves the bar; the rate is that of the whole stage so far."""
        if self._bar is None or self._task is None:
            return
        self._bar.update(self._task, advance=units)
        task = self._bar.tasks[0]
        speed = task.completed / task.elapsed if task.elapsed else 0.0
        fields = {"rate": f"{speed:.0f}/s"} | ({"note": note} if note else {})
        self._bar.update(self._task, **fields)  # type: ignore[arg-type]  # rich takes any field

    def finish(self) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None
