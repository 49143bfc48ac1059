"""The protocol of a runner: tasks in, one outcome each, whatever happens to the task."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from lagotto.core.types import JsonObject

FailureKind: TypeAlias = Literal["error", "crash", "timeout", "memory"]
OnProgress: TypeAlias = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Task:
    """A call that any worker can rebuild: `entry` is "package.module:function", `payload` is JSON.

    The function takes (payload, progress) and returns a JSON object; `progress(n)` reports n more
    units of work done. Large results go to files named in the payload, never through the pipe.
    """

    key: str
    entry: str
    payload: JsonObject


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no value: its own error, a crash (signal), its time or its memory limit."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: exactly one of `value` and `failure` is set."""

    key: str
    value: JsonObject | None
    failure: Failure | None


@runtime_checkable
class Runner(Protocol):
    """Runs tasks on workers that stay alive across tasks; one task at a time a worker."""

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        """Outcomes in order of completion; `on_progress(key, n)` as the tasks report."""

    def close(self) -> None:
        """Stops every worker; safe to call twice."""
