"""The unpacked files of a stranger's hub come in; an error goes out unless they make a hub.

That each file has its digest says that it is as its maker wrote it, not that he meant well.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from lagotto.core.errors import HubError
from lagotto.hub.publish.listing import Listing
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.database import schema_of
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import read_hub_manifest
from lagotto.hub.store.references import REFERENCES_TABLE
from lagotto.hub.store.responses import read_responses
from lagotto.hub.store.segments import read_segments

_LONGEST_VALUE = 4 << 20
"""Bytes of one value of a catalogue: the description of an input, or a label."""
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master"


def check_sound(folder: Path, listing: Listing) -> None:
    """Checks that a folder with the files of a listing is a hub that this Lagotto reads.

    Raises:
        HubError: It is not: it is of a newer version, its catalogue has other tables than ours or
            values that no hub has, or its parts do not fit each other.
    """
    layout = HubLayout(folder)
    manifest = read_hub_manifest(folder)
    manifest.open_embeddings(layout.embeddings)
    probes = manifest.open_probes(layout.probes).probes
    if not manifest.probes == listing.probes == len(probes):
        raise HubError(f"{folder} is not taken: its listing counts other probes than it has")
    with Catalog(layout.catalogue):  # its version
        pass
    _check_catalogue(layout.catalogue)
    with Catalog(layout.catalogue) as catalogue:
        done = catalogue.models("done")
        segments = {record.id for record in read_segments(catalogue)}
    named = {Path(file.path).stem for file in listing.files if file.path.startswith("responses/")}
    if listing.models != len(done) or named != {record.digest for record in done}:
        raise HubError(
            f"{folder} is not taken: its catalogue lists {len(done)} models, and responses of "
            f"{len(named)} came with it"
        )
    for record in done:
        responses = read_responses(layout.responses_of(record.digest), manifest.probe_digest)
        if responses.sha256 != record.responses_sha256:
            raise HubError(f"{folder} is not taken: {record.digest} has the responses of another")
    blocks = {
        int(Path(file.path).stem) for file in listing.files if file.path.startswith("blocks/")
    }
    if segments != blocks:
        raise HubError(f"{folder} is not taken: its catalogue lists other segments than it has")


def _check_catalogue(path: Path) -> None:
    """Checks the tables, the size of the values and the structure of a SQLite file.

    A file of SQLite may hold views and triggers, which are programs: a query of a view that makes
    rows without end would never return. So nothing may be in it that we do not put there.
    """
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            _check_schema(path, connection)
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                columns = [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]
                lengths = ", ".join(f"max(length({column}))" for column in columns)
                connection.execute(f"SELECT {lengths} FROM {table}").fetchall()
            found = connection.execute("PRAGMA quick_check(1)").fetchall()
            if found != [("ok",)]:
                raise HubError(f"the catalogue {path} is damaged; ask its maker for another copy")
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise HubError(
            f"the catalogue {path} is not taken: {error}; ask its maker for another copy"
        ) from error


def _check_schema(path: Path, connection: sqlite3.Connection) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    with closing(sqlite3.connect(":memory:")) as ours:
        for statement in schema_of(version):
            ours.execute(statement)
        expected = {_plain(row) for row in ours.execute(_SCHEMA)}
        ours.execute(REFERENCES_TABLE)
        allowed = {_plain(row) for row in ours.execute(_SCHEMA)}
    found = {_plain(row) for row in connection.execute(_SCHEMA)}
    if not expected <= found <= allowed:
        extra = sorted(str(row[1])[:60] for row in found - allowed) or ["fewer tables"]
        raise HubError(
            f"the catalogue {path} is not taken: it holds {', '.join(extra[:3])}, which no hub "
            "does; ask its maker for another copy"
        )


def _plain(row: tuple[Any, ...]) -> tuple[str, ...]:
    """A row of the schema, whatever the spaces in its statement."""
    return tuple(" ".join(str(value).replace("IF NOT EXISTS ", "").split()) for value in row)
