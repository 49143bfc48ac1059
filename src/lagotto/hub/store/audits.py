"""Audits of label lists come in; rows of the catalogue's table of audits go out, and back.

A row is dropped by the catalogue when its model is removed, is probed again or sees more probes. A
catalogue of version 1 has no such table: none of its lists was audited.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

from lagotto.core.files import canonical_json
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import AuditRecord, LabelListRecord

_WITH_AUDITS = 2
"""Format version of the catalogue from which it has the table."""

_COLUMNS = "key, verdict, misplaced"
_LISTS = (
    "SELECT name, digest, responses_sha256, outputs, "
    "EXISTS (SELECT 1 FROM logits WHERE model = position AND label IS NOT NULL), {} "
    "FROM models {} WHERE {} ORDER BY position"
)
_ALL = "status = 'done'"
_LABELLED = "+status = 'done' AND position IN (SELECT model FROM logits WHERE label IS NOT NULL)"
"""The plus keeps SQLite from the index of the status, by which it would read every model; with a
DISTINCT it would read every output, not the index of the labels."""


def read_label_lists(
    catalogue: Catalog, *, only_labelled: bool = False
) -> tuple[LabelListRecord, ...]:
    """The label list of every probed model, with its audit, in the order of the models.

    With `only_labelled` models that publish no label are left out.
    """
    which = _LABELLED if only_labelled else _ALL
    if catalogue.format_version() < _WITH_AUDITS:
        query = _LISTS.format("NULL, NULL, NULL", "", which)
    else:
        query = _LISTS.format(_COLUMNS, "LEFT JOIN audits ON model = position", which)
    return tuple(map(_label_list, catalogue.run(query)))


def record_audits(catalogue: Catalog, audits: Mapping[str, AuditRecord]) -> None:
    """Keeps the audits of some probed models, by name, in one transaction; older ones are replaced.

    Raises UsageError for a model that the catalogue does not know.
    """
    with catalogue.transaction():
        for name, audit in audits.items():
            model = catalogue.find(name)
            misplaced = canonical_json(list(audit.misplaced)).decode()
            checksum = _checksum(model.digest, audit.key, audit.verdict, misplaced)
            catalogue.run(
                "INSERT OR REPLACE INTO audits VALUES (?, ?, ?, ?, ?)",
                (model.position, audit.key, audit.verdict, misplaced, checksum),
            )


def audit_damages(catalogue: Catalog) -> tuple[str, ...]:
    """The audits that are not as they were written, one line each."""
    if catalogue.format_version() < _WITH_AUDITS:
        return ()
    query = f"SELECT name, audits.record_sha256, digest, {_COLUMNS} FROM audits "
    rows = catalogue.run(f"{query} JOIN models ON position = model ORDER BY position")
    altered = [name for name, checksum, *audit in rows if checksum != _checksum(*audit)]
    return tuple(f"the audit of {name} was altered" for name in altered)


def _checksum(digest: str, key: str, verdict: str, misplaced: str) -> str:
    """sha256 of what the catalogue says of an audit and of the model whose list it is."""
    return sha256(canonical_json([digest, key, verdict, misplaced])).hexdigest()


def _label_list(row: tuple[Any, ...]) -> LabelListRecord:
    name, digest, responses_sha256, outputs, labelled, key, verdict, misplaced = row
    audit = None
    if key is not None:
        with suppress(ValueError, TypeError):  # a damaged row counts as no audit
            audit = AuditRecord(key, verdict, tuple(map(int, json.loads(misplaced))))
    return LabelListRecord(name, digest, responses_sha256, outputs, bool(labelled), audit)
