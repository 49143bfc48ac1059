"""Tasks come in; outcomes go out, each once, while workers of a cluster come, go and are lost.

It knows no engine: an engine gives it seats, each of which runs one task at a time.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from lagotto.core.errors import LagottoError
from lagotto.jobs.base import Failure, OnProgress, Outcome, Task

TRIES = 4
"""How often a task is begun, in all, if the workers that run it are lost."""

_FAILED_STARTS = 5
_TICK_S = 1.0
_COUNT_EVERY_S = 5.0
_QUICK_S = 2.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A seat takes tasks from now on; `machine` is the name of the one that it is on."""

    seat: int
    machine: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """The first task of a seat has done `count` more units of work."""

    seat: int
    count: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The first task of a seat has its outcome; the seat goes on with the next that it has."""

    seat: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Lost:
    """A seat is gone: its process or its machine ended."""

    seat: int
    reason: str


Event: TypeAlias = Ready | Advanced | Ended | Lost


@runtime_checkable
class Seats(Protocol):
    """What an engine offers: seats on its machines, by number."""

    def count(self) -> int:
        """How many seats there shall be, as the cluster is now.

        Raises LagottoError if none can ever be.
        """

    def request(self) -> int:
        """Asks for one more seat; `Ready` comes when some machine has it."""

    def give(self, seat: int, task: Task) -> None:
        """Gives a task to a seat that is ready; the seat begins it when it has ended the others."""

    def wait(self, timeout_s: float) -> list[Event]:
        """What happened; waits for something up to so many seconds.

        Raises LagottoError for a machine that cannot serve, which is named.
        """

    def end(self, seat: int) -> None:
        """Ends a seat and what it runs."""


@dataclass(slots=True)
class _Seat:
    """`machine` is "" until it is ready; `tasks` are what it runs, and what it runs then.

    `since` is when its first task began. It `is_quick` if the last one took little time: then it is
    given the next one ahead, so that it need not wait for it.
    """

    machine: str = ""
    tasks: deque[Task] = field(default_factory=deque)
    since: float = 0.0
    is_quick: bool = False


@dataclass(slots=True)
class _Returned:
    """A task whose worker was lost: how often, on which machines, and the last reason."""

    task: Task
    losses: int = 0
    machines: set[str] = field(default_factory=set)


class Schedule:
    """Gives tasks to seats; asks for seats while tasks wait, and for others where some were lost.

    A task that was on a lost seat is begun again, on another machine if there is one, up to `TRIES`
    times in all; then that is its failure. Seats stay for the next run.
    """

    def __init__(
        self,
        seats: Seats,
        patience_s: float,
        longest_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience_s`: how long it waits while no seat is ready; `longest_s`: for one task."""
        self._engine = seats
        self._patience_s = patience_s
        self._longest_s = longest_s
        self._clock = clock
        self._seats: dict[int, _Seat] = {}
        self._failed_starts = 0
        self._wanted = 0
        self._counted_at = -_COUNT_EVERY_S
        self._stranded_at: float | None = None

    @property
    def where(self) -> str:
        """The machines with their workers, as "node-a 4, node-b 2"; only a count from 4 on."""
        machines = Counter(seat.machine for seat in self._seats.values() if seat.machine)
        if len(machines) > 3:
            return f"{sum(machines.values())} workers on {len(machines)} nodes"
        return ", ".join(f"{name} {count}" for name, count in sorted(machines.items()))

    def outcomes(self, tasks: Iterable[Task], on_progress: OnProgress | None) -> Iterator[Outcome]:
        """Yields outcomes in order of completion; draws tasks as seats become free.

        Raises LagottoError if no seat comes within the patience, or one cannot serve.
        """
        queue = _Queue(tasks)
        try:
            while self._assign(queue):
                for event in self._engine.wait(_TICK_S):
                    outcome = self._handle(event, queue, on_progress)
                    if outcome is not None:
                        self._assign(queue)
                        yield outcome
                yield from self._give_up_late(queue)
        finally:
            self.end_busy()

    def end_busy(self) -> None:
        """Ends the seats that are at work."""
        for number, seat in list(self._seats.items()):
            if seat.tasks:
                del self._seats[number]
                self._engine.end(number)

    def _assign(self, queue: "_Queue") -> bool:
        """Gives tasks to the seats that are free; False if nothing waits or runs any more."""
        for ahead in (False, True):
            for number, seat in self._seats.items():
                if seat.machine and len(seat.tasks) == ahead and seat.is_quick >= ahead:
                    self._give(number, seat, queue)
        if queue.has_more:
            self._ask_for_seats()
            return True
        return any(seat.tasks for seat in self._seats.values())

    def _give(self, number: int, seat: _Seat, queue: "_Queue") -> None:
        others = {each.machine for each in self._seats.values()} - {"", seat.machine}
        task = queue.next_task(seat.machine, others)
        if task is None:
            return
        if not seat.tasks:
            seat.since = self._clock()
        seat.tasks.append(task)
        self._engine.give(number, task)

    def _ask_for_seats(self) -> None:
        now = self._clock()
        if now - self._counted_at >= _COUNT_EVERY_S or not self._seats:
            self._wanted, self._counted_at = self._engine.count(), now
        while len(self._seats) < self._wanted:
            self._seats[self._engine.request()] = _Seat()
        if any(seat.machine for seat in self._seats.values()):
            self._stranded_at = None
        elif self._stranded_at is None:
            self._stranded_at = now
        elif now - self._stranded_at > self._patience_s:
            raise LagottoError(
                f"no worker of the cluster was ready within {self._patience_s:g} s: its nodes are "
                "busy with other work, or lost; wait, add nodes, or lower --memory-gb"
            )

    def _handle(
        self, event: Event, queue: "_Queue", on_progress: OnProgress | None
    ) -> Outcome | None:
        seat = self._seats.get(event.seat)
        if seat is None:
            return None
        match event:
            case Ready(_, machine):
                seat.machine, self._failed_starts = machine, 0
            case Advanced(_, count):
                if on_progress is not None and seat.tasks:
                    on_progress(seat.tasks[0].key, count)
            case Ended(_, outcome):
                task, now = seat.tasks.popleft(), self._clock()
                seat.is_quick, seat.since = now - seat.since < _QUICK_S, now
                failure = outcome.failure
                if failure is None or not failure.killed:
                    return outcome
                return queue.put_back(task, seat.machine, failure)
            case Lost(number, reason):
                del self._seats[number]
                self._counted_at = -_COUNT_EVERY_S  # a machine may be gone with it
                if seat.tasks:
                    task = seat.tasks.popleft()
                    queue.put_back_unbegun(seat.tasks)
                    return queue.put_back(task, seat.machine, _loss(seat.machine, reason))
                self._note_failed_start(seat, reason)
        return None

    def _note_failed_start(self, seat: _Seat, reason: str) -> None:
        if seat.machine:
            return
        self._failed_starts += 1
        if self._failed_starts >= _FAILED_STARTS:
            raise LagottoError(f"no worker of the cluster could be started: {reason}")

    def _give_up_late(self, queue: "_Queue") -> Iterator[Outcome]:
        """Ends seats that are silent for longer than their own limits allow."""
        for number, seat in list(self._seats.items()):
            if not seat.tasks or self._clock() - seat.since <= self._longest_s:
                continue
            self._engine.end(number)
            reason = f"no sign of it for {self._longest_s:g} s"
            outcome = self._handle(Lost(number, reason), queue, None)
            if outcome is not None:
                yield outcome


