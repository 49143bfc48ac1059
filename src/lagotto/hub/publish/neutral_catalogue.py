"""The catalogue of a hub comes in; a copy for others goes out: no paths of this machine, no times.

Its bytes depend on the rows alone, not on how the hub grew.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.files import writing
from lagotto.core.remote.spec import is_remote
from lagotto.hub.publish.tar_stream import CHANGED_NS
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.references import read_references, record_references

_COPIED = ("models", "logits", "failures", "copies", "audits", "segments", "facts")
_OF_THIS_DISK = "responses folder"


def write_neutral_catalogue(source: Path, target: Path) -> None:
    """Writes a copy of a catalogue for others; the source is only read.

    Of a model that lies on this machine the name of its file stays, without the way to it. Models
    that are not probed yet, and runs, with their times and command lines, are left out.

    Raises:
        HubError: The catalogue is damaged, or the copy cannot be written.
    """
    draft = target.with_name(f"old-{target.name}")
    _copy(source, draft)
    with Catalog(draft, writable=True) as old:  # an older one becomes one of today
        with old.transaction():
            _forget_this_machine(old)
        for (digest,) in old.run("SELECT digest FROM models WHERE status = 'done'"):
            values = (old.record_digest(digest), digest)
            old.run("UPDATE models SET record_sha256 = ? WHERE digest = ?", values)
        with Catalog(target, writable=True) as new:
            with new.transaction():
                for table in _COPIED:
                    _copy_rows(old, new, table)
            if references := read_references(old):
                record_references(new, references)
    with writing(draft):
        draft.unlink()


def _copy(source: Path, target: Path) -> None:
    """A copy of a SQLite file in one state, whatever others write meanwhile."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise HubError(
            f"the catalogue {source} cannot be copied: {error}; free space, or see: "
            "lagotto hub verify"
        ) from error


def _forget_this_machine(catalogue: Catalog) -> None:
    rows = catalogue.run("SELECT position, source FROM models")
    for position, source in rows:
        if not is_remote(source):
            values = (Path(source).name, position)
            catalogue.run("UPDATE models SET source = ? WHERE position = ?", values)
            way = f"{Path(source).parent}/"
            catalogue.run(
                "UPDATE failures SET reason = replace(reason, ?, '') WHERE model = ?",
                (way, position),
            )
    for model, name, source in catalogue.run("SELECT model, name, source FROM copies"):
        if not is_remote(source):
            key = (model, name, source)
            catalogue.run("DELETE FROM copies WHERE model = ? AND name = ? AND source = ?", key)
            short = (model, name, Path(source).name)
            catalogue.run("INSERT OR IGNORE INTO copies VALUES (?, ?, ?)", short)
    catalogue.run("DELETE FROM models WHERE status = 'pending'")
    catalogue.run("DELETE FROM facts WHERE name = ?", (_OF_THIS_DISK,))
    catalogue.run("UPDATE segments SET changed_ns = ?", (CHANGED_NS,))
    catalogue.run(
        "UPDATE models SET responses_changed_ns = ? WHERE responses_changed_ns IS NOT NULL",
        (CHANGED_NS,),
    )


def _copy_rows(old: Catalog, new: Catalog, table: str) -> None:
    names = [str(row[1]) for row in new.run(f"PRAGMA table_info({table})")]
    columns, marks = ", ".join(names), ", ".join("?" * len(names))
    order = ", ".join(str(number + 1) for number in range(len(names)))
    rows = old.run(f"SELECT {columns} FROM {table} ORDER BY {order}")
    new.run_many(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
