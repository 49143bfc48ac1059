"""Tasks come in; this process runs them in turn, as a worker would, and their outcomes go out.

A worker process starts in about a second of processor time. Most tests ask what became of the
tasks, not where they ran: they get this runner under the name `local`. Tests of processes, limits,
crashes and kills are marked `workers` and get the real one.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lagotto.hub.ingest import worker_tasks
from lagotto.jobs.base import Failure, OnProgress, Outcome, Task
from lagotto.jobs.process import parse_message
from lagotto.jobs.worker import run_task


class SameProcessRunner:
    """A Runner without workers: tasks run in the order in which they come."""

    def __init__(
        self,
        workers: int | None,
        timeout_s: float,
        memory_bytes: int | None,
        writable: Sequence[Path] | None = None,
    ) -> None:
        """Takes the limits of a LocalRunner and keeps none of them."""
        worker_tasks._cache.clear()  # a new worker has loaded no model yet

    where = ""

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        """Yields the outcome of each task, after drawing the next, as the workers' runner does."""
        remaining = iter(tasks)
        task = next(remaining, None)
        while task is not None:
            outcome = _outcome(task, on_progress)
            task = next(remaining, None)
            yield outcome

    def close(self) -> None:
        """Nothing to end."""


def _outcome(task: Task, on_progress: OnProgress | None) -> Outcome:
    def progress(count: int) -> None:
        if on_progress is not None:
            on_progress(task.key, int(count))

    line = json.dumps({"entry": task.entry, "payload": task.payload}).encode()
    message = parse_message(run_task(line, progress).encode())
    if isinstance(message, Failure):
        return Outcome(task.key, None, message)
    assert isinstance(message, dict)
    return Outcome(task.key, message, None)
