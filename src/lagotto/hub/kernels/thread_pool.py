"""A function and many tasks come in; the tasks are run on all cores.

The threads of the pool stay alive: to start one takes a good part of the time of a scan.
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
    """One thread fewer than there are cores, for the caller's own; made at first use."""
    return ThreadPoolExecutor(max(1, usable_cores() - 1), thread_name_prefix="lagotto-scan")


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_threads.cache_clear)


def run_parallel(function: Callable[..., None], tasks: Sequence[tuple[Any, ...]]) -> None:
    """Calls the function with the arguments of every task, on all cores.

    The calling thread works too. The function should release Python's lock while it works.

    Args:
        function: What to call.
        tasks: The positional arguments of each call.

    Raises:
        Exception: Whatever a call raises.
    """
    queue = deque(tasks)

    def work() -> None:
        while queue:
            try:
                task = queue.popleft()
            except IndexError:  # another thread took the last task
                return
            function(*task)

    others = min(usable_cores(), len(tasks)) - 1
    futures = [_threads().submit(work) for _ in range(others)]
    try:
        work()
    finally:
        queue.clear()
        for future in futures:
            future.cancel()  # one that has not begun would have nothing to do
    for future in futures:
        if not future.cancelled():
            future.result()
