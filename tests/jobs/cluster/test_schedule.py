"""How tasks are given to workers that come, go and are lost; an engine that is told what happens.

What a cluster does when processes and nodes end is shown with Ray in test_ray.py.
"""

from collections.abc import Callable

import pytest

from lagotto.core.errors import LagottoError
from lagotto.jobs.base import Failure, Outcome, Task
from lagotto.jobs.cluster.schedule import (
    TRIES,
    Advanced,
    Ended,
    Event,
    Lost,
    Ready,
    Schedule,
    Seats,
)

DONE = "done"
FATE = Callable[[int, str, Task], "Event | str"]


class ToldSeats:
    """An engine whose machines are listed, and whose workers do what `fate` says of each task."""

    def __init__(self, machines: list[str], fate: FATE = lambda seat, machine, task: DONE) -> None:
        self.machines = dict(enumerate(machines))
        self.fate = fate
        self.seats: dict[int, str] = {}
        self.events: list[Event] = []
        self.given: list[tuple[str, str]] = []
        self.ended: list[int] = []
        self.requests = 0
        self.silent = False

    def count(self) -> int:
        return len(self.machines)

    def request(self) -> int:
        self.requests += 1
        seat = self.requests
        free = [m for n, m in self.machines.items() if m not in self.seats.values()]
        if free and not self.silent:
            self.seats[seat] = free[0]
            self.events.append(Ready(seat, free[0]))
        return seat

    def give(self, seat: int, task: Task) -> None:
        if seat not in self.seats:  # it is lost, and that is not told yet
            return
        machine = self.seats[seat]
        self.given.append((task.key, machine))
        fate = self.fate(seat, machine, task)
        if isinstance(fate, Lost):
            del self.seats[seat]
        self.events.append(Ended(seat, Outcome(task.key, {}, None)) if fate == DONE else fate)

    def wait(self, timeout_s: float) -> list[Event]:
        events, self.events = self.events, []
        return events

    def end(self, seat: int) -> None:
        self.ended.append(seat)
        self.seats.pop(seat, None)


def tasks(count: int) -> list[Task]:
    return [Task(str(n), "somewhere:f", {}) for n in range(count)]


def run(seats: ToldSeats, count: int, **options: float) -> list[Outcome]:
    given = {"patience_s": 60.0, "longest_s": 60.0} | options
    return list(Schedule(seats, **given).outcomes(tasks(count), None))


def test_the_engine_is_one() -> None:
    seats: Seats = ToldSeats([])
    assert seats.count() == 0


def test_every_task_ends_once_and_all_machines_work() -> None:
    seats = ToldSeats(["a", "b", "c"])
    outcomes = run(seats, 20)
    assert sorted(outcome.key for outcome in outcomes) == sorted(str(n) for n in range(20))
    assert {machine for _, machine in seats.given} == {"a", "b", "c"}
    assert seats.requests == 3


def test_without_tasks_no_seat_is_asked_for() -> None:
    seats = ToldSeats(["a"])
    assert run(seats, 0) == []
    assert seats.requests == 0


def test_a_lost_worker_is_replaced_and_its_task_begun_on_another_machine() -> None:
    lost: list[str] = []

    def fate(seat: int, machine: str, task: Task) -> Event | str:
        if task.key == "3" and not lost:
            lost.append(machine)
            return Lost(seat, "its process was killed")
        return DONE

    seats = ToldSeats(["a", "b"], fate)
    outcomes = run(seats, 10)
    assert all(outcome.failure is None for outcome in outcomes)
    assert len(outcomes) == 10
    (first, second) = [machine for key, machine in seats.given if key == "3"]
    assert first == lost[0] != second
    assert seats.requests == 3


def test_on_the_only_machine_it_is_begun_there_again() -> None:
    tries: list[int] = []

    def fate(seat: int, machine: str, task: Task) -> Event | str:
        tries.append(seat)
        return Lost(seat, "killed") if len(tries) == 1 else DONE

    (outcome,) = run(ToldSeats(["a"], fate), 1)
    assert outcome.failure is None
    assert len(tries) == 2


def test_a_poisonous_task_is_its_own_failure_once_and_the_others_go_on() -> None:
    def fate(seat: int, machine: str, task: Task) -> Event | str:
        return Lost(seat, "out of memory") if task.key == "0" else DONE

    seats = ToldSeats(["a", "b"], fate)
    outcomes = {outcome.key: outcome for outcome in run(seats, 8)}
    assert len(outcomes) == 8
    failures = [outcome.failure for outcome in outcomes.values() if outcome.failure]
    assert failures == [
        Failure(
            "crash",
            f"its worker on {seats.given[-1][1]} was lost: out of memory ({TRIES} tries, on a, b)",
        )
    ] or [failure.kind for failure in failures] == ["crash"]
    assert sum(key == "0" for key, _ in seats.given) == TRIES


