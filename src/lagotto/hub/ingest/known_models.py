"""Models that a hub knows come in; their files go out, found or fetched again.

A file counts only if it is the model that was probed: its behaviour digest is the one recorded.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.core.errors import LagottoError, ModelError, UsageError
from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.core.remote.spec import (
    MLFLOW,
    MlflowSpec,
    RepositorySpec,
    is_remote,
    parse_registered,
    parse_repository,
)
from lagotto.core.types import ModelSource
from lagotto.hub.store.records import Copy, ModelRecord
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest

if TYPE_CHECKING:
    from lagotto.hub.ingest.remote.remote_models import RemoteModels


class KnownModels:
    """The files of models that were probed before.

    `local` are those on disk and `missing` says why others are not there, both by digest; what is
    to be fetched again is in neither until `fetched` has gone through it.
    """

    def __init__(self, records: Sequence[ModelRecord], copies: Sequence[Copy]) -> None:
        """Looks for each model where it was listed, and then where a copy of it was."""
        self.local: dict[str, ModelSource] = {}
        self.missing: dict[str, str] = {}
        self._remote: dict[str, str] = {}
        for record in records:
            sources = [record.source]
            sources += [copy.source for copy in copies if copy.digest == record.digest]
            self._find(record.digest, sources)

    def fetched(
        self, folder: Path, cache_bytes: int, progress: Progress
    ) -> Iterator[dict[str, ModelSource]]:
        """Models of remote sources by digest, one at a time; each is deleted behind the next.

        Args:
            folder: Where they lie meanwhile.
            cache_bytes: Disk that they may take.
            progress: Told of each.
        """
        if not self._remote:
            return
        from lagotto.hub.ingest.remote.fetch import (  # loads the client of the hub
            Fetchers,
            FetchJob,
        )
        from lagotto.hub.ingest.remote.remote_models import RemoteModels

        hub = RemoteModels()
        specs = self._specs(hub)
        with writing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        jobs = [FetchJob(spec, folder / digest[:16]) for digest, spec in specs.items()]
        fetchers = Fetchers(hub, jobs, cache_bytes)
        progress.start("fetching", len(jobs), "models")
        with closing(fetchers):
            for digest, job, future in zip(specs, jobs, fetchers.futures, strict=True):
                size = 0
                try:
                    model = future.result()
                    size = model.size
                    if model.digest != digest:
                        self.missing[digest] = f"{self._remote[digest]} is another model now"
                    else:
                        yield {digest: model.model}
                except LagottoError as error:
                    self.missing[digest] = str(error)
                progress.advance(1)
                shutil.rmtree(job.folder, ignore_errors=True)
                fetchers.release(size)
        progress.finish()
        shutil.rmtree(folder, ignore_errors=True)

    def _find(self, digest: str, sources: Sequence[str]) -> None:
        reasons = []
        for source in sources:
            if is_remote(source):
                self._remote.setdefault(digest, source)
                continue
            found, reason = _read(source, digest)
            if found is not None:
                self.local[digest] = found
                self._remote.pop(digest, None)
                return
            reasons.append(reason)
        if digest not in self._remote:
            self.missing[digest] = reasons[0]

    def _specs(self, hub: "RemoteModels") -> Mapping[str, RepositorySpec | MlflowSpec]:
        """What is to be fetched, by digest; a registry that cannot be asked is a reason."""
        specs: dict[str, RepositorySpec | MlflowSpec] = {}
        for digest, source in self._remote.items():
            try:
                spec: RepositorySpec | MlflowSpec = (
                    parse_registered(source.rpartition(" (")[0] or source)
                    if source.startswith(MLFLOW)
                    else parse_repository(source)
                )
                hub.connect(spec)
                specs[digest] = spec
            except LagottoError as error:
                self.missing[digest] = str(error)
        return specs


def _read(source: str, digest: str) -> tuple[ModelSource | None, str]:
    """The model at a path if it is still the one of that digest; else None, and the reason."""
    file = Path(source)
    if not file.exists():
        return None, f"{source} is gone"
    for place in (file, file.parent):
        try:
            models = scan_models([place])
        except UsageError:
            continue
        for model in models:
            if os.path.abspath(model.file) == os.path.abspath(file):
                try:
                    if behaviour_digest(model) == digest:
                        return model, ""
                except (ModelError, OSError):
                    continue
    return None, f"{source} has changed since it was probed"
