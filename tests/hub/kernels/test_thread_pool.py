"""Work that is shared between threads: all of it done, once; errors are heard."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from lagotto.hub.kernels.thread_pool import run_parallel


def add_one(counts: np.ndarray, place: int) -> None:
    counts[place] += 1


@pytest.mark.parametrize("tasks", [0, 1, 2, 500])
def test_every_task_is_done_once(tasks: int) -> None:
    counts = np.zeros(500, np.int64)
    run_parallel(add_one, [(counts, place) for place in range(tasks)])
    assert counts.tolist() == [1] * tasks + [0] * (500 - tasks)


def test_what_a_task_raises_is_raised() -> None:
    def fail(place: int) -> None:
        if place == 57:
            raise IndexError("57")

    with pytest.raises(IndexError, match="57"):
        run_parallel(fail, [(place,) for place in range(100)])


def test_many_may_share_at_once() -> None:
    counts = np.zeros((8, 300), np.int64)

    def ask(row: int) -> None:
        run_parallel(add_one, [(counts[row], place) for place in range(300)])

    threads = [threading.Thread(target=ask, args=(row,)) for row in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (counts == 1).all()


FORKED = """
import os, threading
from lagotto.hub.kernels import thread_pool as shared_work
shared_work.usable_cores = lambda: 3
meet = threading.Barrier(3)
shared_work.run_parallel(meet.wait, [(10,)] * 3)
child = os.fork()
if child == 0:
    meet = threading.Barrier(3)
    shared_work.run_parallel(meet.wait, [(10,)] * 3)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_starts_its_own_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "0"
