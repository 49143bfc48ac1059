"""Steps of long work come in; a bar on a terminal, or now and then a line in a log, goes out."""

import atexit
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lagotto.cli.output import notice, printable
from lagotto.core.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

LINE_EVERY_S = 30.0
"""Seconds between two lines in a log: work that is done sooner writes none."""

_LOOK_EVERY_S = 1.0


def open_progress(quiet: bool) -> Progress:
    """A bar if stderr is a terminal, lines if it is a file or a pipe, nothing if `quiet`."""
    if quiet:
        return Silent()
    progress = ProgressBar() if sys.stderr.isatty() else ProgressLines()
    _opened.append(progress)
    return progress


def end_progress() -> None:
    """Ends what a command opened and an error left open, so that the error is the last word."""
    while _opened:
        _opened.pop().finish()


@dataclass(slots=True)
class ProgressBar:
    """A core.progress.Progress on stderr: stage, bar, units done, units a second, time left."""

    _bar: "RichProgress | None" = field(default=None, init=False)
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
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self._bar.start()
        atexit.register(self.finish)  # an error or Ctrl-C leaves the terminal as it was
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
            atexit.unregister(self.finish)
        self._bar = None


class ProgressLines:
    """A core.progress.Progress in a log: a line every 30 s, also while no unit is done.

    A line says the stage, the units done, units a second, the stage's remark and the time left. The
    interval goes on from stage to stage, so that many short stages are told of too. Whoever calls
    `start` calls `finish`, or starts another stage.
    """

    def __init__(
        self,
        write: Callable[[str], None] = notice,
        clock: Callable[[], float] = time.monotonic,
        beat: bool = True,
    ) -> None:
        """`clock` gives seconds; without `beat`, lines are written by `tell_if_due` alone."""
        self._write = write
        self._clock = clock
        self._beat = beat
        self._lock = threading.Lock()
        self._stage: _Stage | None = None
        self._told_at = clock()
        self._ended: threading.Event | None = None

    def start(self, stage: str, total: int, unit: str) -> None:
        """Begins a stage, and ends the one before it."""
        self._end_stage()
        with self._lock:
            self._stage = _Stage(stage, total, unit, self._clock())
        if self._beat and self._ended is None:
            self._ended = threading.Event()
            atexit.register(self.finish)
            threading.Thread(target=self._keep_telling, args=[self._ended], daemon=True).start()

    def advance(self, units: int, note: str = "") -> None:
        """Counts the units; the line is written when it is due."""
        with self._lock:
            if self._stage is not None:
                self._stage.done += units
                self._stage.note = note or self._stage.note
        self.tell_if_due()

    def tell_if_due(self) -> None:
        """Writes the line if the last one is 30 s old."""
        with self._lock:
            now = self._clock()
            if self._stage is None or now - self._told_at < LINE_EVERY_S:
                return
            self._told_at = now
            self._stage.is_told = True
            self._write(printable(self._stage.line(now)))

    def finish(self) -> None:
        """Ends the stage; of a long one that was told of, a last line says how long it took."""
        self._end_stage()
        if self._ended is not None:
            self._ended.set()
            self._ended = None
            atexit.unregister(self.finish)

    def _end_stage(self) -> None:
        with self._lock:
            stage, self._stage = self._stage, None
            now = self._clock()
            if stage is not None and stage.is_told and now - stage.started >= LINE_EVERY_S:
                self._told_at = now
                self._write(printable(stage.last_line(now)))

    def _keep_telling(self, ended: threading.Event) -> None:
        while not ended.wait(_LOOK_EVERY_S):
            self.tell_if_due()


_opened: list[ProgressBar | ProgressLines] = []


@dataclass(slots=True)
class _Stage:
    """A stage of the work: `done` of `total` units; `started` is in seconds of the clock."""

    name: str
    total: int
    unit: str
    started: float
    done: int = 0
    note: str = ""
    is_told: bool = False

    def line(self, now: float) -> str:
        """How far the stage is."""
        elapsed = now - self.started
        parts = [f"{self.done:,} of {self.total:,} {self.unit}"]
        if self.done and elapsed:
            parts.append(f"{_rate(self.done / elapsed)} {self.unit}/s")
        if self.note:
            parts.append(self.note)
        if self.done and self.total > self.done:
            parts.append(f"{duration(elapsed / self.done * (self.total - self.done))} left")
        elif not self.done:
            parts.append(f"{duration(elapsed)} so far")
        return f"{self.name}: {', '.join(parts)}"

    def last_line(self, now: float) -> str:
        """How the stage ended."""
        note = f", {self.note}" if self.note else ""
        counted = f"{self.done:,} of {self.total:,} {self.unit}"
        return f"{self.name}: {counted} in {duration(now - self.started)}{note}"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def duration(seconds: float) -> str:
    """Seconds in the two units that say most.

    Example:
        >>> duration(42.0), duration(130.0), duration(7500.0)
        ('42 s', '2 min 10 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"
