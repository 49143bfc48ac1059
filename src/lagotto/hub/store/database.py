"""A path comes in; an open SQLite file with the tables of a hub goes out.

Its journal is SQLite's rollback journal, not a write-ahead log. So a write that was cut off by a
kill is undone when the file is next opened, a clean close leaves only the database, and a hub in a
read-only folder can be read.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from lagotto.core.errors import HubError

CATALOG_VERSION = 2
"""Version 1 has no table of audits; it can be read, and gets the table when it is written to."""

_WAIT_S = 30.0

_SCHEMA = """
CREATE TABLE models (
    position INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'done', 'failed')),
    source TEXT NOT NULL,
    framework TEXT NOT NULL DEFAULT '',
    outputs INTEGER NOT NULL DEFAULT 0,
    output TEXT NOT NULL DEFAULT '',
    logits_source TEXT NOT NULL DEFAULT '',
    input TEXT NOT NULL DEFAULT '{}',
    notes TEXT NOT NULL DEFAULT '[]',
    responses_sha256 TEXT NOT NULL DEFAULT '',
    record_sha256 TEXT NOT NULL DEFAULT ''
);
CREATE TABLE logits (
    model INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    logit INTEGER NOT NULL,
    label TEXT,
    flaw TEXT NOT NULL,
    PRIMARY KEY (model, logit)
) WITHOUT ROWID;
CREATE TABLE failures (
    model INTEGER PRIMARY KEY REFERENCES models ON DELETE CASCADE,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE copies (
    model INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (model, name, source)
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    command TEXT NOT NULL,
    started TEXT NOT NULL,
    finished TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0
);
"""
_AUDITS = """
CREATE TABLE audits (
    model INTEGER PRIMARY KEY REFERENCES models ON DELETE CASCADE,
    key TEXT NOT NULL,
    verdict TEXT NOT NULL,
    misplaced TEXT NOT NULL,
    record_sha256 TEXT NOT NULL
);
"""


class Database:
    """An open SQLite file; close it, or let a subclass be its context manager.

    Every method raises HubError where the file is damaged, locked or cannot be written.
    """

    def __init__(self, path: Path, writable: bool = False) -> None:
        """Opens a catalogue.

        Args:
            path: The SQLite file.
            writable: Open it for writing, and create it if there is none.

        Raises:
            HubError: The file is missing, damaged or of a newer format version.
        """
        self.path = path
        if not writable and not path.is_file():
            raise HubError(f"{path.parent} has no {path.name}; it is not a hub or it is damaged")
        if not writable:
            self._undo_cut_off()
        self._connection = self._connect(writable)
        try:
            with self._reporting():
                self._prepare(writable)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        self._connection.close()

    def _connect(self, writable: bool) -> sqlite3.Connection:
        mode = "rwc" if writable else "ro"
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        with self._reporting():
            connection = sqlite3.connect(
                uri, uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA foreign_keys = ON")
            return connection

    def _undo_cut_off(self) -> None:
        """Undoes a write that was cut off by a kill; a read-only connection cannot do that.

        SQLite leaves the journal of a running writer alone. In a folder that cannot be written, the
        read-only connection that follows reports what is wrong.
        """
        if not self.path.with_name(f"{self.path.name}-journal").exists():
            return
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S)) as connection,
        ):
            connection.execute("SELECT name FROM sqlite_master").fetchone()

    def _prepare(self, writable: bool) -> None:
        version = self.format_version()
        if version < CATALOG_VERSION and writable:
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("BEGIN IMMEDIATE")
            missing = (_SCHEMA, _AUDITS)[self.format_version() :]  # what no other process has made
            for statement in "".join(missing).split(";")[:-1]:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {CATALOG_VERSION}")
            self._connection.execute("COMMIT")
        elif version == 0:
            raise HubError(f"{self.path} is empty; run lagotto hub add to fill it")
        elif version > CATALOG_VERSION:
            raise HubError(
                f"{self.path} has format version {version} and this Lagotto reads up to "
                f"{CATALOG_VERSION}; upgrade with: pip install --upgrade lagotto"
            )

    def format_version(self) -> int:
        """The format version of the file; 0 of an empty one."""
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise HubError(
                f"the catalogue {self.path} cannot be used: {error}; free space, make the folder "
                "writable or wait for the other run, or see: lagotto hub verify"
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A block whose writes are all made or none."""
        with self._reporting():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Runs a statement with values for its question marks, and returns its rows."""
        # A name typed in bytes that are no UTF-8 is no model's; SQLite would refuse it.
        sent = [v.encode(errors="replace").decode() if isinstance(v, str) else v for v in values]
        with self._reporting():
            return self._connection.execute(statement, sent).fetchall()
