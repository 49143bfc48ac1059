"""The protocol of a runner: tasks come in; one outcome for each goes out, whatever happens."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from lagotto.core.types import JsonObject

FailureKind: TypeAlias = Literal["error", "crash", "timeout", "memory"]
OnProgress: TypeAlias = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Task:
    """A function call as data, for a worker process.

    `entry` is "package.module:function" and `payload` is JSON. The function takes (payload,
    progress) and returns a JSON object; `progress(n)` reports n more units of work. Large results
    go to files that the payload names, never through the pipe. `key` is copied to the outcome.
    """

    key: str
    entry: str
    payload: JsonObject


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no value: its own error, a crash (signal), its time limit or memory limit."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a task: exactly one of `value` and `failure` is set."""

    key: str
    value: JsonObject | None
    failure: Failure | None


@runtime_checkable
class Runner(Protocol):
    """Runs tasks on workers that stay alive from task to task, one task at a time on each."""

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        """Yields outcomes in order of completion; calls `on_progress(key, n)` as tasks report."""

    def close(self) -> None:
        """Stops every worker; safe to call twice."""
