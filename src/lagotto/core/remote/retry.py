"""Waiting for a service that is busy or out of reach: again later, and all threads together."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

_Answer = TypeVar("_Answer")


class BusyError(Exception):
    """Raised by a call that may succeed later. `wait_s` is what the service asked for, if it did.

    `for_all`: the service refuses everyone for now (a rate limit), not this one call. `answered`:
    it did say so itself.
    """

    def __init__(
        self,
        reason: str,
        wait_s: float | None = None,
        for_all: bool = False,
        answered: bool = False,
    ) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.for_all = for_all
        self.answered = answered


class Backoff:
    """Repeats calls that are busy, with pauses that double; shared by all threads of one service.

    A pause that is asked for everyone keeps back every call that begins during it.
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
        """The answer of `ask`; raises its last BusyError when all attempts are used up."""
        wait_s = self._first_wait_s
        for _ in range(self._attempts - 1):
            self._keep_back()
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
        self._keep_back()
        return ask()

    def stop(self) -> None:
        """Ends every pause, now and later: each call under way gets a BusyError."""
        self._stopped.set()

    def _keep_back(self) -> None:
        with self._lock:
            pause = self._resume_at - time.monotonic()
        self._sleep(max(pause, 0.0))

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise BusyError("stopped")
