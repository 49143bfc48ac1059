"""Tasks come in; this machine's worker processes run them, and an outcome for each goes out.

A crash, a hang or too much memory ends one task only.
"""

import os
import selectors
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lagotto.core.errors import LagottoError, UsageError
from lagotto.core.machine import usable_cores
from lagotto.core.temporary.closing import Closing
from lagotto.jobs.base import Failure, OnProgress, Outcome, Task
from lagotto.jobs.process import Message, WorkerProcess

_START_S = 60.0
_START_ATTEMPTS = 3
_MEMORY_TICK_S = 0.05
_TICK_S = 0.5
_GIB = 1 << 30
_MOST_ON_GPU = 4


class LocalRunner(Closing):
    """A Runner on this machine (Linux; on macOS without the exact memory limit).

    A worker starts when a task needs one, and stays for the next task and the next `run`. A worker
    that crashed, exceeded a limit or still holds too much memory is replaced. Workers end with this
    process, however it ends. Any thread may call `run`, but only one run goes on at a time.
    """

    def __init__(
        self,
        workers: int | None,
        timeout_s: float,
        memory_bytes: int | None,
        writable: Sequence[Path] | None = None,
        *,
        gpu: bool = False,
    ) -> None:
        """Starts no worker yet.

        `workers` is their number; None for one per usable core. `timeout_s` (seconds) and
        `memory_bytes` are for one task; None for no memory limit. Workers may change files only in
        the `writable` folders (None: everywhere). With `gpu` they may reach the GPUs of this
        machine, and are 4 at most unless `workers` says more: each holds memory of a GPU. Raises
        UsageError for a limit or a number of workers that is not positive.
        """
        if os.name != "posix":
            raise LagottoError("the local runner needs Linux or macOS; on Windows, use it in WSL")
        if workers is None:
            workers = min(usable_cores(), _MOST_ON_GPU) if gpu else usable_cores()
        if workers < 1:
            raise UsageError(f"cannot run on {workers} workers; give 1 or more")
        if not timeout_s > 0:
            raise UsageError(f"a time limit of {timeout_s:g} s is not positive; give seconds")
        if memory_bytes is not None and memory_bytes <= 0:
            raise UsageError(f"a memory limit of {memory_bytes} is not positive; give bytes")
        self._workers = workers
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._writable = writable
        self._gpu = gpu
        self._pool: list[WorkerProcess] = []
        self._run_lock = threading.Lock()
        # The kernel ends a worker with the *thread* that started it, so that thread must stay.
        self._start_executor = ThreadPoolExecutor(1, "lagotto-worker-starter")
        self._finalizer = weakref.finalize(self, _end_all, self._pool)

    @property
    def where(self) -> str:
        """Nothing: its workers are on this machine."""
        return ""

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        """Yields outcomes in order of completion; draws tasks as workers become free.

        The next task starts before an outcome is yielded. Leaving early (break, error, interrupt)
        ends all workers at once. Raises LagottoError if no worker can be started.
        """
        if not self._run_lock.acquire(blocking=False):
            raise UsageError("this runner is at work on other tasks; finish those or make another")
        finished = False
        try:
            if not self._finalizer.alive:
                raise UsageError("this runner is closed; make another")
            yield from self._outcomes(_TaskQueue(tasks, on_progress))
            finished = True
        finally:
            if not finished:
                _end_all(self._pool)
            self._run_lock.release()

    def close(self) -> None:
        """Ends every worker at once; safe to call twice."""
        self._finalizer()
        self._start_executor.shutdown(wait=False)

    def _outcomes(self, queue: "_TaskQueue") -> Iterator[Outcome]:
        self._assign(queue)
        while busy := [worker for worker in self._pool if worker.task is not None]:
            self._wait(busy)
            done = [outcome for worker in busy for outcome in self._poll_worker(worker, queue)]
            self._assign(queue)
            yield from done
        if not self._finalizer.alive:
            raise UsageError("this runner was closed before its tasks were done")

    def _assign(self, queue: "_TaskQueue") -> None:
        """Gives tasks to workers until all are busy or no task remains."""
        while sum(worker.task is not None for worker in self._pool) < self._workers:
            task = queue.next_task()
            if task is None:
                return
            worker = self._free_worker()
            worker.send(task, self._timeout_s)
            worker.deadline = time.monotonic() + _START_S

    def _free_worker(self) -> WorkerProcess:
        for worker in [worker for worker in self._pool if worker.task is None]:
            if worker.alive and not worker.ended and not self._is_bloated(worker):
                return worker
            self._end_worker(worker)
        try:
            start = self._start_executor.submit(
                _start, self._pool, self._memory_bytes, self._writable, self._gpu
            )
            return start.result()
        except OSError as error:
            raise LagottoError(
                f"the system refused to start a worker process ({error}); use fewer workers"
            ) from error

    def _wait(self, busy: list[WorkerProcess]) -> None:
        """Sleeps until a worker writes, the next deadline, or the next check of the memory."""
        tick = _TICK_S if self._memory_bytes is None else _MEMORY_TICK_S
        until = min(worker.deadline for worker in busy) - time.monotonic()
        with selectors.PollSelector() as selector:
            for worker in busy:
                for descriptor, events in worker.interests():
                    selector.register(descriptor, events)
            selector.select(max(0.0, min(tick, until)))

    def _poll_worker(self, worker: WorkerProcess, queue: "_TaskQueue") -> Iterator[Outcome]:
        """Reads a worker's messages, then checks its limits; yields the outcome if there is one."""
        for message in worker.pump():
            outcome = self._handle_message(worker, message, queue)
            if outcome is not None:
                yield outcome
        task = worker.task
        if task is None:
            return
        if worker.ended:
            failure = worker.exit_failure(self._memory_bytes)
        elif exceeded := self._exceeded_limit(worker):
            failure = exceeded
        else:
            return
        started = worker.started
        self._end_worker(worker)
        if started:
            yield Outcome(task.key, None, failure)
        else:
            queue.put_back(task, failure)

    def _handle_message(
        self, worker: WorkerProcess, message: Message, queue: "_TaskQueue"
    ) -> Outcome | None:
        task = worker.task
        if task is None:
            return None
        if message is None:
            if not worker.started:
                worker.started = True
                queue.failed_starts = 0
                worker.deadline = time.monotonic() + self._timeout_s
            return None
        if isinstance(message, int):
            if queue.on_progress is not None:
                queue.on_progress(task.key, message)
            return None
        worker.task = None
        worker.deadline = float("inf")
        if not isinstance(message, Failure):
            return Outcome(task.key, message, None)
        if message.kind == "memory":
            self._end_worker(worker)  # how much memory it still holds is unknown
            message = Failure("memory", f"{message.reason} {self._memory_advice()}".rstrip())
        return Outcome(task.key, None, message)

    def _exceeded_limit(self, worker: WorkerProcess) -> Failure | None:
        if self._memory_bytes is not None and worker.measure() > self._memory_bytes:
            used = f"used {worker.memory_seen / _GIB:.2f} GiB of memory"
            return Failure("memory", f"{used} {self._memory_advice()}")
        if time.monotonic() < worker.deadline:
            return None
        if not worker.started:
            return Failure("timeout", f"not ready within {_START_S:g} s")
        advice = "raise --timeout"
        return Failure("timeout", f"no answer within {self._timeout_s:g} s (limit); {advice}")

    def _memory_advice(self) -> str:
        if self._memory_bytes is None:
            return ""
        return f"(limit {self._memory_bytes / _GIB:.2f} GiB); raise --memory-gb"

    def _is_bloated(self, worker: WorkerProcess) -> bool:
        """Whether memory left over from earlier tasks would count for the next one."""
        return self._memory_bytes is not None and worker.measure() > self._memory_bytes / 2

    def _end_worker(self, worker: WorkerProcess) -> None:
        worker.task = None
        worker.end()
        self._pool.remove(worker)


class _TaskQueue:
    """The tasks of one `run` that no worker has taken yet."""

    def __init__(self, tasks: Iterable[Task], on_progress: OnProgress | None) -> None:
        self.on_progress = on_progress
        self.failed_starts = 0
        self._tasks = iter(tasks)
        self._returned: list[Task] = []

    def next_task(self) -> Task | None:
        """The next task, or None."""
        return self._returned.pop() if self._returned else next(self._tasks, None)

    def put_back(self, task: Task, failure: Failure) -> None:
        """Takes back a task whose worker ended before it started the task."""
        self._returned.append(task)
        self.failed_starts += 1
        if self.failed_starts >= _START_ATTEMPTS:
            raise LagottoError(
                f"no worker process took up a task ({failure.reason}); "
                f"check that this works: {sys.executable} -P -c 'import lagotto'"
            )


def _start(
    pool: list[WorkerProcess],
    memory_bytes: int | None,
    writable: Sequence[Path] | None,
    gpu: bool,
) -> WorkerProcess:
    worker = WorkerProcess(memory_bytes, writable, gpu=gpu)
    pool.append(worker)
    return worker


def _end_all(pool: list[WorkerProcess]) -> None:
    while pool:
        pool.pop().end()
