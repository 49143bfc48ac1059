"""Models that a user lists → models of the hub: planned, probed, recorded, their blocks built."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lagotto.core.errors import HubError, ModelError
from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.core.remote.spec import is_remote
from lagotto.core.types import JsonObject, ModelSource
from lagotto.hub.completion.stored import current_completion
from lagotto.hub.descriptors.blocks import (
    SEEN_ONLY,
    Block,
    BlockSource,
    build_blocks,
    open_blocks,
)
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.descriptors.standardize import measure_moments
from lagotto.hub.ingest.probing import (
    Assignment,
    ProbedModel,
    probe_models,
)
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
)
from lagotto.hub.store.responses import read_responses
from lagotto.hub.store.tensorfile import is_intact
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest

if TYPE_CHECKING:
    from lagotto.hub.ingest.crawl import Crawl


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of the models listed: names of those added, copies as (name, original).

    `extended` are models that were there and have now seen more probes. `notes` say what could not
    be made ready for searches, and what to do about it.
    """

    done: tuple[str, ...]
    extended: tuple[str, ...]
    failures: tuple[FailedModel, ...]
    already: int
    copies: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        """The fields by name, tuples as lists."""
        fields: JsonObject = json.loads(json.dumps(asdict(self)))
        return fields


def add_models(
    layout: HubLayout,
    probe_set: ProbeSet,
    models: Sequence[Path | str],
    limits: Limits,
    progress: Progress,
    share: Share | None = None,
) -> AddReport:
    """Probes what is new, retries what failed, skips what is there; see `Hub.add`.

    With a share, models see that many probes, and those that are there and saw fewer see more.
    """
    with hub_lock(layout.folder), Catalog(layout.catalogue, writable=True) as catalogue:
        _tidy(layout, catalogue)
        remote = [str(model) for model in models if is_remote(str(model))]
        paths = [Path(model) for model in models if not is_remote(str(model))]
        crawl = _crawl(layout, catalogue, remote, limits, progress)
        sources = _digests(scan_models(paths), progress)
        run = catalogue.start_run({"paths": [str(model) for model in models]}, _now())
        listings = [Listing(d, source.name, _place(source.file)) for d, source in sources]
        plan = catalogue.plan(listings)
        there = {record.digest: record for record in catalogue.models("done")}
        first = _assignments(layout, plan, _first_sources(sources), there, share)
        runner = limits.start(layout.cache, layout.staging)
        ended: list[ProbedModel] = []
        try:
            for folder in (layout.cache, layout.staging):
                with writing(folder):
                    folder.mkdir(exist_ok=True)
            batches = (_assigned(batch, share) for batch in (crawl.batches() if crawl else ()))
            for assignments in chain([first], batches):
                for probed in probe_models(
                    runner, assignments, probe_set, layout.cache, layout.staging, progress
                ):
                    _record(layout, catalogue, probed, probed.digest in there)
                    ended.append(probed)
        finally:
            runner.close()
            shutil.rmtree(layout.staging, ignore_errors=True)
        rebuild_blocks(layout, catalogue.models("done"), probe_set.digest)
        if crawl:
            copies = (*plan.copies, *crawl.copies)
            plan = replace(plan, already=plan.already + crawl.already, copies=copies)
        unfetched = crawl.failed if crawl else set()
        report = _report(catalogue, plan, ended, there, unfetched)
        skipped = report.already + len(report.copies)
        done = len(report.done) + len(report.extended)
        catalogue.finish_run(run, _now(), done, len(report.failures), skipped)
        return report


def _crawl(
    layout: HubLayout,
    catalogue: Catalog,
    specs: Sequence[str],
    limits: Limits,
    progress: Progress,
) -> "Crawl | None":
    """What the remote specs name, noted in the catalogue; its client is loaded where it is used."""
    if not specs:
        return None
    from lagotto.hub.ingest.crawl import Crawl

    crawl = Crawl(catalogue, layout.fetched, limits.cache_bytes, progress)
    crawl.note(specs)
    return crawl


def rebuild_blocks(layout: HubLayout, records: Sequence[ModelRecord], probe_digest: str) -> None:
    """Makes the blocks hold exactly the done models in order; nothing is written if they do.

    Where models saw a share of the probes, the completion is brought up to date first.
    """
    held = [(each.digest, each.responses_sha256) for each in records]
    completion = current_completion(layout, held, probe_digest)
    sources = []
    for digest, _ in held:
        path = layout.responses_of(digest)
        use = "all" if completion is None else completion.verdicts[digest].use
        if completion is not None and use == "completed":
            source = BlockSource(digest, path, completion.responses, completion.sha256)
        else:
            source = BlockSource(digest, path, None, SEEN_ONLY if use == "seen" else "")
        sources.append(source)
    matrix = projector(np.load(layout.embeddings, allow_pickle=False))
    build_blocks(layout.blocks, sources, probe_digest, matrix)


