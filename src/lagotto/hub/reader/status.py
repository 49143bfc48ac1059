"""A hub comes in; the counts, models and failures that `lagotto hub status` shows go out."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.temporary.leftovers import Leftover
from lagotto.core.types import Decision, JsonObject
from lagotto.hub.completion.stored import HubCompletion, read_completion
from lagotto.hub.descriptors.blocks import open_blocks
from lagotto.hub.index.low_rank_file import IndexStatus, index_status
from lagotto.hub.ingest.input_record import decisions_from_json
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.leftovers import find_leftovers
from lagotto.hub.store.manifest import HUB_VERSION, Manifest
from lagotto.hub.store.records import FailedModel, ModelRecord, split_copies
from lagotto.hub.store.references import read_references
from lagotto.hub.store.responses import read_responses
from lagotto.jobs.sandbox.guards import Guard, find_guards


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A probed model; the fields are the keys of `hub status --json`.

    `flawed_logits` counts its invalid logits, which are not searched. It saw `probes_seen` of the
    probes; `searched` says on which it is searched (`all`, `completed` with predictions, or only
    those `seen`), and `why` gives the reason. `input` has one decision for each part of its input.
    `architecture` is what its weights were recognized as, "" where the file holds its own graph;
    `kind` is classifier, detector or segmenter.
    """

    name: str
    source: str
    framework: str
    outputs: int
    logits_source: str
    flawed_logits: int
    notes: tuple[str, ...]
    probes_seen: int
    searched: str
    why: str
    input: tuple[Decision, ...]
    architecture: str = ""
    kind: str = "classifier"


@dataclass(frozen=True, slots=True)
class HubStatus:
    """The state of a hub; the fields are the keys of `hub status --json`.

    `logits` counts the logits that can be searched, `flawed_logits` the invalid ones.
    `completion_skill` is the share of held-out variance that the completion predicts; None where
    every model saw every probe. `references` are the names of the reference models. `low_rank` is
    the low-rank index, None without one. `isolation` lists what the workers of this machine are cut
    off from. `notes` are about the hub as a whole. `leftovers` are files and folders of runs that
    were killed. The probes show `words_shown` of the `words` common nouns of the package; None
    where the hub's encoder is not to be had.
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
    words_shown: int | None = None
    words: int | None = None

    def as_json(self) -> JsonObject:
        """The fields by name, with tuples as lists."""
        fields: JsonObject = json.loads(json.dumps(asdict(self)))
        return fields


def read_hub_status(layout: HubLayout, manifest: Manifest) -> HubStatus:
    """Reads the status of a hub; nothing is written."""
    completion = read_completion(layout, manifest.probe_digest)
    with Catalog(layout.catalogue) as catalogue:
        models = tuple(
            _model_status(layout, catalogue, record, completion)
            for record in catalogue.models("done")
        )
        pending = len(catalogue.models("pending"))
        failures = tuple(
            FailedModel(failure.name, failure.source, failure.kind, failure.reason)
            for failure in catalogue.failures()
        )
        references = read_references(catalogue)
        copies, failed_copies = split_copies(catalogue.copies(), catalogue.failures())
    invalid = sum(model.flawed_logits for model in models)
    return HubStatus(
        hub=str(layout.folder),
        format_version=HUB_VERSION,
        encoder=manifest.encoder_name,
        encoder_fingerprint=manifest.encoder_fingerprint,
        probes=manifest.probes,
        probe_digest=manifest.probe_digest,
        done=len(models),
        pending=pending,
        logits=sum(model.outputs for model in models) - invalid,
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
    )


def _read_index(layout: HubLayout, manifest: Manifest) -> IndexStatus | None:
    """The status of the index for the blocks as they are; unreadable blocks count as none."""
    try:
        blocks = open_blocks(layout.blocks, manifest.probe_digest)
    except HubError:
        blocks = []
    return index_status(layout, blocks, manifest.probe_digest)


def _model_status(
    layout: HubLayout,
    catalogue: Catalog,
    record: ModelRecord,
    completion: HubCompletion | None,
) -> ModelStatus:
    path = layout.responses_of(record.digest)
    responses = read_responses(path) if path.is_file() else None
    verdict = None if completion is None else completion.verdicts.get(record.digest)
    full = responses is None or responses.is_full
    if verdict is None and not full:
        searched, why = "seen", "the next hub add or search completes it"
    elif verdict is None:
        searched, why = "all", ""
    else:
        searched, why = verdict.use, "" if full else verdict.reason
    return ModelStatus(
        name=record.name,
        source=record.source,
        framework=record.framework,
        outputs=record.outputs,
        logits_source=record.logits_source,
        flawed_logits=sum(bool(logit.invalid) for logit in catalogue.logits(record.digest)),
        notes=record.notes,
        input=decisions_from_json(record.input),
        probes_seen=0 if responses is None else len(responses.seen_probes),
        searched=searched,
        why=why,
        architecture=record.architecture,
        kind=record.kind,
    )


def _disk_bytes(folder: Path) -> int:
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_size
            except FileNotFoundError:
                continue  # a run in progress has just renamed it
    return total
