"""Remote repositories → models on the disk, fetched ahead by threads, within a disk budget.

Fetching happens in this process: workers, which run models, have no business with the network.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import LagottoError, ModelError, SourceError
from lagotto.core.files import writing
from lagotto.core.remote.files import Repository
from lagotto.core.remote.hugging_face import HuggingFace
from lagotto.core.remote.spec import RepositorySpec
from lagotto.core.types import ModelSource
from lagotto.models.metadata.repository import choose_files, fetch_model
from lagotto.models.registry import behaviour_digest

THREADS = 4


@dataclass(frozen=True, slots=True)
class FetchJob:
    """A repository to fetch into a folder; `repository` where its content is known already."""

    spec: RepositorySpec
    folder: Path
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """What was fetched: a model with its behaviour digest, at `source`; it takes `size` bytes."""

    model: ModelSource
    digest: str
    source: str
    size: int


class Fetchers:
    """Threads that run errands in order, each as soon as the disk budget allows it."""

    def __init__(self, hub: HuggingFace, errands: Sequence[FetchJob], budget_bytes: int) -> None:
        self._hub = hub
        self._budget = DiskBudget(budget_bytes)
        self._arrivals: list[Future[FetchedModel]] = [Future() for _ in errands]
        self._turns = iter(enumerate(errands))
        self._lock = threading.Lock()
        self._stopped = False
        for _ in range(min(THREADS, len(errands))):
            self._start()

    @property
    def arrivals(self) -> tuple[Future[FetchedModel], ...]:
        """One a errand, in order; `result` raises SourceError where it cannot be had."""
        return tuple(self._arrivals)

    def dropped(self, size: int) -> None:
        """An arrival of this size was probed and is off the disk."""
        self._budget.give_back(size)

    def close(self) -> None:
        """No errand is begun any more, and none waits; safe to call twice."""
        self._stopped = True
        self._hub.close()
        self._budget.close()

    def _start(self) -> None:
        """One more thread; a daemon, so that an interrupt does not wait for a download to end."""
        threading.Thread(target=self._work, name="lagotto-fetcher", daemon=True).start()

    def _work(self) -> None:
        for turn, errand in self._errands():
            arrival = self._arrivals[turn]
            try:
                arrival.set_result(self._fetch(turn, errand))
            except LagottoError as error:
                arrival.set_exception(error)
            finally:
                self._budget.pass_by(turn)
                if not arrival.done():  # a bug: its traceback ends this thread, another goes on
                    arrival.set_exception(SourceError(f"fetching {errand.spec} broke down"))
                    self._start()

    def _errands(self) -> Iterator[tuple[int, FetchJob]]:
        while not self._stopped:
            with self._lock:
                turn = next(self._turns, None)
            if turn is None:
                return
            yield turn

    def _fetch(self, turn: int, errand: FetchJob) -> FetchedModel:
        repository = errand.repository or self._hub.repository(errand.spec)
        choice = choose_files(repository)
        self._budget.take(turn, choice.total_bytes, repository.name)
        with writing(errand.folder):
            errand.folder.mkdir(parents=True, exist_ok=True)
        try:
            model = fetch_model(self._hub, repository, choice, errand.folder)
            digest = behaviour_digest(model)
        except LagottoError as error:
            self._budget.give_back(choice.total_bytes)
            if isinstance(error, ModelError):
                raise SourceError(str(error)) from error
            raise
        return FetchedModel(model, digest, repository.source, choice.total_bytes)


class DiskBudget:
    """Bytes of disk, given out turn by turn: who is behind never takes what one ahead waits for."""

    def __init__(self, total_bytes: int) -> None:
        self._total = self._free = total_bytes
        self._turn = 0
        self._passed: set[int] = set()
        self._closed = False
        self._changed = threading.Condition()

    def take(self, turn: int, size: int, name: str) -> None:
        """Waits for its turn and until `size` bytes are free; SourceError if they never will be."""
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
            self._pass(turn)

    def pass_by(self, turn: int) -> None:
        """This turn needs nothing more."""
        with self._changed:
            self._pass(turn)

    def give_back(self, size: int) -> None:
        """These bytes are free again."""
        with self._changed:
            self._free += size
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pass(self, turn: int) -> None:
        if turn >= self._turn:
            self._passed.add(turn)
        while self._turn in self._passed:
            self._passed.discard(self._turn)
            self._turn += 1
        self._changed.notify_all()
