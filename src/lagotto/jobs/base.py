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

    `reads` are files that another machine must have too, the same under the same path, to run it.
    `in_place` tasks fill parts of one file, which is safe on the machine of that file alone.
    """

    key: str
    entry: str
    payload: JsonObject
    reads: tuple[str, ...] = ()
    in_place: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no value: its own error, a crash (signal), its time limit or memory limit.

    `killed` means that its process was ended from outside, so that another try may succeed.
    """

    kind: FailureKind
    reason: str
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a task: exactly one of `value` and `failure` is set."""

    key: str
    value: JsonObject | None
    failure: Failure | None


@runtime_checkable
class Runner(Protocol):
    """Runs tasks on workers that stay alive from task to task, one task at a time on each."""

    @property
    def where(self) -> str:
        """The machines on which it runs tasks now, for a progress; "" for this one alone."""

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        """Yields outcomes in order of completion; calls `on_progress(key, n)` as tasks report."""

    def close(self) -> None:
        """Stops every worker; safe to call twice."""
