"""Starts commands for tests: with default signals, and ended with all processes that they start."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LAUNCHER = """
import ctypes, os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs before the command, in the same process.

A test run that a script started in the background ignores SIGINT, and so would every process that
it starts: Python answers Ctrl-C only where the signal is not ignored. The command also ends with
the process that started it, however that ends.
"""


@contextmanager
def running_command(
    command: Sequence[str | Path], **options: Any
) -> Iterator["subprocess.Popen[Any]"]:
    """A command in a process group of its own, with default signals, while the block runs.

    At the end of the block, also by an error, what is left of the group is killed and its pipes
    are closed. `options` go to subprocess.Popen.
    """
    words = [sys.executable, "-I", "-S", "-c", LAUNCHER, *map(str, command)]
    with subprocess.Popen(words, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):  # it ended, and was waited for
                os.killpg(process.pid, signal.SIGKILL)


def descends_from_here(pid: int) -> bool:
    """Whether this process started a process, or one that started it, and so on."""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def is_running(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether a condition came true within a time, which is generous for a busy machine."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
