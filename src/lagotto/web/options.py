"""The settings of a server come in; one checked value, with the limits on clients, goes out."""

import ipaddress
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.zeroshot.captions.place import ServerAddress

DEFAULT_PORT = 8765
_LEAST_TOKEN = 16
_MOST_TOKEN_BYTES = 4096
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What one client may send and ask for.

    Attributes:
        picture_bytes: Bytes of one picture.
        pictures: Pictures of one request.
        request_bytes: Bytes of the body of one request, counted as they arrive.
        model_bytes: Bytes of a model file; only a server that adds models takes one.
        query_characters: Characters of a query in words.
        top: Hits of one answer.
        labels: Labels of one request.
        heavy_at_once: Requests that compute at a time.
        heavy_waiting: Requests that may wait for that; more are refused with 429.
        seconds: Time from the first byte of a request to its answer, in seconds.
        header_seconds: Time for the headers of a request, in seconds.
        connections: Open connections; more are refused with 503.
        kept_seconds: How long an uploaded picture is kept, in seconds.
        kept_bytes: Disk that uploaded pictures may take; the oldest go first.
    """

    picture_bytes: int = 8 * _MIB
    pictures: int = 16
    request_bytes: int = 32 * _MIB
    model_bytes: int = 1024 * _MIB
    query_characters: int = 500
    top: int = 200
    labels: int = 1000
    heavy_at_once: int = 2
    heavy_waiting: int = 32
    seconds: float = 30.0
    header_seconds: float = 10.0
    connections: int = 1000
    kept_seconds: float = 24 * 3600.0
    kept_bytes: int = 2048 * _MIB


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a hub is served.

    Attributes:
        captions: A caption store whose captions vote in classifications.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        hosts: Further names under which clients reach the server, as NAME or NAME:PORT.
        allow_add: Whether clients may add models to the hub.
        token: What clients have to show; None: nothing.
        encoder: Where the hub's encoder is now, if it was moved.
        limits: What one client may send and ask for.
    """

    captions: Path | ServerAddress | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    hosts: tuple[str, ...] = ()
    allow_add: bool = False
    token: str | None = field(default=None, repr=False)
    encoder: str | None = None
    limits: ClientLimits = field(default_factory=ClientLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port {self.port} is not allowed; give 0 (a free one) to 65535")
        if self.token is None and not is_loopback(self.host):
            raise UsageError(
                f"host {self.host} can be reached by others, and no token is set; "
                "give --token auto, or --token FILE, or leave --host out"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(given: str | None) -> str | None:
    """The token that `auto` or the path of a file stands for; None for None.

    Raises:
        UsageError: The file cannot be read, or its first line is no token of 16 characters or more.
    """
    if given is None:
        return None
    if given == "auto":
        return secrets.token_urlsafe(32)
    try:
        with open(given, "rb") as file:
            first = file.read(_MOST_TOKEN_BYTES).decode("ascii").strip().splitlines()[:1]
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not plain text"
        raise UsageError(
            f"token file {given!r} cannot be read: {why}; give auto, or a file with a token"
        ) from error
    token = first[0].strip() if first else ""
    if len(token) < _LEAST_TOKEN or any(not 33 <= ord(letter) <= 126 for letter in token):
        raise UsageError(
            f"token file {given!r} holds no token in its first line; "
            f"write {_LEAST_TOKEN} characters or more without spaces, or give auto"
        )
    return token
