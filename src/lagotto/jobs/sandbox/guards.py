"""Starts one isolated process; what this machine can isolate its workers from goes out."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lagotto.jobs.sandbox.environment import worker_environment

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
    "" if none does; `reason` then says why.
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
    """The guards of this machine, as found by starting one process; the result is cached."""
    with tempfile.TemporaryDirectory(prefix="lagotto-") as folder:
        try:
            answer = subprocess.run(
                [sys.executable, "-P", "-m", "lagotto.jobs.sandbox.isolation", folder],
                env=worker_environment(Path(folder)),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TRY_S,
                check=True,
            )
            effects = json.loads(answer.stdout)
            return tuple(Guard(what, *effects[what]) for what in _WORDS)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            reason = f"no worker could be tried: {' '.join(str(error).split())}"
            return tuple(Guard(what, "", reason) for what in _WORDS)
