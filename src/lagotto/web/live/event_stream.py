"""Events come in; the text of a stream of server-sent events, bounded in number, goes out."""

from collections.abc import AsyncIterator

from lagotto.web.problems import Problem

EVENT_STREAM = "text/event-stream"
HEARTBEAT = ": still here\n\n"
"""Keeps a connection open through proxies, and finds out that a client has left."""

_MOST_STREAMS = 64


def event_text(number: str, kind: str, content: str) -> str:
    """One event: its id, its kind, and one line of content."""
    return f"id: {number}\nevent: {kind}\ndata: {content}\n\n"


class StreamCount:
    """How many streams are open; each holds a connection for as long as its client wants."""

    def __init__(self, most: int = _MOST_STREAMS) -> None:
        self._most = most
        self.open_now = 0

    def open(self) -> "Stream":
        """A place, which is taken once the stream begins; Problem (429) where there is none."""
        if self.open_now >= self._most:
            raise Problem(
                429,
                f"{self._most} streams of events are open; close some, or ask without a stream",
                headers={"Retry-After": "10"},
            )
        return Stream(self)


class Stream:
    """One place among the open streams."""

    def __init__(self, places: StreamCount) -> None:
        self._places = places

    async def closing(self, events: AsyncIterator[str]) -> AsyncIterator[str]:
        """The events; the place is given back when they end or their client leaves."""
        self._places.open_now += 1
        try:
            async for event in events:
                yield event
        finally:
            self._places.open_now -= 1
