"""Models that a user lists come in; probed and recorded models, and their blocks, go out."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.core.errors import ModelError
from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.core.remote.spec import is_remote
from lagotto.core.types import JsonObject, ModelSource
from lagotto.hub.ingest.merging.shard import ModelShard, enter_shard
from lagotto.hub.ingest.probing import (
    ProbedModel,
    ProbingJob,
    probe_models,
)
from lagotto.hub.ingest.references import name_references
from lagotto.hub.ingest.response_files import note_responses, record_probed, tidy
from lagotto.hub.ingest.segments import rebuild_blocks
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.hub.probes.subset import Share
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.records import (
    FailedModel,
    Listing,
    ModelRecord,
    Plan,
    split_copies,
)
from lagotto.hub.store.responses import read_responses
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.file_count import FileCount
from lagotto.models.metadata.scan import FoundModels, scan_paths
from lagotto.models.metadata.unread.recognition import UnreadFile
from lagotto.models.registry import behaviour_digest

if TYPE_CHECKING:
    from lagotto.hub.ingest.remote.crawl import Crawl


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of the models listed: names of those added, and copies as (name, original).

    `extended` are models that the hub had and that have now seen more probes. `already` counts
    those that needed no work. A copy of a model that failed is a failure, too. `notes` say what
    could not be made ready for searches. `files` counts the files under the paths listed, and
    `not_read` names the models among them that are of a form that is not read.
    """

    done: tuple[str, ...]
    extended: tuple[str, ...]
    failures: tuple[FailedModel, ...]
    already: int
    copies: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    files: FileCount = field(default_factory=FileCount)
    not_read: tuple[UnreadFile, ...] = ()

    @property
    def is_failure(self) -> bool:
        """True if models failed and the hub has none of those listed."""
        present = self.done or self.extended or self.already or self.copies
        return bool(self.failures) and not present

    def as_json(self) -> JsonObject:
        """The fields by name, tuples as lists."""
        fields: JsonObject = json.loads(json.dumps({**asdict(self), "files": self.files.as_json()}))
        return fields


@dataclass(frozen=True, slots=True)
class AddOptions:
    """How models are added.

    `share` is which probes each model sees. Models of the hub that saw fewer then see more. Without
    it, new models see all probes. `as_references` says that the user vouches for their labels:
    those without are refused. `shard` is which of the models listed are added; None: all.
    """

    share: Share | None = None
    as_references: bool = False
    shard: ModelShard | None = None


def add_models(
    layout: HubLayout,
    probe_set: ProbeSet,
    models: Sequence[Path | str],
    limits: Limits,
    progress: Progress,
    options: AddOptions | None = None,
) -> AddReport:
    """Adds models to a hub: probes new ones, retries failed ones, and skips those that are done.

    Args:
        layout: The hub.
        probe_set: Its probes.
        models: Model files, folders to scan, and remote specs (`hf:ORG/NAME`).
        limits: Workers, time, memory and disk that may be used.
        progress: Receives each stage.
        options: How they are added.

    Returns:
        What became of each model.

    Raises:
        UsageError: A path holds no model, or a spec is not understood.
        SourceError: A remote source is out of reach.
        HubError: Another process writes to the hub, or it cannot be written.
    """
    options = options or AddOptions()
    runner = limits.start(layout.cache, layout.staging)  # no worker yet; a wrong address ends here
    with hub_lock(layout.folder), Catalog(layout.catalogue, writable=True) as catalogue:
        remote = [str(model) for model in models if is_remote(str(model))]
        tidy(layout, catalogue, keep_fetched=bool(remote))
        scan = scan_paths([Path(model) for model in models if not is_remote(str(model))])
        crawl = _crawl(layout, catalogue, remote, limits, progress)
        positions = _register(catalogue, crawl, scan, options.shard)
        sources = _digests([scan.models[place] for place in positions], progress)
        run = catalogue.start_run({"paths": [str(model) for model in models]}, now_text())
        plan = catalogue.plan(_listings(sources, positions, crawl, options.shard))
        earlier = {each.digest: each for each in catalogue.done([d for d, _ in sources])}
        local_jobs = _plan_jobs(layout, plan, _first_sources(sources), earlier, options.share)
        results: list[ProbedModel] = []
        try:
            for folder in (layout.cache, layout.staging):
                with writing(folder):
                    folder.mkdir(exist_ok=True)
            fetched = crawl.batches() if crawl else ()
            batches = (_new_jobs(batch, options.share) for batch in fetched)
            for jobs in chain([local_jobs], batches):
                for probed in probe_models(
                    *(runner, jobs, probe_set, layout.cache, layout.staging, progress),
                    limits.device,
                ):
                    record_probed(layout, catalogue, probed, probed.digest in earlier)
                    results.append(probed)
        finally:
            runner.close()
            for folder in _passing(layout, options.shard):
                shutil.rmtree(folder, ignore_errors=True)
        refused: tuple[FailedModel, ...] = ()
        if options.as_references:
            listed = {*(digest for digest, _ in sources), *(each.digest for each in results)}
            refused = name_references(layout, catalogue, {*listed, *remote}, earlier)
        note_responses(layout, catalogue)
        rebuild_blocks(layout, catalogue, probe_set.digest)
        if crawl:
            copies = (*plan.copies, *crawl.copies)
            plan = replace(plan, already=plan.already + crawl.already, copies=copies)
        unfetched = crawl.failed if crawl else set()
        report = _report(catalogue, plan, results, earlier, unfetched)
        report = replace(
            report,
            files=scan.files,
            not_read=scan.not_read,
            failures=(*report.failures, *refused),
        )
        counts = (len(report.failures), report.already + len(report.copies))
        catalogue.finish_run(run, now_text(), len(report.done) + len(report.extended), *counts)
        return report


