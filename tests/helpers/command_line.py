"""Runs `lagotto` for tests: in this process, which is quick, or in its own."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lagotto.cli.main import main

COMMAND = (sys.executable, "-m", "lagotto.cli.main")
ENVIRONMENT = os.environ | {"PYTHONIOENCODING": "utf-8"}


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; fails if there is anything else."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    def refused(self, code: int, *words: str) -> None:
        """Fails unless the command ended with one line on stderr that has these words."""
        assert "Traceback" not in self.err
        assert self.code == code, self
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("lagotto: ")
        for word in words:
            assert word in self.err, (word, self.err)


def lagotto(*words: str | Path) -> Answer:
    """The command in this process, by its entry point."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["lagotto", *(str(word) for word in words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    else:
        code = 0
    finally:
        sys.argv = before
    return Answer(code, out.getvalue(), err.getvalue())


def lagotto_process(*words: str | Path, **options: Any) -> Answer:
    """The command in a process of its own."""
    given: dict[str, Any] = {"capture_output": True, "timeout": 120, "env": ENVIRONMENT} | options
    ended = subprocess.run([*COMMAND, *map(str, words)], text=True, check=False, **given)
    return Answer(ended.returncode, ended.stdout or "", ended.stderr or "")


def stderr_on_a_terminal(*words: str | Path) -> str:
    """All that the command, in its own process, writes to a stderr that is a terminal."""
    mine, its = os.openpty()
    given = [*COMMAND, *(str(word) for word in words)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": its}
    shown = b""
    with subprocess.Popen(given, env=ENVIRONMENT | {"TERM": "xterm"}, **pipes) as process:
        os.close(its)
        with contextlib.suppress(OSError):  # the terminal is gone when the command is
            while part := os.read(mine, 4096):
                shown += part
    os.close(mine)
    assert process.returncode == 0, shown
    return shown.decode()
