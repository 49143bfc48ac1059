"""A path comes in; an open SQLite file with the tables of a hub goes out.

Its journal is SQLite's rollback journal, not a write-ahead log. So a write that was cut off by a
kill is undone when the file is next opened, a clean close leaves only the database, and a hub in a
read-only folder can be read.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from lagotto.core.errors import HubError, unreadable
from lagotto.core.files import canonical_json
from lagotto.core.temporary.closing import Closing

CATALOG_VERSION = 3
"""Version 1 has no table of audits, version 2 none of segments. Both can be read, and get what they
lack when they are written to."""

WITH_SEGMENTS = 3
"""The version from which the catalogue says in which segment the columns of a model are."""

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

_SEGMENTS = (
    # what is known of the file of responses, so that it need not be opened to see if it is the same
    "ALTER TABLE models ADD COLUMN responses_bytes INTEGER",
    "ALTER TABLE models ADD COLUMN responses_changed_ns INTEGER",
    "ALTER TABLE models ADD COLUMN probes_seen INTEGER",
    # where the columns of the model are: a segment, and the place among the models there
    "ALTER TABLE models ADD COLUMN segment INTEGER",
    "ALTER TABLE models ADD COLUMN place INTEGER",
    "ALTER TABLE models ADD COLUMN made_with TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    models INTEGER NOT NULL,
    logits INTEGER NOT NULL,
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    lost_models INTEGER NOT NULL DEFAULT 0,
    lost_logits INTEGER NOT NULL DEFAULT 0
)""",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TRIGGER model_moved AFTER UPDATE OF segment ON models
WHEN OLD.segment IS NOT NULL AND OLD.segment IS NOT NEW.segment BEGIN
    UPDATE segments SET lost_models = lost_models + 1, lost_logits = lost_logits + OLD.outputs
    WHERE id = OLD.segment;
END""",
    """CREATE TRIGGER model_removed AFTER DELETE ON models WHEN OLD.segment IS NOT NULL BEGIN
    UPDATE segments SET lost_models = lost_models + 1, lost_logits = lost_logits + OLD.outputs
    WHERE id = OLD.segment;
END""",
    "CREATE INDEX models_by_status ON models (status, position, outputs, probes_seen)",
    "CREATE INDEX models_by_source ON models (source)",
    "CREATE INDEX models_by_segment ON models (segment, position, place, made_with) "
    "WHERE segment IS NOT NULL",
    "CREATE INDEX models_without_segment ON models (position) "
    "WHERE status = 'done' AND segment IS NULL",
    "CREATE INDEX models_never_measured ON models (position) "
    "WHERE status = 'done' AND probes_seen IS NULL",
    "CREATE INDEX models_completed ON models (position, made_with) WHERE made_with != ''",
    "CREATE INDEX copies_by_name ON copies (name)",
    "CREATE INDEX copies_by_source ON copies (source)",
    "CREATE INDEX logits_by_label ON logits (label, model, logit) WHERE label IS NOT NULL",
    "CREATE INDEX logits_flawed ON logits (model) WHERE flaw != ''",
)
_UPGRADES = (tuple(_SCHEMA.split(";")[:-1]), tuple(_AUDITS.split(";")[:-1]), _SEGMENTS)
"""What takes a catalogue from each version to the next."""


def schema_of(version: int) -> tuple[str, ...]:
    """The statements that make an empty catalogue of a version."""
    return tuple(statement for statements in _UPGRADES[:version] for statement in statements)


class Database(Closing):
    """An open SQLite file; use it as a context manager, or call `close`.

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
            for statements in _UPGRADES[self.format_version() :]:  # what no other process has made
                for statement in statements:
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
            if self.path.is_file():  # what sqlite3 cannot open, it does not say why
                try:
                    self.path.open("rb").close()
                except OSError as refused:
                    raise unreadable(self.path, refused, HubError) from error
            raise HubError(
                f"the catalogue {self.path} cannot be used: {error}; free space, make the folder "
                "writable or wait for the other run, or see: lagotto hub verify"
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A block whose writes are all made or none; one inside another is part of that."""
        if self._connection.in_transaction:
            yield
            return
        with self._reporting():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A block whose reads are all of one state, whatever others write meanwhile."""
        with self._reporting():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):  # nothing was written
                self._connection.execute("ROLLBACK")

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Runs a statement with values for its question marks, and returns its rows."""
        # A name typed in bytes that are no UTF-8 is no model's; SQLite would refuse it.
        sent = [v.encode(errors="replace").decode() if isinstance(v, str) else v for v in values]
        with self._reporting():
            return self._connection.execute(statement, sent).fetchall()

    def run_many(self, statement: str, values: Sequence[Sequence[Any]]) -> None:
        """Runs a statement once for each row of values."""
        with self._reporting():
            self._connection.executemany(statement, values)


def json_list(values: Collection[str]) -> str:
    """Values as the JSON list that json_each reads."""
    return canonical_json([*sorted(values)]).decode()
