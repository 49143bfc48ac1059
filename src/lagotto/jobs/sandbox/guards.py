"""Starts one isolated process; what this machine was seen to isolate its workers from goes out."""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lagotto.core.temporary.leftovers import temporary_folder
from lagotto.jobs.sandbox.environment import worker_environment
from lagotto.jobs.sandbox.privileges import hide_memory

_TRY_S = 30.0
_WORDS = {
    "network": "the network",
    "processes": "starting programs and reaching other processes",
    "files": "changing files outside the hub",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """One kind of isolation of workers.

    `what` is "network", "processes" or "files". `means` is the kernel feature that isolates them,
    "" if none does or if a process under it still reached something; `reason` then says why.
    """

    what: str
    means: str
    reason: str

    @property
    def words(self) -> str:
        """What workers cannot reach, in words."""
        return _WORDS.get(self.what, self.what)


@cache
def find_guards() -> tuple[Guard, ...]:
    """The guards of this machine, as one process found by trying; the result is cached.

    A guard counts only if everything that the process tried against it was refused.
    """
    hide_memory()
    try:
        with temporary_folder("guards") as folder, _bait(folder) as words:
            answer = subprocess.run(
                [sys.executable, "-P", "-m", "lagotto.jobs.sandbox.self_test", *words],
                env=worker_environment(folder),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                start_new_session=True,
                timeout=_TRY_S,
                check=True,
            )
            found = json.loads(answer.stdout)
            return tuple(_guard(what, *found[what]) for what in _WORDS)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        reason = f"no worker could be tried: {' '.join(str(error).split())}"
        return tuple(Guard(what, "", reason) for what in _WORDS)


def _guard(what: str, means: str, reason: str, reached: list[str]) -> Guard:
    """A guard with its means if nothing was reached, else without, and with what was reached."""
    if not means or not reached:
        return Guard(what, means, reason)
    return Guard(what, "", f"{means} took effect, but a worker still reached {', '.join(reached)}")


@contextlib.contextmanager
def _bait(folder: Path) -> Iterator[list[str]]:
    """The arguments of self_test.py: a folder, a file outside it, a process, and two sockets."""
    inside, outside, service = folder / "inside", folder / "file", folder / "service"
    inside.mkdir()
    for name in ("file", "file.spare"):
        (folder / name).write_text("x")
    with contextlib.ExitStack() as opened:
        waits = [sys.executable, "-I", "-S", "-c", "input()"]  # until its input ends with this one
        bystander = opened.enter_context(subprocess.Popen(waits, stdin=subprocess.PIPE, text=True))
        opened.callback(bystander.kill)
        port, path = "0", ""
        with contextlib.suppress(OSError):  # this process may have no network itself
            server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = str(server.getsockname()[1])
        with contextlib.suppress(OSError):  # the name of a socket must not be long
            local = opened.enter_context(socket.socket(socket.AF_UNIX))
            local.bind(str(service))
            local.listen()
            path = str(service)
        yield [str(inside), str(outside), str(bystander.pid), port, path]
