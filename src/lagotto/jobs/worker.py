"""Tasks come in as JSON lines on stdin; progress, values and errors go out as JSON lines on a pipe.

Started by `process.py` as `python -m lagotto.jobs.worker PARENT CHANNEL MEMORY [FOLDER...]`: the
id of the parent process, the descriptor for answers, the memory limit in bytes (0: none), and the
folders in which it may change files (none given: everywhere). LAGOTTO_WORKER_GPU in its
environment lets it reach the GPUs of this machine. The process first isolates itself
(sandbox/isolation.py); until then it imports the standard library only. Then it runs one task at a
time. Its messages are:

    {"started": true}                              a task begins: failures from now on are its own
    {"progress": 12}                               12 more units of work done
    {"value": {...}}                               the task's result
    {"error": "one line", "kind": "error|memory"}  or why there is none
"""

import errno
import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from lagotto.core.devices.placement import nvidia_files
from lagotto.core.errors import LagottoError, shortened
from lagotto.jobs.sandbox.environment import GPU_ALLOWED
from lagotto.jobs.sandbox.isolation import isolate_self
from lagotto.jobs.sandbox.limits import (
    allow_cpu,
    die_with_parent,
    restrict_self,
)

MAX_MESSAGE_BYTES = 4 << 20
_MAX_REASON = 500
_PROGRESS_EVERY_S = 0.05
_NO_MEMORY = ("bad_alloc", "failed to allocate", "cannot allocate memory")


class Channel:
    """Sends messages to the parent. Progress is added up and sent at most every 50 ms."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._unsent = 0
        self._sent_at = 0.0

    def progress(self, count: int) -> None:
        """Reports `count` more units of work done."""
        with self._lock:
            self._unsent += int(count)
            if time.monotonic() - self._sent_at >= _PROGRESS_EVERY_S:
                self._send_progress()

    def send(self, text: str) -> None:
        """Sends one message, after any progress not sent yet."""
        with self._lock:
            self._send_progress()
            self._write(text)

    def _send_progress(self) -> None:
        if self._unsent:
            self._write(json.dumps({"progress": self._unsent}))
            self._unsent = 0
            self._sent_at = time.monotonic()

    def _write(self, text: str) -> None:
        line = memoryview(text.encode() + b"\n")
        while line:
            line = line[os.write(self._descriptor, line) :]


def one_line(error: BaseException) -> str:
    """An error as one line: the message of a LagottoError, else the type and the first line."""
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, LagottoError):
        return shortened(" ".join(text.split()), _MAX_REASON)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    name = type(error).__name__
    return shortened(f"{name}: {first}" if first else name, _MAX_REASON)


def is_memory_failure(error: BaseException) -> bool:
    """Whether memory ran out, also if another error wraps the one that says so."""
    link: BaseException | None = error
    visited: set[int] = set()
    while link is not None and id(link) not in visited:
        if isinstance(link, MemoryError) or getattr(link, "errno", None) == errno.ENOMEM:
            return True
        if any(sign in one_line(link).lower() for sign in _NO_MEMORY):
            return True
        visited.add(id(link))
        link = link.__cause__ or link.__context__
    return False


def run_task(line: bytes, progress: Callable[[int], None]) -> str:
    """Runs the task of a JSON line; returns the final message, whatever the task raises."""
    try:
        task: dict[str, Any] = json.loads(line)
        if "cpu_s" in task:
            allow_cpu(task["cpu_s"])
        module, _, name = task["entry"].partition(":")
        function = getattr(importlib.import_module(module), name)
        value = function(task["payload"], progress)
        if not isinstance(value, dict):
            raise TypeError(f"the task returned {type(value).__name__}, not a JSON object")
        message = json.dumps({"value": value})
        if len(message) >= MAX_MESSAGE_BYTES:
            raise ValueError(f"the task returned {len(message)} bytes; large results go to files")
        return message
    except BaseException as error:
        kind = "memory" if is_memory_failure(error) else "error"
        return json.dumps({"error": one_line(error), "kind": kind})


def _read_tasks(descriptor: int, lines: SimpleQueue[bytes | None]) -> None:
    """Puts the lines of a descriptor into a queue; the end of input ends the process at once.

    None is put if a task closed the descriptor, since no more tasks can come.
    """
    try:
        with open(descriptor, "rb") as stream:
            for line in stream:
                lines.put(line)
    except OSError:
        lines.put(None)
        return
    os._exit(0)


def _serve(line: bytes, channel: Channel) -> None:
    channel.send(json.dumps({"started": True}))
    channel.send(run_task(line, channel.progress))


def run_worker() -> None:
    """Runs tasks until the parent closes stdin or ends, or a task closes stdin."""
    parent, descriptor, memory_bytes = (int(argument) for argument in sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C; this is no terminal's
    die_with_parent(parent)
    gpu_files = nvidia_files() if GPU_ALLOWED in os.environ else ()
    restrict_self(memory_bytes or None, gpu=bool(gpu_files))
    isolate_self([Path(folder) for folder in sys.argv[4:]], gpu_files)  # before any thread starts
    os.set_inheritable(descriptor, False)
    tasks = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0, inheritable=True)  # a task that reads stdin must not get tasks
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_read_tasks, args=(tasks, lines), daemon=True).start()
    channel = Channel(descriptor)
    is_first = True
    while (line := lines.get()) is not None:
        _serve(line, channel)
        gc.collect()  # memory of one model must not count for the next
        if is_first:
            gc.freeze()  # modules of the first task stay; they are not scanned again
        is_first = False


if __name__ == "__main__":
    run_worker()
