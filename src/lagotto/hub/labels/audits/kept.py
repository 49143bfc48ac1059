"""New or changed label lists come in; audits of them go out, kept in the hub's catalogue."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256

import numpy as np
from jaxtyping import Float32

from lagotto.core.files import canonical_json
from lagotto.core.progress import Progress
from lagotto.core.types import JsonValue
from lagotto.hub.labels.audit import ModelAudit, audit_model
from lagotto.hub.labels.audits.by_references import ReferenceNames
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.audits import read_label_lists, record_audits
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import AuditRecord, LabelListRecord
from lagotto.hub.store.references import read_references

_AUDIT_VERSION = 3
"""Of the rules of an audit; raised with them, so that the next `hub add` audits all lists anew."""

_BATCH = 32
"""Audits that are kept at once; a run that is cut off loses as many at most."""


def audit_lists(
    hub: HubReader,
    catalogue: Catalog,
    progress: Progress,
    embedded: Mapping[str, Float32[np.ndarray, " dim"]] | None = None,
    *,
    anew: bool = False,
) -> tuple[ModelAudit, ...]:
    """Audits label lists of a hub and keeps the verdicts in its catalogue.

    A verdict is made against the hub as it is now: a model is compared with some outputs of up to
    32 others (`LabelEncoder.reference`), and its list with what references say. It depends on which
    models the catalogue holds and in what order they were listed, not on when each was probed. It
    stays as it is when other models come or go, unless they are references; `anew` makes all
    verdicts again.

    Args:
        hub: the hub, locked by the caller for writing.
        catalogue: its catalogue, writable.
        progress: shown one unit a model.
        embedded: unit embeddings of first names of labels that are known already.
        anew: audit every model, not only the lists without an audit of their present labels and
            responses, by the present references.

    Returns:
        The audits that were made, in the order of the hub's models.
    """
    given, encoder = read_references(catalogue), LabelEncoder(hub, embedded)
    audits = [
        *_audit_some(hub, catalogue, progress, given, encoder, of_references=True, anew=anew),
        *_audit_some(hub, catalogue, progress, given, encoder, of_references=False, anew=anew),
    ]
    if len(audits) < 2:
        return tuple(audits)
    lists = read_label_lists(catalogue, only_labelled=not anew)
    order = {record.model: place for place, record in enumerate(lists)}
    return tuple(sorted(audits, key=lambda audit: order[audit.model]))


def _audit_some(
    hub: HubReader,
    catalogue: Catalog,
    progress: Progress,
    references: Collection[str],
    encoder: LabelEncoder,
    *,
    of_references: bool,
    anew: bool,
) -> tuple[ModelAudit, ...]:
    """The audits of references, which come first, or of all other models, which hear them."""
    lists = read_label_lists(catalogue, only_labelled=not anew)
    records = [record for record in lists if (record.model in references) == of_references]
    if not records:
        return ()
    trust = LabelTrust(lists, references)
    said = "" if of_references or not references else _digest_of(trust)
    keys = {
        record.model: _audit_key(record, catalogue.logit_labels(record.digest), said)
        for record in records
        if record.labelled
    }
    models = [record.model for record in records if anew or _is_outdated(record, keys)]
    return tuple(_audited(hub, catalogue, models, keys, trust, progress, encoder)) if models else ()


def _audited(
    hub: HubReader,
    catalogue: Catalog,
    models: Sequence[str],
    keys: dict[str, str],
    trust: LabelTrust,
    progress: Progress,
    encoder: LabelEncoder,
) -> Iterator[ModelAudit]:
    names = ReferenceNames(hub, trust)
    progress.start("checking labels", len(models), "models")
    for first in range(0, len(models), _BATCH):
        batch = []
        for model in models[first : first + _BATCH]:
            known = hub.responses_of(model)
            audit = audit_model(hub, known, reader=encoder)
            batch.append(names.check(known, known.labels, audit, own=True))
            progress.advance(1)
        labelled = [audit for audit in batch if audit.model in keys]
        record_audits(catalogue, {a.model: _record(a, keys[a.model]) for a in labelled})
        yield from batch
    progress.finish()


def _is_outdated(record: LabelListRecord, keys: dict[str, str]) -> bool:
    """Whether a model has a list of labels whose audit is missing, or of other content."""
    return record.labelled and (record.audit is None or record.audit.key != keys[record.model])


def _record(audit: ModelAudit, key: str) -> AuditRecord:
    return AuditRecord(key, audit.verdict, tuple(finding.logit for finding in audit.findings))


def _audit_key(record: LabelListRecord, labels: Sequence[str | None], said: str) -> str:
    """sha256 of what an audit of a model's labels depends on, besides models that are no reference.

    `said` stands for what references say, "" where there are none.
    """
    parts: list[JsonValue] = [_AUDIT_VERSION, record.responses_sha256, *labels]
    if said:
        parts.append({"references": said})
    return sha256(canonical_json(parts)).hexdigest()


def _digest_of(trust: LabelTrust) -> str:
    """sha256 of the references, their labels and how far these are believed."""
    parts: list[JsonValue] = []
    for model in sorted(trust.references & set(trust.teaching_models)):
        believed = sha256(trust.believed(model).tobytes()).hexdigest()
        parts.append([model, trust.audit_key(model), believed])
    return sha256(canonical_json(parts)).hexdigest()
