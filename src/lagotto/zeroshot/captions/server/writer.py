"""A store on a server, held for writing, comes in; shards that are added to it go out as rows."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import UInt64

from lagotto.core.errors import CaptionError
from lagotto.core.progress import Progress
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.files import Committed, shard_line, state_after
from lagotto.zeroshot.captions.index_record import IndexRecord
from lagotto.zeroshot.captions.manifest import CaptionManifest
from lagotto.zeroshot.captions.place import ServerAddress
from lagotto.zeroshot.captions.server.content import ServerContent, read_manifest, read_state
from lagotto.zeroshot.captions.server.index_build import bring_up_to_date
from lagotto.zeroshot.captions.server.psycopg_session import Session, half_vector
from lagotto.zeroshot.captions.shard import EncodedRow, Shard, to_float16

_HOLDER = (
    "SELECT a.usename, a.application_name, host(a.client_addr), a.pid, "
    "to_char(a.backend_start, 'YYYY-MM-DD HH24:MI') "
    "FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
    "AND l.granted AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = %s "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@contextmanager
def held(address: ServerAddress, schema: str) -> Iterator["ServerWriter"]:
    """Holds a store for writing, by a lock that the server lets go with the connection.

    Raises:
        CaptionError: There is no store, or another process holds it; the message says which.
    """
    session = Session(address, schema, reopens=False)
    try:
        manifest = read_manifest(session, address)
        digest = hashlib.sha256(f"lagotto captions {schema}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        if not session.ask("SELECT pg_try_advisory_lock(%s)", key)[0][0]:
            raise CaptionError(
                f"another process is writing to caption store {address}: {_holder(session, key)}; "
                "wait for it, or stop it and run the command again"
            )
        yield ServerWriter(session, address, manifest)
    finally:
        session.close()


def _holder(session: Session, key: int) -> str:
    rows = session.ask(_HOLDER, key)
    if not rows:
        return "it has just ended"
    user, program, host, process, since = rows[0]
    where = f" from {host}" if host else ""
    return f"{program or 'a program'} as user {user}{where}, process {process}, since {since}"


class ServerWriter:
    """A server's store that this process holds for writing; see `StoreWriter`."""

    def __init__(self, session: Session, address: ServerAddress, manifest: CaptionManifest) -> None:
        self._session = session
        self._address = address
        self._manifest = manifest

    def recover(self) -> Committed:
        """The state that is added to; what a killed run had not committed is not there."""
        return read_state(self._session)

    def free_bytes(self) -> None:
        """A server does not say how much its disk has free."""

    def pair_keys(self, before: Committed) -> UInt64[np.ndarray, " captions"]:
        """The keys of the pairs that are stored."""
        return self._content(before).pair_keys()

    def skipped(self, before: Committed) -> list[Skipped]:
        """The items that earlier runs set aside."""
        return self._content(before).skipped()

    def append(self, before: Committed, shard: Shard) -> Committed:
        """Adds a shard and its line of the log in one transaction; the state after it."""
        line = shard_line(before, shard.counts, shard.parts(before))
        after = state_after(line, before)
        if after is None:
            raise self._session.altered("its log does not end as it did")
        with self._session.transaction():
            self._session.ask(
                "INSERT INTO {schema}.shards VALUES (%s, %s)", after.shards, line.decode("ascii")
            )
            self._copy(before, shard)
        return after

    def finish(self, progress: Progress, afresh: bool = False) -> IndexRecord:
        """Builds the indexes that are missing, and measures their recall where that is due."""
        return bring_up_to_date(
            self._session, lambda: self._content(self.recover()), progress, afresh=afresh
        )

    def remove_if_empty(self) -> None:
        """Removes the schema, unless a shard is in it."""
        if not self.recover().shards:
            self._session.ask("DROP SCHEMA {schema} CASCADE")

    def _content(self, state: Committed) -> ServerContent:
        return ServerContent(self._session, self._address, self._manifest, state)

    def _copy(self, before: Committed, shard: Shard) -> None:
        pictures, captions = shard.in_order()
        owners = [
            number
            for number, picture in enumerate(pictures, before.pictures)
            for _ in picture.captions
        ]
        self._session.copy_in(
            "COPY {schema}.pictures FROM STDIN (FORMAT BINARY)",
            ("int8", "bytea", "int8", "int8", "halfvec"),
            (
                (number, picture.digest, first, end, _vector(picture.row))
                for number, (picture, (first, end)) in enumerate(
                    zip(pictures, shard.spans(before).tolist(), strict=True), before.pictures
                )
            ),
        )
        self._session.copy_in(
            "COPY {schema}.captions FROM STDIN (FORMAT BINARY)",
            ("int8", "int8", "bytea", "bytea", "int8", "halfvec"),
            (
                (
                    before.captions + place,
                    owners[place] if place < len(owners) else None,
                    caption.text.encode(),
                    caption.source.encode(),
                    caption.key - 2**64 if caption.key >= 2**63 else caption.key,
                    _vector(caption.row),
                )
                for place, caption in enumerate(captions)
            ),
        )
        self._session.copy_in(
            "COPY {schema}.set_aside FROM STDIN (FORMAT BINARY)",
            ("int8", "bytea", "bytea"),
            (
                (number, row.source.encode(), row.reason.encode())
                for number, row in enumerate(shard.skipped, before.skipped)
            ),
        )


def _vector(row: EncodedRow | None) -> object:
    return None if row is None else half_vector(to_float16(row))
