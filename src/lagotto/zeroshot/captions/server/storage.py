"""The address of a server comes in; the caption store in a schema there goes out.

A store is the schema `lagotto_NAME` of its database (see schema.py). A shard is one transaction:
its rows and its line of the log. That line is the one of the same shard in a folder, so that a
store has the same digest in both.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager

from lagotto.core.errors import UsageError
from lagotto.core.files import canonical_json
from lagotto.zeroshot.captions.files import Committed, shard_line, states_of
from lagotto.zeroshot.captions.manifest import RESTORE, CaptionManifest
from lagotto.zeroshot.captions.place import ServerAddress
from lagotto.zeroshot.captions.server.content import (
    ServerContent,
    is_there,
    read_manifest,
    read_skipped_rows,
    read_state,
)
from lagotto.zeroshot.captions.server.psycopg_session import Session, array_of
from lagotto.zeroshot.captions.server.schema import MADE
from lagotto.zeroshot.captions.server.writer import ServerWriter, held
from lagotto.zeroshot.captions.shard import NewCaption, NewPicture, Shard
from lagotto.zeroshot.captions.storage.folder import exists_already

MOST_DIM = 4_000
"""Numbers of an embedding that the index of pgvector takes as half precision."""


class ServerStorage:
    """A schema of a database for one store; see `CaptionStorage`."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.schema = f"lagotto_{address.store}"

    @property
    def name(self) -> str:
        """The address without its password."""
        return str(self.address)

    def check_free(self) -> None:
        """Raises UsageError if the database has such a schema already."""
        session = self._session()
        try:
            if is_there(session):
                raise UsageError(exists_already(self.address))
            if session.ask("SELECT 1 FROM pg_namespace WHERE nspname = %s", self.schema):
                raise UsageError(
                    f"the database of {self.address} has a schema {self.schema} that is no caption "
                    "store; choose another name with ?store=NAME"
                )
        finally:
            session.close()

    def begin(self, manifest: CaptionManifest) -> None:
        """Makes the schema with its tables, in one transaction; adds pgvector if it is missing."""
        if manifest.dim > MOST_DIM:
            raise UsageError(
                f"encoder {manifest.encoder_name} gives {manifest.dim:,} numbers, and pgvector's "
                f"index takes {MOST_DIM:,}; make the store in a folder"
            )
        session = self._session()
        try:
            if not session.has_vectors():
                session.add_vectors()
            with session.transaction():
                session.define(MADE, manifest.dim)
                session.ask(
                    "INSERT INTO {schema}.manifest VALUES (%s)",
                    canonical_json(manifest.as_json()).decode("ascii"),
                )
        finally:
            session.close()

    def read(self) -> ServerContent:
        """Opens the store, also one whose making was cut off: its whole shards are used."""
        session = self._session()
        try:
            manifest = read_manifest(session, self.address)
            return ServerContent(session, self.address, manifest, read_state(session))
        except BaseException:
            session.close()
            raise

    def write(self) -> AbstractContextManager[ServerWriter]:
        """Holds the store for writing; CaptionError that says who does, if another process does."""
        return held(self.address, self.schema)

    def verify(self) -> list[str]:
        """Reads every row; one line for each shard whose rows are not as they were written."""
        session = self._session()
        try:
            manifest = read_manifest(session, self.address)
            return list(_damaged(session, manifest.dim))
        finally:
            session.close()

    def tidy(self) -> tuple[()]:
        """Nothing: what a killed run had not committed, PostgreSQL removes."""
        return ()

    def _session(self) -> Session:
        return Session(self.address, self.schema)


def _damaged(session: Session, dim: int) -> Iterator[str]:
    """One line for each shard whose rows do not give its line of the log."""
    rows = session.ask("SELECT line FROM {schema}.shards ORDER BY number")
    lines = [line.encode("ascii", "replace") for (line,) in rows]
    states = states_of(lines)
    previous = Committed()
    for state, line in zip(states, lines, strict=False):
        shard = _read_shard(session, previous, state, dim)
        if shard is None or shard_line(previous, shard.counts, shard.parts(previous)) != line:
            yield (
                f"shard {state.shards} (pictures {previous.pictures} to {state.pictures}, captions "
                f"{previous.captions} to {state.captions}) was altered; {RESTORE}"
            )
        previous = state
    if len(states) < len(lines):
        yield f"line {len(states) + 1} of the log is damaged; {RESTORE}"


def _read_shard(session: Session, start: Committed, end: Committed, dim: int) -> Shard | None:
    """A shard as it was before it was written; None if a picture has captions of another shard."""
    pictures = session.ask(
        "SELECT digest, embedding, number, first_caption, end_caption FROM {schema}.pictures "
        "WHERE number >= %s AND number < %s ORDER BY number",
        start.pictures,
        end.pictures,
    )
    captions = session.ask(
        "SELECT text, source, key, embedding, picture FROM {schema}.captions "
        "WHERE number >= %s AND number < %s ORDER BY number",
        start.captions,
        end.captions,
    )
    shard = Shard()
    by_number = {}
    for (digest, _, number, *_), row in zip(
        pictures, array_of([row[1] for row in pictures], dim), strict=True
    ):
        by_number[number] = shard.pictures[bytes(digest)] = NewPicture(bytes(digest), row=row)
    for (text, source, key, _, owner), row in zip(
        captions, array_of([row[3] for row in captions], dim), strict=True
    ):
        caption = NewCaption(text.decode(), source.decode(), key % 2**64, row)
        if owner is None:
            shard.text_only_captions.append(caption)
        elif owner in by_number:
            by_number[owner].captions.append(caption)
            shard.pictured_captions += 1
        else:
            return None
    shard.skipped += read_skipped_rows(session, start.skipped, end.skipped)
    spans = [[first, last] for *_, first, last in pictures]
    return shard if spans == shard.spans(start).tolist() else None
