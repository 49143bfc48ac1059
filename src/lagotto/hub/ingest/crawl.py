"""Remote sources that a user lists → batches of models to probe, each dropped when it is done.

All repositories are noted in the catalogue before the first is fetched, by a stand-in for their
digest: a crawl that is cut off goes on where it was, in the same order, and fetches nothing twice.
"""

import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from lagotto.core.errors import SourceError
from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.core.remote.files import Repository
from lagotto.core.remote.hugging_face import HuggingFace, OutOfReachError
from lagotto.core.remote.spec import (
    SEARCH,
    RepositorySpec,
    parse_repository,
    parse_search,
)
from lagotto.core.types import ModelSource
from lagotto.hub.ingest.fetch import (
    FetchedModel,
    Fetchers,
    FetchJob,
)
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import (
    Copy,
    Listing,
    ModelRecord,
)

_BATCH = 16
_OUTAGE = 3  # models in a row that the hub did not answer for: it is not the models' fault
FETCH_FAILURE = "source"
"""The kind of failure of a model that its source did not give."""


class Crawl:
    """One run over remote sources. `already`, `copies` and `failed` (digests) count what it met."""

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
        self._hub = HuggingFace()
        self._seen: set[str] = set()
        self._known: dict[str, Repository] = {}
        self._expected: list[ModelRecord] = []
        self._errands: list[FetchJob] = []

    def note(self, specs: Sequence[str]) -> None:
        """Lists what the specs name, and notes it in the catalogue; fetches no model.

        Raises UsageError for a spec that is not understood, SourceError where a search fails.
        """
        parsed = [parse_search(s) if s.startswith(SEARCH) else parse_repository(s) for s in specs]
        named: dict[RepositorySpec, Listing] = {}
        refused: dict[str, str] = {}
        self._progress.start("listing", len(parsed), "sources")
        for spec in parsed:
            direct = isinstance(spec, RepositorySpec)
            for found in [spec] if isinstance(spec, RepositorySpec) else self._hub.search(spec):
                asked = found if direct else RepositorySpec(found.name)
                try:
                    pinned = self._pinned(found)
                except OutOfReachError:
                    raise
                except SourceError as error:
                    pinned = found
                    refused[str(found)] = str(error)
                listing = Listing(_stand_in(asked), pinned.name, str(pinned))
                named.setdefault(pinned, listing)
            self._progress.advance(1)
        self._progress.finish()
        expected, self.already = self._catalogue.expect(list(named.values()))
        by_source = {str(pinned): pinned for pinned in named}
        for record in expected:
            spec = by_source[record.source]
            if record.source in refused:
                self._fail(record, refused[record.source])
                continue
            self._expected.append(record)
            folder = self._folder / sha256(record.source.encode()).hexdigest()[:16]
            self._errands.append(FetchJob(spec, folder, self._known.get(record.source)))

    def batches(self) -> Iterator[dict[str, ModelSource]]:
        """Models by digest, a few at a time, in order; each batch must be probed and recorded
        before the next is asked for: then it is dropped from the disk.

        Raises SourceError where the hub is out of reach: what is left stays pending.
        """
        self._clear()
        fetchers = Fetchers(self._hub, self._errands, self._cache_bytes)
        waiting = deque(zip(self._expected, self._errands, fetchers.arrivals, strict=True))
        silent = 0
        with closing(fetchers):
            while waiting:
                self._await(waiting[0][2], len(waiting))
                batch: dict[str, ModelSource] = {}
                held: list[tuple[Path, int]] = []
                while waiting and len(held) < _BATCH and waiting[0][2].done():
                    record, errand, future = waiting.popleft()
                    try:
                        arrival = future.result()
                    except SourceError as error:
                        silent = silent + 1 if isinstance(error, OutOfReachError) else 0
                        self._fail(record, str(error))
                        held.append((errand.folder, 0))
                        if silent >= _OUTAGE:
                            raise SourceError(
                                f"{error}; {len(waiting)} models are left: the same command goes on"
                            ) from error
                        continue
                    silent = 0
                    held.append((errand.folder, arrival.size))
                    self._take_in(record, arrival, batch)
                if batch:
                    yield batch
                for folder, size in held:
                    shutil.rmtree(folder, ignore_errors=True)
                    fetchers.dropped(size)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _pinned(self, spec: RepositorySpec) -> RepositorySpec:
        """The spec at a commit; the hub is asked unless a search has told it."""
        if spec.is_pinned:
            return spec
        repository = self._hub.repository(spec)
        self._known[repository.source] = repository
        return RepositorySpec(repository.name, repository.commit)

    def _take_in(
        self, record: ModelRecord, arrival: FetchedModel, batch: dict[str, ModelSource]
    ) -> None:
        listing = Listing(arrival.digest, record.name, arrival.source)
        met = self._catalogue.identify(record, listing, self._seen)
        if isinstance(met, Copy):
            self.copies.append(met)
        else:
            self._seen.add(met.digest)
            batch[met.digest] = arrival.model

    def _fail(self, record: ModelRecord, reason: str) -> None:
        self._catalogue.record_failure(record.digest, FETCH_FAILURE, reason)
        self.failed.add(record.digest)

    def _await(self, arrival: Future[FetchedModel], left: int) -> None:
        total = len(self._expected)
        self._progress.start("fetching", total, "models")
        self._progress.advance(total - left)
        arrival.exception()
        self._progress.finish()

    def _clear(self) -> None:
        """Takes away what earlier runs left that this one does not go on with."""
        wanted = {errand.folder.name for errand in self._errands}
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
            for path in self._folder.iterdir():
                if path.name not in wanted:
                    shutil.rmtree(path, ignore_errors=True)
            for path in self._folder.rglob("*.incomplete"):
                path.unlink(missing_ok=True)


def _stand_in(spec: RepositorySpec) -> str:
    """What stands for the digest of a model that is not fetched yet."""
    return sha256(b"not fetched\n" + str(spec).encode()).hexdigest()
