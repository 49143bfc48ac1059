"""A hub comes in; its files and catalogue rows go out, but for what no other hub can share."""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from lagotto.hub.store.records import MODEL_COLUMNS

LEFT_OUT = ("catalogue.sqlite", ".lock")
TABLES = ("models", "logits", "failures", "copies", "audits")


def catalogue_rows(
    hub: Path, tables: Iterable[str] = TABLES
) -> dict[str, list[tuple[object, ...]]]:
    """The sorted rows of each table; of models all but the times of change of their files."""
    columns = {"models": f"{MODEL_COLUMNS}, record_sha256"}
    address = f"file:{hub / 'catalogue.sqlite'}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        return {
            table: sorted(
                database.execute(f"SELECT {columns.get(table, '*')} FROM {table}"), key=repr
            )
            for table in tables
        }


def contents(hub: Path) -> tuple[dict[str, bytes], dict[str, list[tuple[object, ...]]]]:
    """Bytes of every file that must not depend on history, and the rows of the catalogue."""
    files = {
        str(path.relative_to(hub)): path.read_bytes()
        for path in sorted(hub.rglob("*"))
        if path.is_file() and path.name not in LEFT_OUT
    }
    return files, catalogue_rows(hub)
