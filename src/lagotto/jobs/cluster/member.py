"""Tasks come in at a machine of a cluster; a LocalRunner there runs them; messages go out.

A member trusts the model as little as any other machine does: it is run by a worker process of
ours, cut off as everywhere. The member itself opens no model and unpickles nothing.
"""

import json
import platform
import threading
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue

import lagotto
from lagotto.core.types import JsonObject
from lagotto.jobs.base import Task
from lagotto.jobs.cluster.messages import MemberMessage, Unseen, pack_message, unpack_task
from lagotto.jobs.local import LocalRunner


def own_versions() -> JsonObject:
    """What must be the same on all machines, since responses depend on it, each with its version.

    Example:
        >>> sorted(own_versions())
        ['Python', 'lagotto', 'numpy', 'onnxruntime']
    """
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "lagotto": lagotto.__version__,
        "numpy": version("numpy"),
        "onnxruntime": version("onnxruntime"),
    }


class Member:
    """One worker of a cluster, on some machine, in a process that its engine started.

    It takes and gives bytes (`messages`), one task at a time.
    """

    def __init__(
        self,
        timeout_s: float,
        memory_bytes: int | None,
        writable: Sequence[str] | None,
        mark: str | None,
    ) -> None:
        """Starts no worker process yet.

        The first three are those of a LocalRunner; `mark` is a file in a folder that all machines
        must share.
        """
        folders = None if writable is None else [Path(folder) for folder in writable]
        self._mark = mark
        self._runner = LocalRunner(1, timeout_s, memory_bytes, folders)

    def describe(self) -> bytes:
        """{"host": its name, "versions": see `own_versions`, "shares": whether it has the mark}."""
        shares = self._mark is None or Path(self._mark).exists()
        host = platform.node()
        return json.dumps({"host": host, "versions": own_versions(), "shares": shares}).encode()

    def stop(self) -> None:
        """Ends the worker process, and removes its temporary files."""
        self._runner.close()

    def work(self, line: bytes) -> Iterator[bytes]:
        """The messages of a task, its outcome last."""
        task, stamps = unpack_task(line)
        for stamp in stamps:
            if not stamp.is_here:
                yield pack_message(Unseen(stamp.path))
                return
        messages: SimpleQueue[MemberMessage | Exception | None] = SimpleQueue()
        threading.Thread(target=self._run, args=(task, messages), daemon=True).start()
        while (message := messages.get()) is not None:
            if isinstance(message, Exception):
                raise message
            yield pack_message(message)

    def _run(self, task: Task, messages: "SimpleQueue[MemberMessage | Exception | None]") -> None:
        try:
            for outcome in self._runner.run([task], lambda _, count: messages.put(count)):
                messages.put(outcome)
        except Exception as error:
            messages.put(error)
        messages.put(None)