def current_blocks(
    layout: HubLayout, probe_digest: str
) -> tuple[list[Block], tuple[ModelRecord, ...], tuple[str, ...]]:
    """Blocks of the done models, their records, and notes; rebuilt first if out of date.

    Where they cannot be rebuilt now (another process adds models, the hub is read-only), what they
    hold is given, with a note; raises HubError if that is nothing.
    """
    with Catalog(layout.catalogue) as catalogue:
        records = catalogue.models("done")
    try:
        blocks = open_blocks(layout.blocks, probe_digest)
    except HubError:
        blocks = []
    held = [(m.behaviour_digest, m.responses_sha256) for block in blocks for m in block.models]
    wanted = [(record.digest, record.responses_sha256) for record in records]
    if held == wanted:
        return blocks, records, ()
    try:
        with hub_lock(layout.folder), Catalog(layout.catalogue) as catalogue:
            records = catalogue.models("done")
            rebuild_blocks(layout, records, probe_digest)
            return open_blocks(layout.blocks, probe_digest), records, ()
    except HubError as error:
        if not held or not set(held) <= set(wanted):
            raise
        note = f"{len(wanted) - len(held)} models of the hub are not searched yet: {error}"
        return blocks, records, (note,)


def _place(file: Path) -> str:
    """A path as the catalogue keeps it: bytes of a name that are no UTF-8 become escapes."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def _tidy(layout: HubLayout, catalogue: Catalog) -> None:
    """Clears what a killed run left, and notes models whose responses are gone."""
    with writing(layout.staging):
        if layout.staging.exists():
            shutil.rmtree(layout.staging)
    recorded = set()
    for record in catalogue.models("done"):
        path = layout.responses_of(record.digest)
        if path.is_file():
            recorded.add(path.name)
            _adopt(catalogue, record, path)
        else:
            catalogue.record_lost(record.digest)
    with writing(layout.responses):
        layout.responses.mkdir(exist_ok=True)
        for path in layout.responses.iterdir():
            if path.name not in recorded:
                path.unlink()


def _adopt(catalogue: Catalog, record: ModelRecord, path: Path) -> None:
    """Notes responses with more probes that a killed run put in place and did not record."""
    try:
        responses = read_responses(path)
    except HubError:
        return  # what is damaged is for hub verify to name
    own = responses.header.behaviour_digest == record.digest
    if responses.sha256 != record.responses_sha256 and own and is_intact(path):
        flaws = measure_moments(responses.values).flaw
        catalogue.record_extended(record.digest, flaws, responses.sha256)


def _digests(found: Sequence[ModelSource], progress: Progress) -> list[tuple[str, ModelSource]]:
    """Each source with its behaviour digest; one that cannot be read is known by its path."""
    progress.start("reading models", len(found), "files")
    digests = []
    for source in found:
        try:
            digest = behaviour_digest(source)
        except ModelError:
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


def _assignments(
    layout: HubLayout,
    plan: Plan,
    sources: Mapping[str, ModelSource],
    there: Mapping[str, ModelRecord],
    share: Share | None,
) -> dict[str, Assignment]:
    """What is to be probed: pending models in the order of the plan, then those to see more."""
    pending = {record.digest: sources[record.digest] for record in plan.pending}
    assignments = _assigned(pending, share)
    if share is not None:
        for digest, source in sources.items():
            if digest in there and digest not in assignments:
                path = layout.responses_of(digest)
                before = read_responses(path).seen
                seen = tuple(share.more(digest, before).tolist())
                if len(seen) > len(before):
                    assignments[digest] = Assignment(source, seen, path, len(before))
    return assignments


def _assigned(pending: Mapping[str, ModelSource], share: Share | None) -> dict[str, Assignment]:
    """New models, each with its share of the probes, or all of them."""
    return {
        digest: Assignment(source, None if share is None else tuple(share.own(digest).tolist()))
        for digest, source in pending.items()
    }


def _record(layout: HubLayout, catalogue: Catalog, probed: ProbedModel, extends: bool) -> None:
    """Responses first, then the catalogue: what it calls done is there, whatever happens.

    A model that was there and fails to see more keeps what it has.
    """
    if probed.failure is not None:
        if not extends:
            catalogue.record_failure(probed.digest, probed.failure.kind, probed.failure.reason)
    elif probed.facts is not None:
        target = layout.responses_of(probed.digest)
        with writing(target):
            os.replace(probed.staged, target)
        if extends:
            sha256 = probed.facts.responses_sha256
            catalogue.record_extended(probed.digest, probed.facts.flaws, sha256)
        else:
            catalogue.record_done(probed.digest, probed.facts)


def _report(
    catalogue: Catalog,
    plan: Plan,
    ended: Sequence[ProbedModel],
    there: Mapping[str, ModelRecord],
    unfetched: set[str],
) -> AddReport:
    done = {probed.digest for probed in ended if probed.failure is None}
    failed = {probed.digest: probed.failure for probed in ended if probed.failure is not None}
    failures = [
        FailedModel(failure.name, failure.source, failure.kind, failure.reason)
        for failure in catalogue.failures()
        if failure.digest in failed or failure.digest in unfetched
    ]
    for digest, failure in failed.items():
        if digest in there:
            record = there[digest]
            failures.append(FailedModel(record.name, record.source, failure.kind, failure.reason))
    models = [record for record in catalogue.models("done") if record.digest in done]
    extended = tuple(record.name for record in models if record.digest in there)
    return AddReport(
        done=tuple(record.name for record in models if record.digest not in there),
        extended=extended,
        failures=tuple(failures),
        already=plan.already - len(extended),
        copies=tuple((copy.name, copy.original) for copy in plan.copies),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
