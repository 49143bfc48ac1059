"""Models that a user lists → models of the hub: planned, probed, recorded, their blocks built."""

import json
import os
import shutil
from collections.abc import Sequence
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
from lagotto.core.remote_spec import is_remote
from lagotto.core.types import JsonObject, ModelSource
from lagotto.hubsearch.blocks import Block, BlockSource, build_blocks, open_blocks
from lagotto.hubsearch.catalogue import Catalogue
from lagotto.hubsearch.layout import HubLayout
from lagotto.hubsearch.lock import hub_lock
from lagotto.hubsearch.probe_set import ProbeSet
from lagotto.hubsearch.probing import Limits, Probed, probe_models
from lagotto.hubsearch.projection import projector
from lagotto.hubsearch.records import Listing, ModelRecord, Plan
from lagotto.hubsearch.status import FailedModel
from lagotto.models.registry import behaviour_digest
from lagotto.models.scan import scan_models

if TYPE_CHECKING:
    from lagotto.hubsearch.crawl import Crawl


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of the models listed: names of those added, copies as (name, original)."""

    done: tuple[str, ...]
    failures: tuple[FailedModel, ...]
    already: int
    copies: tuple[tuple[str, str], ...]

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
) -> AddReport:
    """Probes what is new, retries what failed, skips what is there; see `Hub.add`."""
    with hub_lock(layout.folder), Catalogue(layout.catalogue, writable=True) as catalogue:
        _tidy(layout, catalogue)
        remote = [str(model) for model in models if is_remote(str(model))]
        paths = [Path(model) for model in models if not is_remote(str(model))]
        crawl = _crawl(layout, catalogue, remote, limits, progress)
        sources = _digests(scan_models(paths), progress)
        run = catalogue.start_run({"paths": [str(model) for model in models]}, _now())
        listings = [Listing(d, source.name, _place(source.file)) for d, source in sources]
        plan = catalogue.plan(listings)
        runner = limits.start(layout.cache, layout.staging)
        done: set[str] = set()
        failed: set[str] = set()
        try:
            for folder in (layout.cache, layout.staging):
                with writing(folder):
                    folder.mkdir(exist_ok=True)
            batches = crawl.batches() if crawl else ()
            for pending in chain([_pending(plan, sources)], batches):
                for probed in probe_models(
                    runner, pending, probe_set, layout.cache, layout.staging, progress
                ):
                    _record(layout, catalogue, probed)
                    (failed if probed.failure else done).add(probed.digest)
        finally:
            runner.close()
            shutil.rmtree(layout.staging, ignore_errors=True)
        rebuild_blocks(layout, catalogue.models("done"), probe_set.digest)
        if crawl:
            copies = (*plan.copies, *crawl.copies)
            plan = replace(plan, already=plan.already + crawl.already, copies=copies)
            failed |= crawl.failed
        skipped = plan.already + len(plan.copies)
        catalogue.finish_run(run, _now(), len(done), len(failed), skipped)
        return _report(catalogue, plan, done, failed)


def _crawl(
    layout: HubLayout,
    catalogue: Catalogue,
    specs: Sequence[str],
    limits: Limits,
    progress: Progress,
) -> "Crawl | None":
    """What the remote specs name, noted in the catalogue; its client is loaded where it is used."""
    if not specs:
        return None
    from lagotto.hubsearch.crawl import Crawl

    crawl = Crawl(catalogue, layout.fetched, limits.cache_bytes, progress)
    crawl.note(specs)
    return crawl


def rebuild_blocks(layout: HubLayout, records: Sequence[ModelRecord], probe_digest: str) -> None:
    """Makes the blocks hold exactly the done models in order; nothing is written if they do."""
    sources = [BlockSource(each.digest, layout.responses_of(each.digest)) for each in records]
    matrix = projector(np.load(layout.embeddings, allow_pickle=False))
    build_blocks(layout.blocks, sources, probe_digest, matrix)


def current_blocks(
    layout: HubLayout, probe_digest: str
) -> tuple[list[Block], tuple[ModelRecord, ...], tuple[str, ...]]:
    """Blocks of the done models, their records, and notes; rebuilt first if out of date.

    Where they cannot be rebuilt now (another process adds models, the hub is read-only), what they
    hold is given, with a note; raises HubError if that is nothing.
    """
    with Catalogue(layout.catalogue) as catalogue:
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
        with hub_lock(layout.folder), Catalogue(layout.catalogue) as catalogue:
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


def _tidy(layout: HubLayout, catalogue: Catalogue) -> None:
    """Clears what a killed run left, and notes models whose responses are gone."""
    with writing(layout.staging):
        if layout.staging.exists():
            shutil.rmtree(layout.staging)
    recorded = set()
    for record in catalogue.models("done"):
        path = layout.responses_of(record.digest)
        if path.is_file():
            recorded.add(path.name)
        else:
            catalogue.record_lost(record.digest)
    with writing(layout.responses):
        layout.responses.mkdir(exist_ok=True)
        for path in layout.responses.iterdir():
            if path.name not in recorded:
                path.unlink()


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


def _pending(plan: Plan, sources: Sequence[tuple[str, ModelSource]]) -> dict[str, ModelSource]:
    """The first source listed of every model that is to be probed, in the order of the plan."""
    first: dict[str, ModelSource] = {}
    for digest, source in sources:
        first.setdefault(digest, source)
    return {record.digest: first[record.digest] for record in plan.pending}


def _record(layout: HubLayout, catalogue: Catalogue, probed: Probed) -> None:
    """Responses first, then the catalogue: what it calls done is there, whatever happens."""
    if probed.failure is not None:
        catalogue.record_failure(probed.digest, probed.failure.kind, probed.failure.reason)
    elif probed.facts is not None:
        target = layout.responses_of(probed.digest)
        with writing(target):
            os.replace(probed.staged, target)
        catalogue.record_done(probed.digest, probed.facts)


def _report(catalogue: Catalogue, plan: Plan, done: set[str], failed: set[str]) -> AddReport:
    return AddReport(
        done=tuple(r.name for r in catalogue.models("done") if r.digest in done),
        failures=tuple(
            FailedModel(failure.name, failure.source, failure.kind, failure.reason)
            for failure in catalogue.failures()
            if failure.digest in failed
        ),
        already=plan.already,
        copies=tuple((copy.name, copy.original) for copy in plan.copies),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
