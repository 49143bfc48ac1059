"""A call to a busy service comes in; its result goes out, after pauses that all threads share."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from lagotto.core.errors import SourceError

_Answer = TypeVar("_Answer")


class OutOfReachError(SourceError):
    """A remote service did not answer in any of several attempts."""


class StillBusyError(OutOfReachError):
    """A remote service answered every attempt that it is busy: there is a network."""


class BusyError(Exception):
    """A call failed that may succeed later.

    `wait_s` is the pause in seconds that the service requested, if any. `for_all` means that the
    service refuses every call for now (a rate limit), not only this one. `from_service` means that
    the service itself said so; otherwise nothing answered.
    """

    def __init__(
        self,
        reason: str,
        wait_s: float | None = None,
        for_all: bool = False,
        from_service: bool = False,
    ) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.for_all = for_all
        self.from_service = from_service


class Backoff:
    """Repeats calls that find a service busy, with pauses that double each time.

    All threads that call one service share one Backoff: a pause for all delays every call that
    begins during it.
    """

    def __init__(
        self, attempts: int = 8, first_wait_s: float = 1.0, longest_wait_s: float = 300.0
    ) -> None:
        self._attempts = attempts
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._lock = threading.Lock()
        self._resume_at = 0.0
        self._stopped = threading.Event()

    def call(self, ask: Callable[[], _Answer]) -> _Answer:
        """The result of `ask`, called up to `attempts` times; raises the last BusyError."""
        wait_s = self._first_wait_s
        for _ in range(self._attempts - 1):
            self._wait_for_all()
            try:
                return ask()
            except BusyError as busy:
                pause = min(wait_s if busy.wait_s is None else busy.wait_s, self._longest_wait_s)
                if busy.for_all:
                    with self._lock:
                        self._resume_at = max(self._resume_at, time.monotonic() + pause)
                else:
                    self._sleep(pause)
                wait_s *= 2
        self._wait_for_all()
        return ask()

    def stop(self) -> None:
        """Ends every pause, now and later: a call that would wait raises BusyError."""
        self._stopped.set()

    def _wait_for_all(self) -> None:
        with self._lock:
            pause = self._resume_at - time.monotonic()
        self._sleep(max(pause, 0.0))

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise BusyError("stopped")
