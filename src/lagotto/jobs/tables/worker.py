"""Questions about a table come in; answers of a worker go out, or the reason why there is none."""

import shutil
import threading
import weakref
from itertools import count
from pathlib import Path

from lagotto.core.errors import LagottoError
from lagotto.core.temporary.leftovers import make_temporary_folder
from lagotto.core.types import JsonObject
from lagotto.jobs.base import Runner, Task
from lagotto.jobs.worker_limits import Limits

MEMORY_BYTES = 4 * 2**30
TIMEOUT_S = 600.0

_current: list["weakref.ref[TableWorker]"] = []
_making = threading.Lock()


class TableError(LagottoError):
    """A worker could not read a table; the message is the reason, without the name of the table."""


class TableWorker:
    """One worker process that parses tables, and a folder for what it hands over.

    It ends when nobody holds it any more. Several threads may ask; they take turns.
    """

    def __init__(self) -> None:
        self.folder = make_temporary_folder("tables")
        self._runner = Limits(workers=1, timeout_s=TIMEOUT_S, memory_bytes=MEMORY_BYTES).start(
            self.folder
        )
        self._turn = threading.Lock()
        self._numbers = count()
        weakref.finalize(self, _close, self._runner, self.folder)

    def new_file(self) -> Path:
        """A path in the folder that nothing has yet."""
        return self.folder / f"rows-{next(self._numbers)}"

    def ask(self, entry: str, payload: JsonObject) -> JsonObject:
        """The answer to one task.

        Raises:
            TableError: The table is refused, asks for too much memory or time, or ends the worker.
        """
        with self._turn:
            (outcome,) = self._runner.run([Task("table", entry, payload)])
        if outcome.failure is not None:
            raise TableError(_reason(outcome.failure.kind, outcome.failure.reason))
        answer = outcome.value or {}
        if "refused" in answer:
            raise TableError(str(answer["refused"]))
        return answer


def table_worker() -> TableWorker:
    """The worker that parses tables for this process; it is started if there is none."""
    with _making:
        worker = _current[0]() if _current else None
        if worker is None:
            worker = TableWorker()
            _current[:] = [weakref.ref(worker)]
        return worker


def _close(runner: Runner, folder: Path) -> None:
    runner.close()
    shutil.rmtree(folder, ignore_errors=True)


def _reason(kind: str, reason: str) -> str:
    if kind == "memory":
        return (
            f"needs more than {MEMORY_BYTES / 2**30:g} GiB of memory to be read; "
            "split it, or check where it is from"
        )
    if kind == "timeout":
        return f"takes more than {TIMEOUT_S:g} s to be read; split it, or check where it is from"
    if kind == "crash":
        return f"ends the process that reads it ({reason}); check where it is from"
    return reason
