"""A hub's folder and settings come in; a server that answers until it is stopped goes out."""

import errno
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from lagotto.core.errors import LagottoError, UsageError
from lagotto.web.app import create_app
from lagotto.web.connections import TimedConnection
from lagotto.web.options import ServerOptions
from lagotto.web.state import ServerState

_BACKLOG = 512
_SHUTDOWN_S = 5


def serve(
    hub_folder: Path | str,
    options: ServerOptions | None = None,
    *,
    on_address: Callable[[str], None] = lambda address: None,
) -> None:
    """Serves a hub until Ctrl-C or SIGTERM.

    Args:
        hub_folder: The hub.
        options: How it is served; None: on this machine alone, at the usual port.
        on_address: Told the address, with the token if there is one, once the port is open.

    Raises:
        UsageError: The port is taken, or the host is none of this machine.
        HubError: There is no hub, or it is damaged.
        LagottoError: The encoder cannot be loaded.
    """
    options = options or ServerOptions()
    app = create_app(hub_folder, options)
    state: ServerState = app.state.server
    listening = open_port(options.host, options.port)
    TimedConnection.header_seconds = options.limits.header_seconds
    TimedConnection.reading_seconds = options.limits.seconds
    config = uvicorn.Config(
        app,
        http=TimedConnection,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        limit_concurrency=options.limits.connections,
        timeout_keep_alive=int(options.limits.header_seconds),
        timeout_graceful_shutdown=_SHUTDOWN_S,
        backlog=_BACKLOG,
    )
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    state.stop = stop
    on_address(address_of(options, listening))
    try:
        server.run([listening])
    finally:
        listening.close()
    if state.failure is not None:
        raise state.failure


def open_port(host: str, port: int) -> socket.socket:
    """A socket bound to a host and port; it does not listen yet.

    Raises:
        UsageError: The port is taken, may not be used, or the host is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise UsageError(
            f"host {host!r} is not known ({error.strerror}); give an address of this machine, for "
            "example 127.0.0.1"
        ) from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _no_port(host, port, error) from error
    return listening


def _no_port(host: str, port: int, error: OSError) -> LagottoError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"port {port} of {host} is taken by another program; give another with --port, or "
            "--port 0 for a free one"
        )
    if error.errno == errno.EACCES:
        return UsageError(f"port {port} is reserved for the system; give one from 1024 to 65535")
    return UsageError(
        f"cannot listen on {host}, port {port}: {error.strerror}; give an address of this machine, "
        "for example 127.0.0.1"
    )


def address_of(options: ServerOptions, listening: socket.socket) -> str:
    """The address to open, with the token where one is needed."""
    port = listening.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(options.host, options.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    token = f"?token={options.token}" if options.token is not None else ""
    return f"http://{host}:{port}/{token}"
