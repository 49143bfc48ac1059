"""Work that outlasts a request comes in; it runs in turn, and its events and result go out."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lagotto.core.types import JsonObject
from lagotto.web.problems import Problem, clean_json, problem_of

JobState: TypeAlias = Literal["waiting", "running", "done", "failed"]

_MOST_WAITING = 8
_KEPT = 64
_EVENTS = 512
_EVENT_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened in a job: its number from 1, its kind, and what is known of it."""

    number: int
    kind: str
    content: JsonObject


@dataclass(slots=True)
class Job:
    """Work with its state; threads change it, and any may read it.

    Attributes:
        id: Names it for clients; it cannot be guessed.
        kind: What is done: classify or add.
        state: waiting, running, done or failed.
        result: What the work returned, once it is done.
        problem: Why it failed.
    """

    id: str
    kind: str
    state: JobState = "waiting"
    result: JsonObject | None = None
    problem: Problem | None = None
    _events: list[JobEvent] = field(default_factory=list)
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed")

    def tell(self, kind: str, content: JsonObject) -> None:
        """Appends an event; of very many the oldest are dropped."""
        with self._lock:
            self._number += 1
            self._events.append(JobEvent(self._number, kind, content))
            del self._events[:-_EVENTS]

    def events_after(self, number: int) -> list[JobEvent]:
        """The events with a higher number."""
        with self._lock:
            return [event for event in self._events if event.number > number]

    def as_json(self) -> JsonObject:
        """The job as clients see it."""
        failure = None if self.problem is None else self.problem.detail
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "result": self.result,
            "error": failure,
        }


class JobProgress:
    """A core.progress.Progress that tells a job of the stages of its work."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._stage: JsonObject = {}
        self._done = 0
        self._told = 0.0

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins."""
        self._stage, self._done = {"stage": stage, "total": total, "unit": unit}, 0
        self._tell()

    def advance(self, units: int, note: str = "") -> None:
        """Some units are done; it is told a few times a second."""
        self._done += units
        if time.monotonic() - self._told >= _EVENT_EVERY_S:
            self._tell(note)

    def finish(self) -> None:
        """The stage is over."""
        self._tell()

    def _tell(self, note: str = "") -> None:
        self._told = time.monotonic()
        said: JsonObject = {"done": self._done, **self._stage, "note": note}
        self._job.tell("progress", said)


class JobList:
    """Runs jobs one after the other, and keeps the last ones with their results."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._executor = ThreadPoolExecutor(1, "lagotto-job")
        self._lock = threading.Lock()

    def start(self, kind: str, work: Callable[[Job], JsonObject]) -> Job:
        """Enters work, which runs when the jobs before it are over.

        Raises:
            Problem: 429 if too many wait already.
        """
        job = Job(secrets.token_urlsafe(16), kind)
        with self._lock:
            waiting = sum(other.state == "waiting" for other in self._jobs.values())
            if waiting >= _MOST_WAITING:
                raise Problem(
                    429,
                    f"{waiting} jobs wait already; ask again when one is over",
                    headers={"Retry-After": "30"},
                )
            self._jobs[job.id] = job
            for old in [old for old in self._jobs.values() if old.is_over][: -_KEPT or None]:
                del self._jobs[old.id]
        job.tell("state", {"state": "waiting"})
        self._executor.submit(_run, job, work)
        return job

    def find(self, name: str) -> Job:
        """The job of an id; raises Problem (404) for none, or one that is long over."""
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise Problem(404, "no such job, or it is long over; start it again")
        return job

    def all(self) -> list[Job]:
        """The jobs that are known, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def close(self) -> None:
        """Drops what waits; what runs is waited for by nobody."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _run(job: Job, work: Callable[[Job], JsonObject]) -> None:
    job.state = "running"
    job.tell("state", {"state": "running"})
    try:
        result = clean_json(work(job))
    except Exception as error:  # whatever it was, the client is told, and the next job runs
        job.problem = problem_of(error)
        job.tell("failed", {"detail": job.problem.detail, "status": job.problem.status})
        job.state = "failed"
        return
    job.result = result if isinstance(result, dict) else {}
    job.tell("done", job.result)
    job.state = "done"
