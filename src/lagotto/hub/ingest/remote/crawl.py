"""Specs of remote models come in; batches of fetched models go out, deleted once they are probed.

All repositories are entered in the catalogue before the first is fetched, with a stand-in for their
digest. So a crawl that was cut off continues where it was, in the same order, and fetches nothing
twice.
"""

import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lagotto.core.errors import SourceError
from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.core.remote.files import Repository
from lagotto.core.remote.retry import OutOfReachError
from lagotto.core.remote.spec import (
    MLFLOW,
    SEARCH,
    MlflowSpec,
    RepositorySpec,
    SearchSpec,
    parse_registered,
    parse_repository,
    parse_search,
)
from lagotto.core.types import ModelSource
from lagotto.hub.ingest.remote.fetch import (
    FetchedModel,
    Fetchers,
    FetchJob,
)
from lagotto.hub.ingest.remote.remote_models import RemoteModels
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import (
    Copy,
    Listing,
    ModelRecord,
)

_BATCH = 16
_OUTAGE = 3
"""Models in a row without an answer from the hub, after which the hub is taken to be down."""

FETCH_FAILURE = "source"
"""The kind of failure of a model that could not be fetched."""


@dataclass(frozen=True, slots=True)
class _Named:
    """A remote model: as it was found, and as it was asked for."""

    spec: RepositorySpec | MlflowSpec
    requested: RepositorySpec | MlflowSpec


