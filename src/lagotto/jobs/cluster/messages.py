"""Tasks and outcomes come in; JSON in bytes goes out, and comes back: all that a cluster carries.

An engine of clusters unpickles what its workers return. So nothing but bytes crosses it.
"""

import json
import os
from dataclasses import asdict, dataclass
from typing import TypeAlias

from lagotto.core.types import JsonObject
from lagotto.jobs.base import Failure, Outcome, Task


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file, by which another machine can tell that it sees the same: bytes and whole seconds."""

    path: str
    bytes: int
    changed_s: int

    @property
    def is_here(self) -> bool:
        """Whether this machine has that file under that path."""
        return stamp_file(self.path) == self


def stamp_file(path: str) -> Stamp | None:
    """The stamp of a file; None if there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return Stamp(path, state.st_size, int(state.st_mtime))


@dataclass(frozen=True, slots=True)
class Unseen:
    """A machine has other files than the task was made from; `path` is the first of them."""

    path: str


MemberMessage: TypeAlias = int | Outcome | Unseen
"""Progress (units of work), the outcome of the task, or why the machine cannot run it."""


def pack_task(task: Task) -> bytes:
    """A task, with the stamps of the files that it reads."""
    stamps = [asdict(stamp) for path in task.reads if (stamp := stamp_file(path)) is not None]
    fields = {"key": task.key, "entry": task.entry, "payload": task.payload, "reads": stamps}
    return json.dumps(fields).encode()


def unpack_task(line: bytes) -> tuple[Task, tuple[Stamp, ...]]:
    """What `pack_task` packed."""
    fields = json.loads(line)
    stamps = tuple(Stamp(**stamp) for stamp in fields["reads"])
    return Task(fields["key"], fields["entry"], fields["payload"]), stamps


def pack_message(message: MemberMessage) -> bytes:
    """A message of a worker to the machine that gave it a task."""
    match message:
        case Outcome():
            return json.dumps({"outcome": asdict(message)}).encode()
        case Unseen():
            return json.dumps({"unseen": message.path}).encode()
    return json.dumps({"progress": message}).encode()


def unpack_message(line: bytes) -> MemberMessage:
    """What `pack_message` packed."""
    fields: JsonObject = json.loads(line)
    match fields:
        case {"progress": int(count)}:
            return count
        case {"unseen": str(path)}:
            return Unseen(path)
        case {"outcome": {"key": str(key), "value": dict(value), "failure": None}}:
            return Outcome(key, value, None)
        case {"outcome": {"key": str(key), "value": None, "failure": dict(failure)}}:
            return Outcome(key, None, Failure(**failure))
    raise ValueError(f"not a message of a member of a cluster: {line[:80]!r}")
