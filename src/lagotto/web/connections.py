"""Connections of clients come in; those that send their headers in time go out to the server."""

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedConnection(H11Protocol):
    """A connection that is closed when the headers of a request, or the reading, take too long.

    A client that sends a byte now and then, or that never reads its answer, would otherwise hold
    its connection for ever.
    """

    header_seconds: ClassVar[float] = 10.0
    reading_seconds: ClassVar[float] = 30.0
    _reading_timer: asyncio.TimerHandle | None = None
    _header_timer: asyncio.TimerHandle | None = None
    _cycle_seen: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Takes bytes; headers that are whole end the wait."""
        if self._header_timer is None and self._is_between_requests():
            self._wait_for_headers()
        super().data_received(data)
        if self.cycle is not None and self.cycle is not self._cycle_seen:
            self._cycle_seen = self.cycle
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._stop_waiting()
        self._stop_reading_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answers bytes that are no HTTP; closes without a word where an answer has begun.

        The request that they ended gets no other answer: its work learns that the client is gone
        now, not when the loop comes to close the connection.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        elif not self.transport.is_closing():
            self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read what was sent to it: it gets a while to go on."""
        super().pause_writing()
        self._stop_reading_timer()
        self._reading_timer = self.loop.call_later(self.reading_seconds, self._give_up)

    def resume_writing(self) -> None:
        """The client reads on."""
        self._stop_reading_timer()
        super().resume_writing()

    def _stop_reading_timer(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _is_between_requests(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _wait_for_headers(self) -> None:
        self._header_timer = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self.transport.abort()