class Crawl:
    """One run over remote sources.

    `already` counts the models that were done before, `copies` are copies of known models, and
    `failed` are the digests of the models that could not be fetched.
    """

    def __init__(
        self, catalogue: Catalog, folder: Path, cache_bytes: int, progress: Progress
    ) -> None:
        self.already = 0
        self.copies: list[Copy] = []
        self.failed: set[str] = set()
        self._catalogue = catalogue
        self._folder = folder
        self._cache_bytes = cache_bytes
        self._progress = progress
        self._hub = RemoteModels()
        self._fetched: set[str] = set()
        self._known: dict[str, Repository] = {}
        self._expected: list[ModelRecord] = []
        self._jobs: list[FetchJob] = []
        self._found: dict[str, _Named] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """What the specs name, in order."""
        return tuple(self._found)

    def find(self, specs: Sequence[str]) -> None:
        """Finds out what specs name; nothing is entered in the catalogue.

        Raises:
            UsageError: A spec is not understood.
            SourceError: A search fails.
        """
        parsed = [_parse(spec) for spec in specs]
        for spec in parsed:
            self._hub.connect(spec)
        self._progress.start("listing", len(parsed), "sources")
        for spec in parsed:
            if isinstance(spec, SearchSpec):
                for result in self._hub.search(spec):  # it names the commit, a user may not
                    item = _Named(result, RepositorySpec(result.name))
                    self._found.setdefault(str(result), item)
            else:
                self._found.setdefault(str(spec), _Named(spec, spec))
            self._progress.advance(1)
        self._progress.finish()

    def register(self, positions: Sequence[int] | None = None) -> None:
        """Enters the models that were found in the catalogue; fetches none.

        `positions` are the places, in `names`, of those that this run is for, and become their
        positions in the catalogue. None: all, behind the models that are there.

        Raises SourceError if their hub is out of reach.
        """
        named: dict[str, tuple[RepositorySpec | MlflowSpec, Listing]] = {}
        errors: dict[str, str] = {}
        found = [*self._found.values()]
        for place in range(len(found)) if positions is None else positions:
            item = found[place]
            try:
                pinned, source = self._pin(item.spec)
            except OutOfReachError:
                raise
            except SourceError as error:
                pinned, source = item.spec, str(item.spec)
                errors[source] = str(error)
            position = None if positions is None else place
            listing = Listing(_stand_in(item.requested), pinned.title, source, position)
            named.setdefault(source, (pinned, listing))
        listings = [listing for _, listing in named.values()]
        expected, self.already = self._catalogue.expect(listings)
        for record in expected:
            if record.source in errors:
                self._fail(record, errors[record.source])
                continue
            self._expected.append(record)
            folder = self._folder / sha256(record.source.encode()).hexdigest()[:16]
            pinned = named[record.source][0]
            self._jobs.append(FetchJob(pinned, folder, self._known.get(record.source)))

    def batches(self) -> Iterator[dict[str, ModelSource]]:
        """Fetched models by digest, a few at a time, in order.

        A batch is deleted from the disk when the next one is asked for, so it must be probed and
        recorded before.

        Raises:
            SourceError: The hub is out of reach. The models that are left stay pending.
        """
        self._clear()
        fetchers = Fetchers(self._hub, self._jobs, self._cache_bytes)
        queue = deque(zip(self._expected, self._jobs, fetchers.futures, strict=True))
        unanswered = 0
        with closing(fetchers):
            while queue:
                self._await(queue[0][2], len(queue))
                batch: dict[str, ModelSource] = {}
                folders: list[tuple[Path, int]] = []
                while queue and len(folders) < _BATCH and queue[0][2].done():
                    record, job, future = queue.popleft()
                    try:
                        fetched = future.result()
                    except SourceError as error:
                        unanswered = unanswered + 1 if isinstance(error, OutOfReachError) else 0
                        self._fail(record, str(error))
                        folders.append((job.folder, 0))
                        if unanswered >= _OUTAGE:
                            raise SourceError(
                                f"{error}; {len(queue)} models are left: the same command goes on"
                            ) from error
                        continue
                    unanswered = 0
                    folders.append((job.folder, fetched.size))
                    self._identify(record, fetched, batch)
                if batch:
                    yield batch
                for folder, size in folders:
                    shutil.rmtree(folder, ignore_errors=True)
                    fetchers.release(size)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _pin(self, spec: RepositorySpec | MlflowSpec) -> tuple[RepositorySpec | MlflowSpec, str]:
        """The spec of exactly this content, and its source; the hub is asked unless it says both.

        The number of a version says little by itself: another registry may have the same.
        """
        if isinstance(spec, RepositorySpec) and spec.is_pinned:
            return spec, str(spec)
        repository = self._hub.repository(spec)
        self._known[repository.source] = repository
        if isinstance(spec, MlflowSpec):
            return parse_registered(f"{MLFLOW}{repository.name}"), repository.source
        pinned = RepositorySpec(repository.name, repository.commit)
        return pinned, str(pinned)

    def _identify(
        self, record: ModelRecord, fetched: FetchedModel, batch: dict[str, ModelSource]
    ) -> None:
        """Enters the digest of a fetched model, and adds it to the batch unless it is a copy."""
        listing = Listing(fetched.digest, record.name, fetched.source)
        entry = self._catalogue.identify(record, listing, self._fetched)
        if isinstance(entry, Copy):
            self.copies.append(entry)
        else:
            self._fetched.add(entry.digest)
            batch[entry.digest] = fetched.model

    def _fail(self, record: ModelRecord, reason: str) -> None:
        self._catalogue.record_failure(record.digest, FETCH_FAILURE, reason)
        self.failed.add(record.digest)

    def _await(self, future: Future[FetchedModel], left: int) -> None:
        """Waits until a model is fetched or has failed; `left` models are not fetched yet."""
        total = len(self._expected)
        self._progress.start("fetching", total, "models")
        self._progress.advance(total - left)
        future.exception()
        self._progress.finish()

    def _clear(self) -> None:
        """Deletes what earlier runs left, except the folders that this run continues."""
        current = {job.folder.name for job in self._jobs}
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
            for path in self._folder.iterdir():
                if path.name not in current:
                    shutil.rmtree(path, ignore_errors=True)
            for path in self._folder.rglob("*.incomplete"):
                path.unlink(missing_ok=True)


def _parse(spec: str) -> RepositorySpec | MlflowSpec | SearchSpec:
    if spec.startswith(SEARCH):
        return parse_search(spec)
    return parse_registered(spec) if spec.startswith(MLFLOW) else parse_repository(spec)


def _stand_in(spec: RepositorySpec | MlflowSpec) -> str:
    """The stand-in for the digest of a model that is not fetched yet."""
    return sha256(b"not fetched\n" + str(spec).encode()).hexdigest()
