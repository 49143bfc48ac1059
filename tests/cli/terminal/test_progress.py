"""Progress in a log, by a clock that the test moves."""

import sys
import threading
import time

import pytest

from command_line import lagotto
from lagotto.cli import main
from lagotto.cli.terminal import progress as terminal
from lagotto.cli.terminal.progress import (
    LINE_EVERY_S,
    ProgressBar,
    ProgressLines,
    duration,
    open_progress,
)
from lagotto.core.errors import LagottoError
from lagotto.core.progress import Progress, Silent


class Log:
    """Lines, and the clock by which they are written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 1000.0
        self.progress = ProgressLines(self.lines.append, lambda: self.now, beat=False)

    def wait(self, seconds: float) -> None:
        """Time goes by, and the progress looks at it."""
        self.now += seconds
        self.progress.tell_if_due()


def test_a_line_is_written_every_thirty_seconds_and_not_sooner() -> None:
    log = Log()
    log.progress.start("probing", 14_080, "pictures")
    for _ in range(29):
        log.now += 1
        log.progress.advance(10, "1/22 models")
    assert log.lines == []
    log.now += 1
    log.progress.advance(10, "2/22 models, 1 failed")
    assert log.lines == [
        "probing: 300 of 14,080 pictures, 10 pictures/s, 2/22 models, 1 failed, 22 min 58 s left"
    ]
    log.now += 29
    log.progress.advance(10)
    assert len(log.lines) == 1
    log.wait(1)
    assert log.lines[1].startswith("probing: 310 of 14,080 pictures, 5.2 pictures/s, 2/22 models")


def test_a_slow_model_is_told_of_too() -> None:
    log = Log()
    log.progress.start("loading models", 3, "models")
    for _ in range(5):
        log.wait(LINE_EVERY_S)
    assert log.lines == [
        f"loading models: 0 of 3 models, {words} so far"
        for words in ("30 s", "1 min 0 s", "1 min 30 s", "2 min 0 s", "2 min 30 s")
    ]


def test_quick_work_says_nothing_and_many_short_stages_do() -> None:
    log = Log()
    for stage in ("one", "two"):
        log.progress.start(stage, 2, "queries")
        log.now += 10
        log.progress.advance(2)
        log.progress.finish()
    assert log.lines == []
    log.progress.start("three", 2, "queries")
    log.now += 10
    log.progress.advance(1)
    log.progress.advance(1)
    log.progress.finish()
    assert log.lines == ["three: 1 of 2 queries, 0.1 queries/s, 10 s left"]


def test_a_stage_that_was_told_of_has_an_end() -> None:
    log = Log()
    log.progress.start("probing", 4, "pictures")
    log.now += 45
    log.progress.advance(2, "a\nname")
    log.now += 15
    log.progress.advance(2)
    log.progress.start("next", 1, "models")
    assert log.lines[-1] == r"probing: 4 of 4 pictures in 1 min 0 s, a\nname"
    log.progress.finish()
    log.progress.finish()
    assert len(log.lines) == 2


def test_time_is_watched_also_while_nothing_advances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "LINE_EVERY_S", 0.05)
    monkeypatch.setattr(terminal, "_LOOK_EVERY_S", 0.01)
    lines: list[str] = []
    progress = ProgressLines(lines.append)
    progress.start("probing", 4, "pictures")
    until = time.monotonic() + 20
    while len(lines) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    progress.finish()
    told = len(lines)
    assert told >= 3  # two lines or more, and the end
    time.sleep(0.1)
    assert len(lines) == told


def test_a_terminal_gets_a_bar_and_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_progress(True), Silent)
    for is_terminal, kind in ((True, ProgressBar), (False, ProgressLines)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        chosen = open_progress(False)
        assert isinstance(chosen, kind)
        assert isinstance(chosen, Progress)


def test_work_that_fails_tells_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_LOOK_EVERY_S", 0.01)

    def fail() -> None:
        open_progress(False).start("probing", 4, "pictures")
        raise LagottoError("it is broken; mend it")

    monkeypatch.setattr(main, "app", fail)
    before = threading.active_count()
    lagotto("search").refused(1, "it is broken")
    until = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599.0, "59 min 59 s"), (7500.0, "2 h 5 min")],
)
def test_durations_have_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
