"""A schema of a database comes in; what the caption store in it held at that moment goes out."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import LiteralString

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from lagotto.core.errors import CaptionError
from lagotto.core.remote.user_cache import user_cache
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.files import Committed, states_of
from lagotto.zeroshot.captions.index_record import IndexRecord, record_of_json
from lagotto.zeroshot.captions.manifest import CaptionManifest, manifest_of
from lagotto.zeroshot.captions.place import ServerAddress
from lagotto.zeroshot.captions.server.psycopg_session import Session
from lagotto.zeroshot.captions.server.schema import INDEXES
from lagotto.zeroshot.captions.server.server_rows import ServerRows
from lagotto.zeroshot.captions.server.server_search import SEARCHES, ServerSearch
from lagotto.zeroshot.nearest import StorePart

_SPAN = np.dtype([("first", ">i8"), ("end", ">i8")])
_KEY = np.dtype([("key", ">i8")])
_DIGEST = np.dtype([("digest", "u1", (32,))])
_ROWS_AT_ONCE = 8_192


def read_manifest(session: Session, address: ServerAddress) -> CaptionManifest:
    """The manifest of the store in a schema.

    Raises:
        CaptionError: There is no store, or a newer version of Lagotto wrote it.
    """
    if not is_there(session):
        raise CaptionError(
            f"no caption store at {address}: the database has no such store; make one with: "
            f"lagotto captions create {address} --pairs PAIRS --encoder ENCODER"
        )
    rows = session.ask("SELECT content FROM {schema}.manifest")
    if len(rows) != 1 or not isinstance(rows[0][0], dict):
        raise session.altered("its manifest is gone")
    return manifest_of(rows[0][0], str(address))


def is_there(session: Session) -> bool:
    """Whether the schema holds a table of manifests."""
    return bool(
        session.ask(
            "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'manifest'",
            session.schema,
        )
    )


def read_state(session: Session) -> Committed:
    """The state after the last shard; CaptionError if the log was altered."""
    rows = session.ask("SELECT line FROM {schema}.shards ORDER BY number")
    states = states_of([line.encode("ascii", "replace") for (line,) in rows])
    if len(states) < len(rows):
        raise session.altered(f"line {len(states) + 1} of its log is damaged")
    return states[-1] if states else Committed()


def read_skipped_rows(session: Session, start: int, end: int) -> list[Skipped]:
    """The items that were set aside, of a range of numbers."""
    rows = session.ask(
        "SELECT source, reason FROM {schema}.set_aside WHERE number >= %s AND number < %s "
        "ORDER BY number",
        start,
        end,
    )
    return [Skipped(source.decode(), reason.decode()) for source, reason in rows]


class ServerContent:
    """What a server's store held when it was opened; see `StoreContent`."""

    def __init__(
        self, session: Session, address: ServerAddress, manifest: CaptionManifest, state: Committed
    ) -> None:
        self._session = session
        self._address = address
        self.manifest = manifest
        self.committed = state

    @cached_property
    def image_embeddings(self) -> ServerRows:
        """Unit embeddings of the pictures, fetched by parts."""
        return ServerRows(
            self._session,
            "SELECT number, embedding FROM {schema}.pictures WHERE number = ANY(%s)",
            (self.committed.pictures, self.manifest.dim),
        )

    @cached_property
    def text_embeddings(self) -> ServerRows:
        """Unit embeddings of the captions, fetched by parts."""
        return ServerRows(
            self._session,
            "SELECT number, embedding FROM {schema}.captions WHERE number = ANY(%s)",
            (self.committed.captions, self.manifest.dim),
        )

    def read_spans(self) -> Int64[np.ndarray, "pictures 2"]:
        """The first caption of each picture, and one past its last."""
        rows = self._session.columns(
            "SELECT first_caption, end_caption FROM {schema}.pictures WHERE number < %s "
            "ORDER BY number",
            _SPAN,
            (self.committed.pictures,),
        )
        if len(rows) != self.committed.pictures:
            raise self._session.altered(f"{self.committed.pictures - len(rows)} pictures are gone")
        return np.stack([rows["first"], rows["end"]], axis=1).astype(np.int64)

    def read_digests(self) -> UInt8[np.ndarray, "pictures 32"]:
        """The sha256 of each picture's file."""
        rows = self._session.columns(
            "SELECT digest FROM {schema}.pictures WHERE number < %s ORDER BY number",
            _DIGEST,
            (self.committed.pictures,),
        )
        return np.array(rows["digest"]).reshape(-1, 32)

    def pair_keys(self) -> UInt64[np.ndarray, " captions"]:
        """The keys of all pairs."""
        rows = self._session.columns(
            "SELECT key FROM {schema}.captions WHERE number < %s ORDER BY number",
            _KEY,
            (self.committed.captions,),
        )
        return rows["key"].astype(np.int64).view(np.uint64)

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The captions at these rows."""
        return self._strings(
            "SELECT number, text FROM {schema}.captions WHERE number = ANY(%s)", indices
        )

    def sources(self, indices: Sequence[int]) -> list[str]:
        """Where the captions at these rows are from."""
        return self._strings(
            "SELECT number, source FROM {schema}.captions WHERE number = ANY(%s)", indices
        )

    def skipped(self) -> list[Skipped]:
        """All rows that were left out, each with its reason."""
        return read_skipped_rows(self._session, 0, self.committed.skipped)

    def has_text(self, text: str) -> bool:
        """Whether a caption reads exactly so."""
        return bool(
            self._session.ask(
                "SELECT 1 FROM {schema}.captions WHERE text = %s AND number < %s LIMIT 1",
                text.encode("utf-8", "replace"),
                self.committed.captions,
            )
        )

    def own_search(self, part: StorePart) -> ServerSearch:
        """The search of a part by the server's index, or exact where there is none yet."""
        counts = {
            "pictures": (self.committed.pictures, self.committed.pictures),
            "captions": (self.committed.captions, self.committed.captions),
            "text_only": (self.committed.text_only, self.committed.captions),
        }
        whole = part == "text_only" and self.committed.text_only == self.committed.captions
        searched: StorePart = "captions" if whole else part
        rows = (*counts[part], self.manifest.dim)
        return ServerSearch(
            self._session, SEARCHES[searched], rows, INDEXES[searched].name in self.indexes
        )

    def index_record(self) -> IndexRecord | None:
        """The recall that was measured; None while the store has no index."""
        rows = self._session.ask("SELECT content FROM {schema}.indexes")
        try:
            return record_of_json(rows[0][0]) if rows else None
        except (KeyError, TypeError, ValueError):
            return None

    def disk_bytes(self) -> int:
        """The bytes of all tables and indexes of the schema."""
        ((size,),) = self._session.ask(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind = 'r'",
            self._session.schema,
        )
        return int(size)

    def leftovers(self) -> tuple[()]:
        """None: what a killed run had not committed, PostgreSQL removes."""
        return ()

    def kept_in(self) -> Path:
        """A folder of this machine's cache, for this store alone."""
        name = hashlib.sha256(str(self._address).encode()).hexdigest()[:16]
        folder = user_cache("captions") / f"{self._address.store}-{name}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # what cannot be kept is computed again; whoever keeps it says so
            return folder
        return folder

    def close(self) -> None:
        """Closes the connection."""
        self._session.close()

    @cached_property
    def indexes(self) -> frozenset[str]:
        """The names of the indexes that can be used."""
        return frozenset(
            name
            for (name,) in self._session.ask(
                "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
                "JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = %s AND i.indisvalid",
                self._session.schema,
            )
        )

    def _strings(self, statement: LiteralString, indices: Sequence[int]) -> list[str]:
        wanted = list(indices)
        found: dict[int, bytes] = {}
        for start in range(0, len(wanted), _ROWS_AT_ONCE):
            part = sorted(set(wanted[start : start + _ROWS_AT_ONCE]))
            found |= dict(self._session.ask(statement, part))
        missing = [number for number in wanted if number not in found]
        if missing:
            raise self._session.altered(f"caption {missing[0]} is gone")
        return [found[number].decode("utf-8", "replace") for number in wanted]