def _loss(machine: str, reason: str) -> Failure:
    return Failure("crash", f"its worker on {machine} was lost: {reason}", killed=True)


class _Queue:
    """The tasks of one run that no seat has, those that were lost first."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = iter(tasks)
        self._waiting: list[_Returned] = []
        self._history: dict[str, _Returned] = {}
        self._drawn: Task | None = next(self._tasks, None)

    @property
    def has_more(self) -> bool:
        """Whether a task waits for a seat."""
        return bool(self._waiting) or self._drawn is not None

    def next_task(self, machine: str, others: set[str]) -> Task | None:
        """A task for a machine; one that was lost there waits for one of the others, if it can."""
        for returned in self._waiting:
            if machine not in returned.machines or not others - returned.machines:
                self._waiting.remove(returned)
                return returned.task
        task = self._drawn
        if task is not None:
            self._drawn = next(self._tasks, None)
        return task

    def put_back_unbegun(self, tasks: Iterable[Task]) -> None:
        """Takes back tasks that waited for a worker that was lost; no try of theirs is over."""
        for task in tasks:
            self._waiting.append(self._history.get(task.key, _Returned(task)))

    def put_back(self, task: Task, machine: str, failure: Failure) -> Outcome | None:
        """Takes back a task whose worker was lost; its outcome if that was the last try."""
        returned = self._history.setdefault(task.key, _Returned(task))
        returned.losses += 1
        returned.machines.add(machine)
        if returned.losses < TRIES:
            self._waiting.append(returned)
            return None
        machines = ", ".join(sorted(returned.machines))
        reason = f"{failure.reason} ({TRIES} tries, on {machines})"
        return Outcome(task.key, None, Failure(failure.kind, reason))
