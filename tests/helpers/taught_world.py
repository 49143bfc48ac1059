"""Copies of a hub with other label lists and with reference models."""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from lagotto.hub.hub import Hub
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.references import record_references

Relabel = Callable[[list[str]], Sequence[str | None]]


def copy_of(
    hub: Path, folder: Path, relabel: dict[str, Relabel] | None = None, *references: str
) -> Hub:
    """A copy with other lists and with references, audited anew."""
    shutil.copytree(hub, folder)
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as tables, tables:
        for name, change in (relabel or {}).items():
            ((position,),) = tables.execute("SELECT position FROM models WHERE name = ?", (name,))
            rows = tables.execute(
                "SELECT label FROM logits WHERE model = ? ORDER BY logit", (position,)
            ).fetchall()
            new = change([label for (label,) in rows])
            tables.executemany(
                "UPDATE logits SET label = ? WHERE model = ? AND logit = ?",
                [(label, position, logit) for logit, label in enumerate(new)],
            )
    with Catalog(folder / "catalogue.sqlite", writable=True) as catalogue:
        record_references(catalogue, references)
    made = Hub.open(folder)
    made.audit_labels()
    return made


def without_labels(labels: list[str]) -> list[None]:
    return [None] * len(labels)
