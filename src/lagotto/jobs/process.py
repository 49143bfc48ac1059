"""Tasks for one worker process come in; its messages and the reason why it ended go out."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE
from typing import TypeAlias

from lagotto.core.temporary.leftovers import make_temporary_folder
from lagotto.core.types import JsonObject
from lagotto.jobs.base import Failure, Task
from lagotto.jobs.sandbox.environment import worker_environment
from lagotto.jobs.sandbox.limits import cpu_ceiling, private_bytes
from lagotto.jobs.sandbox.privileges import hide_memory
from lagotto.jobs.worker import MAX_MESSAGE_BYTES

Message: TypeAlias = int | JsonObject | Failure | None
"""Progress (units of work), the value of the task, or its failure; None: the task was started."""

_CHUNK_BYTES = 1 << 16
_CHUNKS_A_READ = 16  # so that one talkative worker does not keep the others waiting
_TAIL_BYTES = 4096
_TAIL_SHOWN = 200
_END_S = 5.0


def parse_message(line: bytes) -> Message:
    """A message of worker.py; ValueError for anything else, since the line is not trusted."""
    try:
        content = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    match content:
        case {"started": True}:
            return None
        case {"progress": int(count)} if count >= 0:
            return count
        case {"value": dict(value)}:
            return value
        case {"error": str(text), "kind": "error"}:
            return Failure("error", printable_line(text))
        case {"error": str(text), "kind": "memory"}:
            return Failure("memory", printable_line(text))
    raise ValueError("not a message of a worker")


def printable_line(text: str) -> str:
    """The text on one line, without control characters: safe for a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class WorkerProcess:
    """A child process that runs one task at a time. Its pipes never block the parent.

    `task` is its current task and `started` whether it has begun that task. `deadline` is the
    latest end of the task, in seconds of the monotonic clock. `ended` is True if no more messages
    can come. `memory_seen` is the last measured memory in bytes.
    """

    def __init__(
        self,
        memory_bytes: int | None,
        writable: Sequence[Path] | None = None,
        *,
        gpu: bool = False,
    ) -> None:
        """Starts the process; raises OSError if the system refuses.

        The process gets a folder for temporary files, and a session of its own, so that the user's
        terminal is not its terminal. If the system supports it, the process may change files only
        in that folder and in the `writable` folders (None: everywhere). With `gpu` it may reach the
        GPUs of this machine.
        """
        hide_memory()
        self.task: Task | None = None
        self.deadline = float("inf")
        self.started = False
        self.ended = False
        self.memory_seen = 0
        self._fault = ""
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._tail = bytearray()
        self._folder = make_temporary_folder("worker")
        reader, writer = os.pipe()
        self._answers = open(reader, "rb", buffering=0)  # noqa: SIM115 - closed by end()
        numbers = [str(os.getpid()), str(writer), str(memory_bytes or 0)]
        folders = [] if writable is None else [str(self._folder), *map(str, writable)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lagotto.jobs.worker", *numbers, *folders],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(writer,),
                env=worker_environment(self._folder, gpu=gpu),
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            self._answers.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        finally:
            os.close(writer)
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._tasks, self._errors = self._process.stdin, self._process.stderr
        for stream in (self._answers, self._tasks, self._errors):
            os.set_blocking(stream.fileno(), False)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, task: Task, timeout_s: float) -> None:
        """Sends the process its next task; the process may still be starting.

        `pump` sends what the pipe does not take at once. The caller watches the time limit. The
        kernel ends the process if it uses far more processor time than `timeout_s`.
        """
        self.task = task
        self.started = False
        ceiling = cpu_ceiling(timeout_s)
        body = {"entry": task.entry, "payload": task.payload, "cpu_s": ceiling}
        self._outgoing += json.dumps(body).encode() + b"\n"
        self._write_tasks()

    def interests(self) -> list[tuple[int, int]]:
        """File descriptors to wait for, each with its selector events."""
        events = [(self._answers.fileno(), EVENT_READ)]
        if not self._errors.closed:
            events.append((self._errors.fileno(), EVENT_READ))
        if self._outgoing:
            events.append((self._tasks.fileno(), EVENT_WRITE))
        return events

    def pump(self) -> list[Message]:
        """Writes and reads the pipes without waiting; returns the messages that came in."""
        self._write_tasks()
        self._read_errors()
        if not self.alive:
            self.ended = True  # its last messages are still read below
        for _ in range(_CHUNKS_A_READ):
            chunk = _read(self._answers.fileno())
            if chunk is None:
                break
            if not chunk:
                self.ended = True
                break
            self._incoming += chunk
        return self._take_messages()

    def measure(self) -> int:
        """Private memory in use, in bytes; 0 if the system does not report it."""
        self.memory_seen = private_bytes(self.pid) or 0
        return self.memory_seen

    def end(self) -> None:
        """Kills the process, waits for it and closes its pipes; safe to call twice."""
        self.ended = True
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: dies later
            self._process.wait(_END_S)
        for stream in (self._answers, self._tasks, self._errors):
            stream.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def exit_failure(self, memory_bytes: int | None) -> Failure:
        """Why the process ended by itself, from its exit status and stderr; closes its pipes."""
        try:
            code = None if self._fault else self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = None
        self._read_errors()
        self.end()
        text = last_line(bytes(self._tail))
        reason = f"{self._fault or exit_reason(code)}: {text}".removesuffix(": ")
        if any(sign in text for sign in ("bad_alloc", "MemoryError")):
            return Failure("memory", reason)
        if code == -signal.SIGXCPU:
            return Failure("timeout", f"{reason}: its processor time was used up; raise --timeout")
        if code == -signal.SIGKILL:
            if memory_bytes is not None and self.memory_seen >= 0.8 * memory_bytes:
                return Failure("memory", f"{reason}, close to its memory limit")
            return Failure("crash", f"{reason}, perhaps by the system, short of memory", True)
        return Failure("crash", reason)

    def _write_tasks(self) -> None:
        while self._outgoing:
            try:
                sent = os.write(self._tasks.fileno(), self._outgoing[:_CHUNK_BYTES])
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._outgoing.clear()
                return
            del self._outgoing[:sent]

    def _read_errors(self) -> None:
        for _ in range(_CHUNKS_A_READ):
            if self._errors.closed:
                return
            chunk = _read(self._errors.fileno())
            if chunk is None:
                return
            if not chunk:
                self._errors.close()
                return
            self._tail = (self._tail + chunk)[-_TAIL_BYTES:]

    def _take_messages(self) -> list[Message]:
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = rest
        messages: list[Message] = []
        try:
            if max(len(line) for line in (*lines, rest)) > MAX_MESSAGE_BYTES:
                raise ValueError("too long")
            for line in lines:
                messages.append(parse_message(bytes(line)))
        except ValueError as error:
            self._fault = f"its answer was garbled ({printable_line(str(error))[:60]})"
            self.ended = True
        return messages


def _read(descriptor: int) -> bytes | None:
    """Up to one chunk from a pipe; empty at the end of the stream, None if no bytes wait."""
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except BlockingIOError:
        return None


def last_line(tail: bytes) -> str:
    """The last line with visible text in a worker's stderr, cut to 200 characters."""
    lines = [printable_line(line) for line in tail.decode("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")[:_TAIL_SHOWN]


def exit_reason(code: int | None) -> str:
    """An exit status in words; None for a process that closed its pipes and still runs."""
    if code is None:
        return "stopped answering"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
