"""A folder or the address of a server comes in, as users write it; where a store lies goes out."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from lagotto.core.arguments.one_or_many import as_path
from lagotto.core.errors import UsageError

DEFAULT_STORE = "captions"
_SCHEMES = ("postgresql://", "postgres://")
_HOST = r"(?:[^@/?#:,\[\]]*|\[[^@/?#\[\]]*\])(?::\d*)?"
_ADDRESS = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?:/(?P<database>[^@/?#]*))?(?:\?(?P<options>[^@?#]*))?"
)
_STORE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_SHOWN = ("host", "port", "dbname", "user", "service")
"""Options of an address that may be printed; any other one, such as a password, is not."""

_EXAMPLE = "postgresql://USER@HOST:5432/DATABASE?store=NAME"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The place of a caption store in a database of PostgreSQL.

    `connection` is for the client library alone: it may hold a password. Everything that is printed
    or stored says `shown`, which does not; that is also what `str` gives.

    Example:
        >>> print(server_address("postgresql://me:secret@db/pictures?store=birds"))
        postgresql://me@db/pictures?store=birds
    """

    connection: str = field(repr=False)
    store: str
    shown: str
    password: str = field(repr=False, default="")

    def __str__(self) -> str:
        return self.shown


def store_place(given: Path | str | ServerAddress) -> Path | ServerAddress:
    """Where a store lies: the address of a server, or else a folder.

    Raises:
        UsageError: The address cannot be read; the message does not repeat it.
    """
    if isinstance(given, ServerAddress):
        return given
    if isinstance(given, str) and given.startswith(_SCHEMES):
        return server_address(given)
    folder = as_path(given, "store")
    if folder.parts[:1] and folder.parts[0] in ("postgresql:", "postgres:"):
        raise UsageError(
            "the address of a server was given as a Path, which drops a slash of it; give it as "
            f"text: {_EXAMPLE}"
        )
    return folder


def server_address(text: str) -> ServerAddress:
    """The parts of an address as libpq reads it, and `store`, which is Lagotto's own option.

    Raises:
        UsageError: The address cannot be read, or the name of the store is none.
    """
    parsed = _ADDRESS.fullmatch(text)
    if parsed is None:
        raise UsageError(
            "the address of the server cannot be read; it is not repeated here, for it may hold a "
            f"password. Give {_EXAMPLE}, with : @ / ? # % of a name or password as %3A %40 %2F %3F "
            "%23 %25, and leave the password to PGPASSWORD or a service file"
        )
    plain = (parsed["options"] or "").replace("+", "%2B")  # to libpq a plus is a plus
    options = parse_qsl(plain, keep_blank_values=True)
    store = dict(options).get("store", DEFAULT_STORE)
    if not _STORE.fullmatch(store):
        raise UsageError(
            f"{store[:60]!r} is no name of a store; give ?store=NAME with at most 40 letters, "
            "digits, _ and -, and a letter or digit first"
        )
    others = [(key, value) for key, value in options if key != "store"]
    place = f"{parsed['hosts']}/{parsed['database'] or ''}"
    user, password = parsed["user"], parsed["password"] or dict(others).get("password", "")
    login = "" if user is None else user
    secret = "" if parsed["password"] is None else f":{parsed['password']}"
    at = "" if user is None else "@"
    shown = [(key, value) for key, value in others if key in _SHOWN]
    if store != DEFAULT_STORE:
        shown.append(("store", store))
    return ServerAddress(
        connection=f"postgresql://{login}{secret}{at}{place}{_query(others)}",
        store=store,
        shown=f"postgresql://{login}{at}{place}{_query(shown)}",
        password=unquote(password),
    )


def _query(options: list[tuple[str, str]]) -> str:
    return f"?{urlencode(options, safe='/', quote_via=quote)}" if options else ""
