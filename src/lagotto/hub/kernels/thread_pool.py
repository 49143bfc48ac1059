"""Between the kernel and the machine: one function over many tasks, on all cores.

Its threads stay: to start one takes a good part of the time of a scan.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from lagotto.core.machine import usable_cores


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads beside the one that asks, made when they are first wanted."""
    return ThreadPoolExecutor(max(1, usable_cores() - 1), thread_name_prefix="lagotto-scan")


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_threads.cache_clear)


def run_parallel(function: Callable[..., None], tasks: Sequence[tuple[Any, ...]]) -> None:
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
    started = [_threads().submit(work) for _ in range(others)]
    try:
        work()
    finally:
        left.clear()
        for each in started:
            each.cancel()  # one that has not begun would find nothing to do
    for each in started:
        if not each.cancelled():
            each.result()
