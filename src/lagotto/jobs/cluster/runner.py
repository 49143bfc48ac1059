"""Tasks come in; workers on the nodes of a Ray cluster run them, and an outcome for each goes out.

Models run behind a member (`member.py`) on each node, in worker processes of a LocalRunner.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.core.temporary.closing import Closing
from lagotto.jobs.base import OnProgress, Outcome, Task
from lagotto.jobs.cluster.join import check_address, set_variables
from lagotto.jobs.cluster.schedule import Schedule
from lagotto.jobs.local import LocalRunner

_ENGINES = {"ray": Adapter("lagotto.jobs.cluster.ray", "RaySeats", requires="ray", extra="ray")}
_PATIENCE_S = 120.0
_SLACK_S = 240.0
"""Beyond the time limit of a task, which a member keeps itself: starts of workers, and delays."""


class RayRunner(Closing):
    """A Runner on a Ray cluster: a running one, or one on this machine that it starts.

    A worker takes one core and the memory of one task from its node. Workers and nodes may be lost:
    their tasks are begun again elsewhere. Tasks that fill one file in place are run on this
    machine. The folders of the tasks must be shared by all nodes.
    """

    def __init__(
        self,
        workers: int | None,
        timeout_s: float,
        memory_bytes: int | None,
        writable: Sequence[Path] | None = None,
        address: str | None = None,
    ) -> None:
        """Starts nothing yet.

        Arguments are those of a LocalRunner; `workers` None is as many as the nodes have room for.
        `address` is that of a running cluster, "HOST:PORT" or "auto"; None starts one. Raises
        UsageError for a value out of range, and LagottoError if no cluster answers.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"cannot run on {workers} workers; give 1 or more")
        self._here = LocalRunner(None, timeout_s, memory_bytes, writable)
        set_variables(is_own=address is None)
        open_seats = load_adapter(_ENGINES, "ray", "runner")
        if address is not None:
            check_address(address)
        self._seats = open_seats(workers, timeout_s, memory_bytes, writable, address)
        self._schedule = Schedule(self._seats, _PATIENCE_S, timeout_s + _SLACK_S)
        self._run_lock = threading.Lock()
        self._closed = False

    @property
    def where(self) -> str:
        """The nodes, each with the number of workers on it."""
        return self._schedule.where

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        """Yields outcomes in order of completion; draws tasks as workers become free.

        Raises LagottoError if no node can run them, or one is not like this machine.
        """
        if not self._run_lock.acquire(blocking=False):
            raise UsageError("this runner is at work on other tasks; finish those or make another")
        try:
            if self._closed:
                raise UsageError("this runner is closed; make another")
            kept: list[Task] = []
            yield from self._schedule.outcomes(_elsewhere(tasks, kept), on_progress)
            if kept:
                yield from self._here.run(kept, on_progress)
        finally:
            self._run_lock.release()

    def close(self) -> None:
        """Ends every worker, and the cluster if it was started here; safe to call twice."""
        self._closed = True
        self._here.close()
        self._schedule.end_busy()
        self._seats.leave()


def _elsewhere(tasks: Iterable[Task], kept: list[Task]) -> Iterator[Task]:
    """The tasks for the cluster; those for this machine go to `kept`."""
    for task in tasks:
        if task.in_place:
            kept.append(task)
        else:
            yield task