def test_a_process_killed_from_outside_is_tried_again_and_then_recorded() -> None:
    killed = Failure("crash", "killed by SIGKILL", killed=True)

    def fate(seat: int, machine: str, task: Task) -> Event | str:
        return Ended(seat, Outcome(task.key, None, killed)) if task.key == "0" else DONE

    seats = ToldSeats(["a", "b"], fate)
    outcomes = {outcome.key: outcome for outcome in run(seats, 4)}
    failure = outcomes["0"].failure
    assert failure == Failure("crash", f"killed by SIGKILL ({TRIES} tries, on a, b)")
    assert sum(key == "0" for key, _ in seats.given) == TRIES


def test_a_quick_worker_has_its_next_task_ahead_and_it_is_no_try_of_it_when_it_is_lost() -> None:
    class Holding(ToldSeats):
        """Its one worker is lost whenever it has two tasks, a few times; the first one is begun."""

        losses = 0

        def give(self, seat: int, task: Task) -> None:
            if seat not in self.seats:
                return
            self.given.append((task.key, self.seats[seat]))
            if self.events and self.losses < TRIES - 1:
                self.losses += 1
                del self.seats[seat]
                self.events = [Lost(seat, "killed")]
                return
            self.events.append(Ended(seat, Outcome(task.key, {}, None)))

    seats = Holding(["a"])
    outcomes = run(seats, 12)
    assert seats.losses == TRIES - 1
    assert sorted(outcome.key for outcome in outcomes) == sorted(str(n) for n in range(12))
    assert all(outcome.failure is None for outcome in outcomes)


def test_a_slow_worker_gets_one_task_at_a_time() -> None:
    now, waiting = [0.0], [0]

    class Counting(ToldSeats):
        def give(self, seat: int, task: Task) -> None:
            waiting.append(len(self.events))
            now[0] += 10.0
            super().give(seat, task)

    seats = Counting(["a"])
    assert len(list(Schedule(seats, 60.0, 60.0, lambda: now[0]).outcomes(tasks(6), None))) == 6
    assert max(waiting) == 0


def test_a_failure_of_its_own_is_recorded_at_once() -> None:
    own = Failure("crash", "killed by SIGSEGV")

    def fate(seat: int, machine: str, task: Task) -> Event | str:
        return Ended(seat, Outcome(task.key, None, own))

    seats = ToldSeats(["a", "b"], fate)
    assert run(seats, 1) == [Outcome("0", None, own)]
    assert len(seats.given) == 1


def test_a_lost_machine_is_not_replaced_and_the_rest_goes_on_without_it() -> None:
    seats = ToldSeats(["a", "b"])

    def fate(seat: int, machine: str, task: Task) -> Event | str:
        if machine == "b":
            seats.machines = {0: "a"}
            return Lost(seat, "its node is gone")
        return DONE

    seats.fate = fate
    outcomes = run(seats, 10)
    assert len(outcomes) == 10
    assert all(outcome.failure is None for outcome in outcomes)
    assert seats.requests == 2


def test_a_machine_that_joins_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    seats = ToldSeats(["a"])

    def fate(seat: int, machine: str, task: Task) -> str:
        now[0] += 2.0
        seats.machines[1] = "b"
        return DONE

    seats.fate = fate
    schedule = Schedule(seats, 60.0, 60.0, clock=lambda: now[0])
    assert len(list(schedule.outcomes(tasks(20), None))) == 20
    assert {machine for _, machine in seats.given} == {"a", "b"}
    assert schedule.where == "a 1, b 1"


def test_no_worker_within_the_patience_is_one_error() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    seats = ToldSeats(["a"])
    seats.silent = True
    with pytest.raises(LagottoError, match="no worker of the cluster was ready within 30 s"):
        list(Schedule(seats, 30.0, 60.0, clock).outcomes(tasks(1), None))
    assert seats.requests == 1


def test_workers_that_end_at_their_start_are_one_error() -> None:
    class Failing(ToldSeats):
        def request(self) -> int:
            self.requests += 1
            self.events.append(Lost(self.requests, "No module named 'lagotto'"))
            return self.requests

    seats = Failing(["a"])
    with pytest.raises(LagottoError, match="could be started: No module named 'lagotto'"):
        run(seats, 1)
    assert seats.requests == 5


def test_a_worker_without_a_sign_is_ended_and_its_task_begun_elsewhere() -> None:
    now = [0.0]
    hung: list[int] = []

    def fate(seat: int, machine: str, task: Task) -> Event | str:
        if not hung:
            hung.append(seat)
            return Advanced(seat, 1)
        return DONE

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    seats = ToldSeats(["a", "b"], fate)
    outcomes = list(Schedule(seats, 60.0, 100.0, clock).outcomes(tasks(3), None))
    assert {outcome.key for outcome in outcomes} == {"0", "1", "2"}
    assert all(outcome.failure is None for outcome in outcomes)
    assert hung[0] in seats.ended


def test_leaving_early_ends_what_is_at_work() -> None:
    seats = ToldSeats(["a", "b"], lambda seat, machine, task: Advanced(seat, 1))
    seen: list[tuple[str, int]] = []
    schedule = Schedule(seats, 60.0, 60.0)

    def stop(key: str, count: int) -> None:
        seen.append((key, count))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(schedule.outcomes(tasks(4), stop))
    assert seen == [("0", 1)]
    assert len(seats.ended) >= 1