def _passing(layout: HubLayout, shard: ModelShard | None) -> tuple[Path, ...]:
    """The folders that are removed behind a run: a shard has no further use of decoded probes."""
    return (layout.staging,) if shard is None else (layout.staging, layout.cache)


def _crawl(
    layout: HubLayout,
    catalogue: Catalog,
    specs: Sequence[str],
    limits: Limits,
    progress: Progress,
) -> "Crawl | None":
    """The models that remote specs name; None without specs."""
    if not specs:
        return None
    from lagotto.hub.ingest.remote.crawl import Crawl  # loads the client of the Hugging Face Hub

    crawl = Crawl(catalogue, layout.fetched, limits.cache_bytes, progress)
    crawl.find(specs)
    return crawl


def _register(
    catalogue: Catalog, crawl: "Crawl | None", scan: FoundModels, shard: ModelShard | None
) -> Sequence[int]:
    """Enters remote models in the catalogue; which models of the scan this run is for.

    The list of which a shard is a part has the remote models first.
    """
    if shard is None:
        if crawl:
            crawl.register()
        return range(len(scan.models))
    remote = crawl.names if crawl else ()
    enter_shard(catalogue, shard, remote, scan)
    places = shard.positions(len(remote) + len(scan.models))
    if crawl:
        crawl.register([place for place in places if place < len(remote)])
    return [place - len(remote) for place in places if place >= len(remote)]


def _listings(
    sources: Sequence[tuple[str, ModelSource]],
    positions: Sequence[int],
    crawl: "Crawl | None",
    shard: ModelShard | None,
) -> list[Listing]:
    """The models of paths as they are entered; those of a shard at their places in the list."""
    before = len(crawl.names) if crawl else 0
    return [
        Listing(
            digest,
            source.name,
            _path_text(source.file),
            None if shard is None else before + place,
        )
        for place, (digest, source) in zip(positions, sources, strict=True)
    ]


def _path_text(file: Path) -> str:
    """A path as the catalogue holds it: bytes of a name that are no UTF-8 become escapes."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def _digests(sources: Sequence[ModelSource], progress: Progress) -> list[tuple[str, ModelSource]]:
    """Each source with its behaviour digest; an unreadable file has a digest of its path."""
    progress.start("reading models", len(sources), "files")
    digests = []
    for source in sources:
        try:
            digest = behaviour_digest(source)
        except (ModelError, OSError):
            digest = sha256(b"unreadable\n" + os.fsencode(source.file)).hexdigest()
        digests.append((digest, source))
        progress.advance(1)
    progress.finish()
    return digests


def _first_sources(sources: Sequence[tuple[str, ModelSource]]) -> dict[str, ModelSource]:
    """The first source listed of every model."""
    first: dict[str, ModelSource] = {}
    for digest, source in sources:
        first.setdefault(digest, source)
    return first


def _plan_jobs(
    layout: HubLayout,
    plan: Plan,
    sources: Mapping[str, ModelSource],
    earlier: Mapping[str, ModelRecord],
    share: Share | None,
) -> dict[str, ProbingJob]:
    """The jobs: pending models in the order of the plan, then models to see more probes."""
    pending = {record.digest: sources[record.digest] for record in plan.pending}
    jobs = _new_jobs(pending, share)
    if share is not None:
        for digest, source in sources.items():
            if digest in earlier and digest not in jobs:
                path = layout.responses_of(digest)
                seen = read_responses(path).seen_probes
                probes = tuple(share.extend(digest, seen).tolist())
                if len(probes) > len(seen):
                    jobs[digest] = ProbingJob(source, probes, path, len(seen))
    return jobs


def _new_jobs(pending: Mapping[str, ModelSource], share: Share | None) -> dict[str, ProbingJob]:
    """The jobs of new models: each sees its share of the probes, or all of them."""
    return {
        digest: ProbingJob(source, None if share is None else tuple(share.select(digest).tolist()))
        for digest, source in pending.items()
    }


def _report(
    catalogue: Catalog,
    plan: Plan,
    results: Sequence[ProbedModel],
    earlier: Mapping[str, ModelRecord],
    unfetched: set[str],
) -> AddReport:
    done = {probed.digest for probed in results if probed.failure is None}
    failed = {probed.digest: probed.failure for probed in results if probed.failure is not None}
    failures = [
        FailedModel(failure.name, failure.source, failure.kind, failure.reason)
        for failure in catalogue.failures()
        if failure.digest in failed or failure.digest in unfetched
    ]
    for digest, failure in failed.items():
        if digest in earlier:
            record = earlier[digest]
            failures.append(FailedModel(record.name, record.source, failure.kind, failure.reason))
    copies, failed_copies = split_copies(plan.copies, catalogue.failures())
    models = catalogue.done(done)
    extended = tuple(record.name for record in models if record.digest in earlier)
    return AddReport(
        done=tuple(record.name for record in models if record.digest not in earlier),
        extended=extended,
        failures=(*failures, *failed_copies),
        already=plan.already - len(extended),
        copies=copies,
    )


def now_text() -> str:
    """The time now, as the catalogue holds it: ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
