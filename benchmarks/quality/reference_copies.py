"""A hub comes in; copies of it with other label lists and references go out."""

import shutil
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

from lagotto.core.progress import Silent
from lagotto.encoders.base import Encoder
from lagotto.hub.hub import Hub
from lagotto.hub.prepare import refresh_twins
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.references import record_references

SMALL, LARGE = "coral-mobilenet-v1-025-128", "coral-mobilenet-v1-075-192"
Labels = list[str | None]


class Copies:
    """Copies of one hub, each with other lists and references, in a temporary folder."""

    def __init__(self, hub: Path, encoder: Encoder | str, folder: Path) -> None:
        self._hub, self._encoder, self._folder = hub, encoder, folder
        self._count = 0

    def make(
        self,
        relabel: Callable[[str, Labels], Labels] | None = None,
        references: Collection[str] = (),
        audited: bool = True,
    ) -> Hub:
        """A copy whose lists `relabel` has changed, audited anew, with some references."""
        folder = self._folder / f"copy{self._count}"
        self._count += 1
        shutil.copytree(self._hub, folder, ignore=shutil.ignore_patterns("cache", "twins*"))
        if relabel is not None:
            rewrite_labels(folder / "catalogue.sqlite", relabel)
        with Catalog(folder / "catalogue.sqlite", writable=True) as catalogue:
            record_references(catalogue, references)
        hub = Hub.open(folder, self._encoder)
        if audited and relabel is not None:
            hub.audit_labels()
        else:  # the verdicts of the lists that are left are those of the hub
            with hub_lock(folder):
                refresh_twins(hub.reader, Silent())
        return hub

    def drop(self, hub: Hub) -> None:
        hub.close()
        shutil.rmtree(hub.folder)


def rewrite_labels(catalogue: Path, relabel: Callable[[str, Labels], Labels]) -> None:
    """Changes the lists in a catalogue."""
    with closing(sqlite3.connect(catalogue)) as tables, tables:
        models = tables.execute("SELECT position, name FROM models").fetchall()
        for position, name in models:
            rows = tables.execute(
                "SELECT label FROM logits WHERE model = ? ORDER BY logit", (position,)
            ).fetchall()
            labels = relabel(name, [label for (label,) in rows])
            tables.executemany(
                "UPDATE logits SET label = ? WHERE model = ? AND logit = ?",
                [(label, position, logit) for logit, label in enumerate(labels)],
            )
