"""A served hub for tests: an application with a client, or a real server on a port of its own."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from lagotto.web.app import create_app
from lagotto.web.connections import TimedConnection
from lagotto.web.options import ClientLimits, ServerOptions
from lagotto.web.state import ServerState

ADDRESS = "http://127.0.0.1:8765"
_WAIT_S = 60.0


@dataclass
class Served:
    """An application, what its requests share, and a client of the same origin."""

    app: FastAPI
    state: ServerState
    client: TestClient

    def anew(self, **headers: str) -> TestClient:
        """A client with these headers alone."""
        return TestClient(self.app, base_url=ADDRESS, headers=headers, follow_redirects=False)


@contextmanager
def served(hub: Path, options: ServerOptions | None = None) -> Iterator[Served]:
    """The application over a hub, warm, without a port."""
    app = create_app(hub, options)
    state: ServerState = app.state.server
    state.warm_up()
    client = TestClient(app, base_url=ADDRESS, headers={"Origin": ADDRESS}, follow_redirects=False)
    try:
        yield Served(app, state, client)
    finally:
        state.close()


@contextmanager
def running(hub: Path, options: ServerOptions | None = None) -> Iterator[tuple[str, ServerState]]:
    """A real server on a free port of the loopback: its address, and what its requests share."""
    options = options or ServerOptions(limits=ClientLimits(header_seconds=1.0))
    app = create_app(hub, options)
    state: ServerState = app.state.server
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listening.getsockname()[1]
    TimedConnection.header_seconds = options.limits.header_seconds
    TimedConnection.reading_seconds = options.limits.seconds
    config = uvicorn.Config(
        app,
        http=TimedConnection,
        ws="none",
        log_level="error",
        access_log=False,
        limit_concurrency=options.limits.connections,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    until = time.monotonic() + _WAIT_S
    while not state.is_ready:
        assert time.monotonic() < until, "the server did not become ready"
        assert thread.is_alive(), "the server ended"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}", state
    finally:
        server.should_exit = True
        thread.join(15)
        listening.close()
