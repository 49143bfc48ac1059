"""A hub comes in; the counts, models and failures that `lagotto hub status` shows go out."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.results.html import html_line, html_table
from lagotto.core.temporary.leftovers import Leftover
from lagotto.core.types import JsonObject
from lagotto.hub.completion.stored import read_completion
from lagotto.hub.descriptors.segments import arrange, open_segments
from lagotto.hub.index.low_rank_file import IndexStatus, index_status
from lagotto.hub.reader.model_status import ModelStatus, model_statuses
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.leftovers import find_leftovers
from lagotto.hub.store.manifest import HUB_VERSION, Manifest
from lagotto.hub.store.records import FailedModel, split_copies
from lagotto.hub.store.references import read_references
from lagotto.hub.store.segments import read_segments, read_unplaced
from lagotto.jobs.sandbox.guards import Guard, find_guards


@dataclass(frozen=True, slots=True)
class SegmentsStatus:
    """The segments that the descriptors lie in: how many, their bytes, the logits of models in them
    that were removed or changed, and the models whose descriptors are in none."""

    count: int
    bytes: int
    lost_logits: int
    missing_models: int


_SHOWN_IN_NOTEBOOKS = 100
"""Models and failures at most, as in the summary on the command line."""


@dataclass(frozen=True, slots=True)
class HubStatus:
    """The state of a hub; the fields are the keys of `hub status --json`.

    `logits` counts the logits that can be searched, `flawed_logits` the invalid ones.
    `completion_skill` is the share of held-out variance that the completion predicts; None where
    every model saw every probe. `references` are the names of the reference models. `low_rank` is
    the low-rank index, None without one. `isolation` lists what the workers of this machine are cut
    off from. `notes` are about the hub as a whole. `leftovers` are files and folders of runs that
    were killed.
    """

    hub: str
    format_version: int
    encoder: str
    encoder_fingerprint: str
    probes: int
    probe_digest: str
    done: int
    pending: int
    logits: int
    flawed_logits: int
    disk_bytes: int
    completion_skill: float | None
    low_rank: IndexStatus | None
    models: tuple[ModelStatus, ...]
    failures: tuple[FailedModel, ...]
    copies: tuple[tuple[str, str], ...]
    isolation: tuple[Guard, ...]
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    segments: SegmentsStatus = SegmentsStatus(0, 0, 0, 0)

    def as_json(self) -> JsonObject:
        """The fields by name, with tuples as lists."""
        fields: JsonObject = json.loads(json.dumps(asdict(self)))
        return fields

    def _repr_html_(self) -> str:
        columns = ("model", "kind", "architecture", "framework", "logits", "notes")
        rows = [
            (
                *(model.name, model.kind, model.architecture or "its own graph", model.framework),
                *(str(model.outputs), "; ".join(model.notes)),
            )
            for model in self.models[:_SHOWN_IN_NOTEBOOKS]
        ]
        counts = f"{self.done} models, {self.logits} logits, {self.probes} probes"
        if 0 < len(rows) < self.done:
            counts += f"; the first {len(rows)} models are shown"
        failed = self.failures[:_SHOWN_IN_NOTEBOOKS]
        failures = (f"failed: {item.model}: {item.reason}" for item in failed)
        notes = (f"note: {note}" for note in self.notes)
        return "".join(
            (
                html_line(f"{self.hub}: {counts}"),
                html_table(columns, rows, frozenset({"logits"})) if rows else "",
                *map(html_line, (*failures, *notes)),
            )
        )


def read_hub_status(
    layout: HubLayout, manifest: Manifest, *, with_models: bool = True
) -> HubStatus:
    """Reads the status of a hub; nothing is written. Without models, `models` is empty."""
    completion = read_completion(layout, manifest.probe_digest)
    with Catalog(layout.catalogue) as catalogue:
        models: tuple[ModelStatus, ...] = ()
        if with_models:
            models = tuple(model_statuses(layout, catalogue, completion, manifest.probes))
        done, outputs = catalogue.run(
            "SELECT count(*), coalesce(sum(outputs), 0) FROM models WHERE status = 'done'"
        )[0]
        invalid = int(catalogue.run("SELECT count(*) FROM logits WHERE flaw != ''")[0][0])
        pending = catalogue.run("SELECT count(*) FROM models WHERE status = 'pending'")[0][0]
        segments = _segments_status(catalogue)
        failures = tuple(
            FailedModel(failure.name, failure.source, failure.kind, failure.reason)
            for failure in catalogue.failures()
        )
        references = read_references(catalogue)
        copies, failed_copies = split_copies(catalogue.copies(), catalogue.failures())
    return HubStatus(
        hub=str(layout.folder),
        format_version=HUB_VERSION,
        encoder=manifest.encoder_name,
        encoder_fingerprint=manifest.encoder_fingerprint,
        probes=manifest.probes,
        probe_digest=manifest.probe_digest,
        done=int(done),
        pending=int(pending),
        logits=int(outputs) - invalid,
        flawed_logits=invalid,
        disk_bytes=_disk_bytes(layout.folder),
        completion_skill=None if completion is None else completion.skill,
        low_rank=_read_index(layout, manifest),
        models=models,
        failures=(*failures, *failed_copies),
        copies=copies,
        isolation=find_guards(),
        leftovers=find_leftovers(layout),
        references=references,
        segments=segments,
    )


def _segments_status(catalogue: Catalog) -> SegmentsStatus:
    """What the catalogue says of segments; nothing of a hub of an older version."""
    records = read_segments(catalogue)
    return SegmentsStatus(
        count=len(records),
        bytes=sum(record.bytes for record in records),
        lost_logits=sum(record.lost_logits for record in records),
        missing_models=len(read_unplaced(catalogue)) if records else 0,
    )


def _read_index(layout: HubLayout, manifest: Manifest) -> IndexStatus | None:
    """The status of the index for the blocks as they are; unreadable blocks count as none."""
    if not layout.low_rank.exists():
        return None
    try:
        with Catalog(layout.catalogue) as catalogue, catalogue.snapshot():
            opened = open_segments(layout.blocks, catalogue, manifest.probe_digest)
        blocks = [] if opened.unusable else arrange(opened.pieces)
    except HubError:
        blocks = []
    return index_status(layout, blocks, manifest.probe_digest)


def _disk_bytes(folder: Path) -> int:
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_size
            except FileNotFoundError:
                continue  # a run in progress has just renamed it
    return total
