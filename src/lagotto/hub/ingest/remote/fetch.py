"""Remote repositories come in; model files on disk go out, fetched ahead by threads.

The files stay within a budget of disk. They are fetched in this process, because the workers that
run models have no access to the network.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import LagottoError, ModelError, SourceError
from lagotto.core.files import writing
from lagotto.core.remote.files import Repository
from lagotto.core.remote.spec import MlflowSpec, RepositorySpec
from lagotto.core.types import ModelSource
from lagotto.hub.ingest.remote.remote_models import RemoteModels
from lagotto.models.registry import behaviour_digest

THREADS = 4


@dataclass(frozen=True, slots=True)
class FetchJob:
    """A repository to fetch into a folder; `repository` is its content, if that is known."""

    spec: RepositorySpec | MlflowSpec
    folder: Path
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A fetched model with its behaviour digest; it is from `source` and takes `size` bytes."""

    model: ModelSource
    digest: str
    source: str
    size: int


class Fetchers:
    """Threads that run fetch jobs in order, each as soon as the disk budget allows it."""

    def __init__(self, hub: RemoteModels, jobs: Sequence[FetchJob], budget_bytes: int) -> None:
        self._hub = hub
        self._budget = DiskBudget(budget_bytes)
        self._futures: list[Future[FetchedModel]] = [Future() for _ in jobs]
        self._turns = iter(enumerate(jobs))
        self._lock = threading.Lock()
        self._stopped = False
        for _ in range(min(THREADS, len(jobs))):
            self._start()

    @property
    def futures(self) -> tuple[Future[FetchedModel], ...]:
        """One future a job, in order; `result` raises SourceError if the fetch failed."""
        return tuple(self._futures)

    def release(self, size: int) -> None:
        """Gives back the disk space of a fetched model that was deleted."""
        self._budget.give_back(size)

    def close(self) -> None:
        """Starts no more jobs and ends all waiting; safe to call twice."""
        self._stopped = True
        self._hub.close()
        self._budget.close()

    def _start(self) -> None:
        """Starts a thread; it is a daemon, so that an interrupt does not wait for a download."""
        threading.Thread(target=self._work, name="lagotto-fetcher", daemon=True).start()

    def _work(self) -> None:
        for turn, job in self._next_jobs():
            future = self._futures[turn]
            try:
                future.set_result(self._fetch(turn, job))
            except LagottoError as error:
                future.set_exception(error)
            finally:
                self._budget.skip(turn)
                if not future.done():  # a bug: its traceback ends this thread, another goes on
                    future.set_exception(SourceError(f"fetching {job.spec} broke down"))
                    self._start()

    def _next_jobs(self) -> Iterator[tuple[int, FetchJob]]:
        while not self._stopped:
            with self._lock:
                turn = next(self._turns, None)
            if turn is None:
                return
            yield turn

    def _fetch(self, turn: int, job: FetchJob) -> FetchedModel:
        repository = job.repository or self._hub.repository(job.spec)
        choice = self._hub.choose(repository)
        self._budget.take(turn, choice.total_bytes, repository.name)
        with writing(job.folder):
            job.folder.mkdir(parents=True, exist_ok=True)
        try:
            model = self._hub.fetch(repository, choice, job.folder)
            digest = behaviour_digest(model)
        except LagottoError as error:
            self._budget.give_back(choice.total_bytes)
            if isinstance(error, ModelError):
                raise SourceError(str(error)) from error
            raise
        return FetchedModel(model, digest, repository.source, choice.total_bytes)


class DiskBudget:
    """Bytes of disk, given out in the order of turns.

    A later turn never takes space that an earlier turn waits for.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total = self._free = total_bytes
        self._turn = 0
        self._ended_turns: set[int] = set()
        self._closed = False
        self._changed = threading.Condition()

    def take(self, turn: int, size: int, name: str) -> None:
        """Waits for the turn and for `size` free bytes; raises SourceError if that is too much."""
        if size > self._total:
            raise SourceError(
                f"{name} takes {size / 2**30:.2f} GiB of disk and {self._total / 2**30:.2f} are "
                "allowed; raise --cache-gb"
            )
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or (turn == self._turn and size <= self._free)
            )
            if self._closed:
                raise SourceError("stopped")
            self._free -= size
            self._end(turn)

    def skip(self, turn: int) -> None:
        """Ends a turn that needs nothing more."""
        with self._changed:
            self._end(turn)

    def give_back(self, size: int) -> None:
        """Makes bytes free again."""
        with self._changed:
            self._free += size
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _end(self, turn: int) -> None:
        if turn >= self._turn:
            self._ended_turns.add(turn)
        while self._turn in self._ended_turns:
            self._ended_turns.discard(self._turn)
            self._turn += 1
        self._changed.notify_all()
