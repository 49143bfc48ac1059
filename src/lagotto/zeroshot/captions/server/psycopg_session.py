"""The address of a server comes in; answers of PostgreSQL, or one clear line why not, go out.

This is the only file that imports psycopg and pgvector. Every statement names the store's schema as
`{schema}`, which is quoted here as an identifier; values are parameters, never text of a statement.
"""

import os
import platform
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, LiteralString, TypeVar

import numpy as np
import psycopg
from jaxtyping import Float, Float16
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import errors, sql

from lagotto.core.errors import CaptionError, UsageError, reason
from lagotto.core.remote.retry import Backoff, BusyError
from lagotto.zeroshot.captions.manifest import RESTORE
from lagotto.zeroshot.captions.place import ServerAddress

ATTEMPTS = 4
FIRST_WAIT_S = 0.25
"""A lost connection is opened again up to three times, after 0.25, 0.5 and 1 s."""

CONNECT_TIMEOUT_S = "10"
OLDEST_PGVECTOR = (0, 8)
"""The first version whose index goes on until it has as many rows as were asked for."""

_Answer = TypeVar("_Answer")
AnswerRow = tuple[Any, ...]


class Session:
    """One connection to the database of a store; threads take turns.

    A connection that is lost while something is read is opened again. `reopens` is false for a
    session that holds a lock, which a new connection would not have.
    """

    def __init__(self, address: ServerAddress, schema: str, *, reopens: bool = True) -> None:
        self._address = address
        self.schema = schema
        self._attempts = ATTEMPTS if reopens else 1
        self._connection: psycopg.Connection[AnswerRow] | None = None
        self._lock = threading.RLock()

    def ask(self, statement: LiteralString, *values: object) -> list[AnswerRow]:
        """The rows that a statement answers; none if it answers none."""

        def run(connection: psycopg.Connection[AnswerRow]) -> list[AnswerRow]:
            cursor = connection.execute(_composed(statement, self.schema), values, binary=True)
            return cursor.fetchall() if cursor.description else []

        return self._repeated(run)

    def ask_each(
        self, statement: LiteralString, values: Sequence[AnswerRow], settings: Mapping[str, str]
    ) -> list[list[AnswerRow]]:
        """The rows of one statement for each of some values, in one exchange with the server.

        `settings` are those of PostgreSQL, for these statements alone.
        """

        def run(connection: psycopg.Connection[AnswerRow]) -> list[list[AnswerRow]]:
            composed = _composed(statement, self.schema)
            with connection.pipeline(), connection.transaction():
                for setting in settings.items():
                    connection.execute("SELECT set_config(%s, %s, true)", setting)
                cursors = [connection.execute(composed, each, binary=True) for each in values]
            return [cursor.fetchall() for cursor in cursors]

        return self._repeated(run)

    def columns(
        self, statement: LiteralString, form: np.dtype[Any], values: AnswerRow
    ) -> np.ndarray[Any, np.dtype[Any]]:
        """The rows of a statement of which all columns have a fixed size, as a structured array.

        Args:
            statement: A SELECT of as many columns as `form` has fields.
            form: The fields in the order of the columns, in network order.
            values: The parameters.
        """
        framed = np.dtype(
            [("fields", ">i2")]
            + [
                part
                for name in form.names or ()
                for part in ((f"{name} length", ">i4"), (name, form[name]))
            ]
        )

        def run(connection: psycopg.Connection[AnswerRow]) -> bytes:
            copied = sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(
                _composed(statement, self.schema)
            )
            with connection.cursor().copy(copied, values) as copy:
                return b"".join(bytes(part) for part in copy)

        data = self._repeated(run)
        return np.frombuffer(data[_HEAD_BYTES : len(data) - _TAIL_BYTES], framed)

    def define(self, statements: LiteralString, dim: int) -> None:
        """Runs statements that make tables, with `{dim}` as a whole number in them."""
        parts = {"schema": sql.Identifier(self.schema), "dim": sql.Literal(dim)}
        with self._lock, self._explained():
            self._open().execute(sql.SQL(statements).format(**parts))

    def build(self, statement: LiteralString, memory_bytes: int) -> None:
        """Builds an index with so much memory of the server, by several of its processes.

        Where these cannot share as much, as in a container with little /dev/shm, one builds it.
        """
        with self._lock, self._explained():
            connection = self._open()
            for processes in (None, "0"):
                try:
                    with connection.transaction():
                        settings = {"maintenance_work_mem": f"{memory_bytes // 1024}kB"}
                        if processes is not None:
                            settings["max_parallel_maintenance_workers"] = processes
                        for setting in settings.items():
                            connection.execute("SELECT set_config(%s, %s, true)", setting)
                        connection.execute(_composed(statement, self.schema))
                    return
                except errors.DiskFull:
                    if processes is not None:
                        raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is asked and copied inside happens as a whole, or not at all."""
        with self._lock, self._explained(), self._open().transaction():
            yield

    def copy_in(
        self, statement: LiteralString, types: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        """Adds rows by a `COPY ... FROM STDIN (FORMAT BINARY)`."""
        with (
            self._lock,
            self._explained(),
            self._open().cursor().copy(_composed(statement, self.schema)) as copy,
        ):
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def close(self) -> None:
        """Closes the connection, and lets every lock on the server go."""
        with self._lock, suppress(psycopg.Error):
            if self._connection is not None:
                self._connection.close()

    def _repeated(self, run: Callable[[psycopg.Connection[AnswerRow]], _Answer]) -> _Answer:
        """What `run` answers; it is run again on a new connection if the old one was lost."""

        def once() -> _Answer:
            connection = self._open()
            try:
                return run(connection)
            except psycopg.Error as error:
                if connection.closed:
                    raise BusyError(self._reason(error)) from error
                raise

        with self._lock, self._explained():
            return Backoff(self._attempts, FIRST_WAIT_S).call(once)

    def _open(self) -> psycopg.Connection[AnswerRow]:
        """The connection; a first one that fails is an error at once, a later one may be tried."""
        first = self._connection is None
        if self._connection is None or self._connection.closed:
            if not first and self._attempts == 1:
                raise BusyError("the server closed it")
            try:
                self._connection = self._connected()
                weakref.finalize(self, self._connection.close)  # as a file that nobody closes
            except psycopg.OperationalError as error:
                if not first:
                    raise BusyError(self._reason(error)) from error
                raise CaptionError(
                    f"cannot reach the server of caption store {self._address}: "
                    f"{self._reason(error)}; check host, port, database, user and password "
                    "(PGPASSWORD, ~/.pgpass or a service file)"
                ) from error
        return self._connection

    def _connected(self) -> psycopg.Connection[AnswerRow]:
        try:
            given = psycopg.conninfo.conninfo_to_dict(self._address.connection)
        except psycopg.ProgrammingError:  # libpq repeats the address, with the password in it
            raise UsageError(
                f"the address of caption store {self._address} cannot be read by libpq; give "
                "postgresql://USER@HOST:5432/DATABASE?store=NAME"
            ) from None
        named = {"fallback_application_name": f"lagotto {platform.node()[:30]} {os.getpid()}"}
        if "connect_timeout" not in given and "PGCONNECT_TIMEOUT" not in os.environ:
            named["connect_timeout"] = CONNECT_TIMEOUT_S
        connection = psycopg.connect(
            self._address.connection, autocommit=True, client_encoding="utf8", **named
        )
        found = connection.execute(
            "SELECT n.nspname, e.extversion FROM pg_extension e JOIN pg_namespace n "
            "ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
        ).fetchone()
        if found is not None:
            self._prepare(connection, *found)
        return connection

    def _prepare(self, connection: psycopg.Connection[AnswerRow], place: str, version: str) -> None:
        """Makes the types of pgvector known, wherever its administrator has put them."""
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PGVECTOR:
            connection.close()
            oldest = ".".join(map(str, OLDEST_PGVECTOR))
            raise CaptionError(
                f"the database of caption store {self._address} has pgvector {version}, and "
                f"{oldest} or newer is needed; install it there and run: ALTER EXTENSION vector "
                "UPDATE"
            )
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(place)))
        connection.execute("SET hnsw.iterative_scan = relaxed_order")
        register_vector(connection)

    def has_vectors(self) -> bool:
        """Whether the database has pgvector."""
        return bool(self.ask("SELECT 1 FROM pg_extension WHERE extname = 'vector'"))

    def add_vectors(self) -> None:
        """Adds pgvector to the database; a CaptionError says who can, if this user cannot."""
        with self._lock:
            connection = self._open()
            try:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            except psycopg.Error as error:
                raise CaptionError(
                    f"the database of caption store {self._address} has no pgvector, and it cannot "
                    f"be added: {self._reason(error)}; install pgvector on the server and have an "
                    "administrator run there: CREATE EXTENSION vector"
                ) from error
            self.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what PostgreSQL refuses into one line of ours."""
        try:
            yield
        except errors.InsufficientPrivilege as error:
            raise CaptionError(
                f"caption store {self._address}: the server refused: {self._reason(error)}; have "
                "the owner GRANT it: CREATE on the database to make a store, USAGE on its schema "
                "and SELECT on its tables to read one"
            ) from error
        except (errors.DuplicateSchema, errors.UniqueViolation) as error:
            raise CaptionError(
                f"another process wrote to caption store {self._address} at the same time: "
                f"{self._reason(error)}; run the command again"
            ) from error
        except errors.DiskFull as error:
            raise CaptionError(
                f"the disk of the server of caption store {self._address} is full: "
                f"{self._reason(error)}; free space there and go on with: lagotto captions add"
            ) from error
        except BusyError as busy:
            raise self._lost(busy) from busy
        except psycopg.Error as error:
            if self._connection is None or self._connection.closed:
                raise self._lost(self._reason(error)) from error
            raise CaptionError(
                f"caption store {self._address}: the server refused: {self._reason(error)}; run "
                "the command again, or ask the server's administrator"
            ) from error

    def altered(self, what: str) -> CaptionError:
        """The error for content that no writer of Lagotto leaves."""
        return CaptionError(f"caption store {self._address} was altered: {what}; {RESTORE}")

    def _lost(self, why: object) -> CaptionError:
        return CaptionError(
            f"the connection to caption store {self._address} was lost: {why}; what was stored "
            "before is whole: run the command again when the server is back (after captions "
            "create: captions add)"
        )

    def _reason(self, error: psycopg.Error) -> str:
        """What PostgreSQL says, in one line, with no password in it."""
        said = reason(error)
        for secret in (self._address.password, os.environ.get("PGPASSWORD", "")):
            said = said.replace(secret, "***") if secret else said
        return said


_HEAD_BYTES = 19
"""Signature, flags and the length of an extension of a binary COPY."""

_TAIL_BYTES = 2


@cache
def _composed(statement: LiteralString, schema: str) -> sql.Composed:
    return sql.SQL(statement).format(schema=sql.Identifier(schema))


def half_vector(row: Float[np.ndarray, " dim"]) -> HalfVector:
    """A row as a parameter of type halfvec."""
    return HalfVector(row)


def array_of(vectors: Sequence[HalfVector], dim: int) -> Float16[np.ndarray, "rows dim"]:
    """The rows of an answer's column of type halfvec."""
    if not vectors:
        return np.empty((0, dim), np.float16)
    return np.stack([vector.to_numpy() for vector in vectors])
