"""Asking again: pauses that double, one pause for all, an end to it."""

import threading
import time

import pytest

from child_processes import wait_until
from lagotto.core.remote.retry import Backoff, BusyError


class Service:
    """Busy for the first calls; notes when it was asked."""

    def __init__(self, *refusals: BusyError) -> None:
        self.refusals = list(refusals)
        self.asked: list[float] = []

    def __call__(self) -> str:
        self.asked.append(time.monotonic())
        if self.refusals:
            raise self.refusals.pop(0)
        return "yes"


def pauses(service: Service) -> list[float]:
    return [later - before for before, later in zip(service.asked, service.asked[1:], strict=False)]


def test_an_answer_comes_at_once() -> None:
    assert Backoff().call(Service()) == "yes"


def test_pauses_double_and_end() -> None:
    service = Service(*(BusyError("busy") for _ in range(3)))
    assert Backoff(first_wait_s=0.02).call(service) == "yes"
    first, second, third = pauses(service)
    assert first >= 0.02
    assert second >= 0.04
    assert third >= 0.08


def test_the_last_refusal_is_raised() -> None:
    service = Service(*(BusyError(str(number)) for number in range(9)))
    with pytest.raises(BusyError, match="2"):
        Backoff(attempts=3, first_wait_s=0.001).call(service)
    assert len(service.asked) == 3


def test_what_the_service_asks_for_is_waited_but_not_for_ever() -> None:
    service = Service(BusyError("limit", wait_s=0.05), BusyError("limit", wait_s=9999.0))
    assert Backoff(first_wait_s=0.001, longest_wait_s=0.06).call(service) == "yes"
    assert pauses(service)[0] >= 0.05
    assert 0.06 <= pauses(service)[1] < 120


def test_a_pause_for_all_keeps_other_threads_back() -> None:
    backoff = Backoff(first_wait_s=0.001)
    limited, other = Service(BusyError("limit", wait_s=0.3, for_all=True)), Service()
    thread = threading.Thread(target=backoff.call, args=(limited,))
    thread.start()
    assert wait_until(lambda: backoff._resume_at > 0)  # the pause is known to all
    backoff.call(other)
    thread.join()
    assert other.asked[0] - limited.asked[0] >= 0.25


def test_a_stop_ends_the_waiting() -> None:
    backoff = Backoff(first_wait_s=300.0)
    service = Service(BusyError("busy"))

    def stop_once_called() -> None:
        assert wait_until(lambda: bool(service.asked))
        backoff.stop()

    stopper = threading.Thread(target=stop_once_called)
    stopper.start()
    started = time.monotonic()
    with pytest.raises(BusyError, match="stopped"):
        backoff.call(service)
    stopper.join()
    assert time.monotonic() - started < 120
