"""Between the kernel and the machine: one function over many tasks, on all cores.

Its threads stay: to start one takes a good part of the time of a scan.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lagotto.core.machine import usable_cores


class _Threads:
    """The threads beside the one that asks, started when they are first wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    max(1, usable_cores() - 1), thread_name_prefix="lagotto-scan"
                )
            return self._pool


_threads = _Threads()


def share_out(function: Callable[..., None], tasks: Sequence[tuple[Any, ...]]) -> None:
    """Calls the function with the arguments of every task, on all cores, this thread's among them.

    It should release Python's lock while it works. Raises what any call raises.
    """
    left = deque(tasks)

    def work() -> None:
        while left:
            try:
                task = left.popleft()
            except IndexError:  # another thread took the last one
                return
            function(*task)

    others = min(usable_cores(), len(tasks)) - 1
    started = [_threads.pool().submit(work) for _ in range(others)]
    try:
        work()
    finally:
        left.clear()
        for each in started:
            each.cancel()  # one that has not begun would find nothing to do
    for each in started:
        if not each.cancelled():
            each.result()


def _forget_threads() -> None:
    global _threads  # noqa: PLW0603  # a forked child has none of its parent's threads
    _threads = _Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
