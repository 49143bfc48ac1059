"""The catalogue of a hub as an older version made it."""

import sqlite3
from contextlib import closing
from pathlib import Path

_NEW_COLUMNS = (
    "responses_bytes",
    "responses_changed_ns",
    "probes_seen",
    "segment",
    "place",
    "made_with",
)


def make_older(catalogue: Path, version: int) -> None:
    """Takes from a catalogue of version 3 what version 1 or 2 did not have."""
    with closing(sqlite3.connect(catalogue)) as connection:
        kinds = "type IN ('index', 'trigger') AND sql IS NOT NULL"
        query = f"SELECT type, name FROM sqlite_master WHERE {kinds}"
        for kind, name in connection.execute(query).fetchall():
            connection.execute(f"DROP {kind} {name}")
        for column in _NEW_COLUMNS:
            connection.execute(f"ALTER TABLE models DROP COLUMN {column}")
        for table in ("segments", "facts", *(("audits",) if version < 2 else ())):
            connection.execute(f"DROP TABLE {table}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
