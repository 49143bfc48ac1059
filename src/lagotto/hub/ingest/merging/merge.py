"""Hubs of the same probes and encoder come in; one of them with the models of all goes out.

All models are entered first, in their order, as models that are still to be probed. Then, batch by
batch, files of responses are put in their places and entered. So a kill at any moment leaves a hub
with fewer models, and the same call goes on.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lagotto.core.errors import HubError, UsageError
from lagotto.core.files import sync, writing
from lagotto.core.progress import Progress
from lagotto.hub.ingest.add import now_text
from lagotto.hub.ingest.merging.empty_copy import copy_empty
from lagotto.hub.ingest.merging.fold import place_responses, read_checked
from lagotto.hub.ingest.merging.parts import Part, listings, open_parts
from lagotto.hub.ingest.merging.report import MergeReport, count_listed_files, note_shards
from lagotto.hub.ingest.response_files import file_facts, note_responses, tidy
from lagotto.hub.ingest.segments import rebuild_blocks
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.manifest import read_hub_manifest
from lagotto.hub.store.records import (
    FailedModel,
    FileFacts,
    ModelFacts,
    ModelRecord,
    Plan,
    split_copies,
)
from lagotto.hub.store.references import record_references
from lagotto.hub.store.responses import Responses, read_responses

_BATCH = 256
"""Models that are entered at once."""

_SMALLER = 4
"""How much smaller descriptors are than responses."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """Responses of a model in a part, and what its catalogue says of it."""

    part: Part
    record: ModelRecord
    path: Path
    responses: Responses


@dataclass(frozen=True, slots=True)
class _Placed:
    """A model whose responses are in their place, with what is to be recorded of it."""

    digest: str
    facts: ModelFacts
    probes_seen: int


class _UnusableError(Exception):
    """No part has whole responses of a model; says why."""


def merge_hubs(layout: HubLayout, folders: Sequence[Path], progress: Progress) -> MergeReport:
    """Adds the models of other hubs to a hub; none is probed again, and those hubs stay.

    Args:
        layout: The hub; if there is none, it is made with the probes of the first of the others.
        folders: The other hubs.
        progress: Receives each stage.

    Returns:
        What became of every model of them.

    Raises:
        UsageError: No other hub is named, or the hub is among them.
        MismatchError: They have other probes or another encoder; both are named, nothing changes.
        HubError: One cannot be read or is being written to, or the hub cannot be written.
    """
    if not folders:
        raise UsageError("name the hubs that are to be merged: lagotto hub merge HUB PART...")
    if not layout.folder.exists():
        copy_empty(folders[0], layout.folder)
    with ExitStack() as stack:
        stack.enter_context(hub_lock(layout.folder))
        manifest = read_hub_manifest(layout.folder)
        parts = open_parts(stack, layout.folder, manifest, folders)
        _check_disk(layout, parts)
        catalogue = stack.enter_context(Catalog(layout.catalogue, writable=True))
        tidy(layout, catalogue, keep_fetched=False)
        run = catalogue.start_run({"merge": [str(folder) for folder in folders]}, now_text())
        plan = catalogue.plan([*listings(parts)])
        merge = _Merge(layout, catalogue, parts, manifest.probe_digest)
        extended, added = merge.extend(plan), merge.add(plan, progress)
        merge.name_references()
        note_responses(layout, catalogue)
        rebuild_blocks(layout, catalogue, manifest.probe_digest)
        missing, notes = note_shards(catalogue, parts)
        copies, _ = split_copies(plan.copies, catalogue.failures())
        files, not_read = count_listed_files(parts)
        report = MergeReport(
            parts=tuple(str(part.layout.folder) for part in parts),
            added=added,
            extended=extended,
            already=sum(len(part.models) for part in parts) - len(plan.pending) - extended,
            copies=copies,
            failures=merge.failures(),
            unfinished=merge.unfinished(plan),
            missing_shards=missing,
            files=files,
            not_read=not_read,
            notes=tuple(notes),
        )
        skipped = report.already + len(copies)
        catalogue.finish_run(run, now_text(), added, len(report.failures), skipped)
        return report


class _Merge:
    """One merge: where it goes, and the parts that it is of."""

    def __init__(
        self, layout: HubLayout, catalogue: Catalog, parts: Sequence[Part], probe_digest: str
    ) -> None:
        self._layout = layout
        self._catalogue = catalogue
        self._parts = parts
        self._probe_digest = probe_digest
        self._done: dict[str, list[Part]] = {}
        for part in parts:
            for model in part.models:
                if model.status == "done":
                    self._done.setdefault(model.digest, []).append(part)

    def add(self, plan: Plan, progress: Progress) -> int:
        """Enters what the parts know of the models that the hub lacks; how many were added."""
        progress.start("merging", len(plan.pending), "models")
        added = 0
        for batch in _batches([model.digest for model in plan.pending]):
            placed: list[_Placed] = []
            failed: list[tuple[str, str, str]] = []
            for digest in batch:
                try:
                    arrivals = self._arrivals(digest)
                except _UnusableError as error:
                    failed.append((digest, "error", str(error)))
                    continue
                placed += self._place(arrivals, [])
                failed += [] if arrivals else self._failure(digest)
            self._sync()
            with self._catalogue.transaction():
                for model in placed:
                    self._catalogue.record_done(model.digest, model.facts, self._file(model))
                for digest, kind, reason in failed:
                    self._catalogue.record_failure(digest, kind, reason)
            added += len(placed)
            progress.advance(len(batch))
        progress.finish()
        return added

    def extend(self, plan: Plan) -> int:
        """Gives models that the hub has the probes that they saw elsewhere; how many saw more."""
        complete = {model.digest for model in plan.pending} | self._full()
        extended = 0
        for batch in _batches([digest for digest in self._done if digest not in complete]):
            placed: list[_Placed] = []
            for digest in batch:
                path = self._layout.responses_of(digest)
                with suppress(_UnusableError, HubError):  # what the hub has stays
                    own = (path, read_responses(path))
                    placed += self._place(self._arrivals(digest), [own])
            self._sync()
            with self._catalogue.transaction():
                for model in placed:
                    checksum, file = model.facts.responses_sha256, self._file(model)
                    self._catalogue.record_extended(
                        model.digest, model.facts.invalid, checksum, file
                    )
            extended += len(placed)
        return extended

    def name_references(self) -> None:
        """Makes the references of the parts references of the hub."""
        digests = {digest for part in self._parts for digest in part.references}
        names = [record.name for record in self._catalogue.done(digests)] if digests else []
        if names:
            record_references(self._catalogue, names)

    def failures(self) -> tuple[FailedModel, ...]:
        """The models of the parts that the hub has as failures."""
        known = {model.digest for part in self._parts for model in part.models}
        return tuple(
            FailedModel(failure.name, failure.source, failure.kind, failure.reason)
            for failure in self._catalogue.failures()
            if failure.digest in known
        )

    def unfinished(self, plan: Plan) -> tuple[str, ...]:
        """The names of the models that no part has probed."""
        failed = {digest for part in self._parts for digest in part.failures}
        unknown = [m for m in plan.pending if m.digest not in self._done and m.digest not in failed]
        return tuple(model.name for model in unknown)

    def _full(self) -> set[str]:
        """The digests of the models of the hub that saw every probe."""
        rows = self._catalogue.run(
            "SELECT digest FROM models WHERE status = 'done' AND probes_seen >= ?",
            (read_hub_manifest(self._layout.folder).probes,),
        )
        return {str(digest) for (digest,) in rows}

    def _failure(self, digest: str) -> list[tuple[str, str, str]]:
        """Digest, kind and reason of a failure in the first part that has it."""
        for part in self._parts:
            if digest in part.failures:
                return [(digest, part.failures[digest].kind, part.failures[digest].reason)]
        return []

    def _arrivals(self, digest: str) -> list[_Arrival]:
        """The responses of a model in the parts; raises _UnusableError if none can be used."""
        arrivals, reasons = [], []
        for part in self._done.get(digest, ()):
            path = part.layout.responses_of(digest)
            try:
                record = part.record(digest)
                if record is None:
                    raise HubError("it was removed meanwhile")
                checksum = record.responses_sha256
                responses = read_checked(path, digest, checksum, self._probe_digest)
            except HubError as error:
                reasons.append(f"{part.layout.folder}: {error}")
            else:
                arrivals.append(_Arrival(part, record, path, responses))
        if reasons and not arrivals:
            raise _UnusableError(
                f"what is known of it cannot be used: {'; '.join(reasons)}; add it again, or merge "
                "a copy that is whole"
            )
        return arrivals

    def _place(
        self, arrivals: Sequence[_Arrival], own: list[tuple[Path, Responses]]
    ) -> Iterator[_Placed]:
        """Puts the responses of a model in their place, unless what the hub has says it all."""
        if not arrivals:
            return
        found = [*own, *((each.path, each.responses) for each in arrivals)]
        outputs = found[0][1].values.shape[1]
        found = [each for each in found if each[1].values.shape[1] == outputs]
        digest, first = arrivals[0].record.digest, arrivals[0]
        folded = place_responses(found, self._layout.responses_of(digest))
        if folded is not None:
            facts = first.part.facts(first.record)
            facts = replace(facts, invalid=folded.invalid, responses_sha256=folded.sha256)
            yield _Placed(digest, facts, folded.probes_seen)

    def _sync(self) -> None:
        with writing(self._layout.responses):
            sync(self._layout.responses)

    def _file(self, model: _Placed) -> FileFacts:
        return file_facts(self._layout.responses_of(model.digest), model.probes_seen)


def _batches(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(digests), _BATCH):
        yield digests[start : start + _BATCH]


def _check_disk(layout: HubLayout, parts: Sequence[Part]) -> None:
    """Raises HubError if the responses and descriptors of the parts do not fit on the disk."""
    device = layout.folder.stat().st_dev
    needed = 0
    for part in parts:
        copied = part.layout.folder.stat().st_dev != device
        for model in part.models:
            if model.status == "done":
                with suppress(OSError):
                    size = part.layout.responses_of(model.digest).stat().st_size
                    needed += size // _SMALLER + (size if copied else 0)
    free = shutil.disk_usage(layout.folder).free
    if needed > free:
        raise HubError(
            f"merging takes up to {needed / 1e9:,.1f} GB in {layout.folder}, and "
            f"{free / 1e9:,.1f} GB are free; free some, or merge fewer hubs at a time"
        )
