"""The body of a request comes in; it goes out to the application as long as it is within limits."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lagotto.web.options import ClientLimits
from lagotto.web.problems import ErrorAnswers, Problem

PLAIN_BYTES = 1 << 20
"""Bytes of a body that is no form with files."""

JSON_BYTES = 64 << 10
"""Bytes of a JSON body: every wrong key of it costs time."""

_DISCARD_S = 3.0
_DISCARD_BYTES = 64 << 20

MODEL_PATH = "/api/v1/jobs/upload"
"""The one path that takes a model file."""


class BodyLimits:
    """An ASGI application around another one: it counts each body by length and by chunk.

    Args:
        app: The application that reads the bodies.
        limits: How many bytes, and how many seconds, a body may take.
        errors: Answers what is refused.
        allow_add: Whether model files are taken.
    """

    def __init__(
        self, app: ASGIApp, limits: ClientLimits, errors: ErrorAnswers, allow_add: bool
    ) -> None:
        self._app = app
        self._limits = limits
        self._errors = errors
        self._allow_add = allow_add
        self._forms = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; one whose body is too large is answered before it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, self._most(scope["path"], headers), self._limits)
        is_form = _is_form(headers)
        try:
            check_framing(headers)
            body.check_length(headers.get("content-length"))
            if is_form:
                self._check_forms()
        except Problem as problem:
            await self._refuse(problem, scope, body, send)
            return
        answer = _Answer(send, body)
        self._forms += is_form
        try:
            await self._app(scope, body.receive, answer.send)
        except Problem:
            if body.problem is None:
                raise
        finally:
            self._forms -= is_form
        if body.problem is not None and not answer.is_started:
            await self._refuse(body.problem, scope, body, send)

    async def _refuse(self, problem: Problem, scope: Scope, body: "_Body", send: Send) -> None:
        problem.headers["Connection"] = "close"
        await body.discard()
        await self._errors.answer(Request(scope), problem)(scope, body.receive, send)

    def _check_forms(self) -> None:
        """Raises Problem where as many forms are read as requests may wait: they fill the disk."""
        most = self._limits.heavy_at_once + self._limits.heavy_waiting
        if self._forms >= most:
            raise Problem(
                429,
                f"{most} requests with files are read already; send yours again in a second",
                headers={"Retry-After": "1"},
            )

    def _most(self, path: str, headers: Headers) -> int:
        if not _is_form(headers):
            least = JSON_BYTES if "json" in headers.get("content-type", "").lower() else PLAIN_BYTES
            return min(least, self._limits.request_bytes)
        is_model = self._allow_add and path == MODEL_PATH
        return self._limits.model_bytes if is_model else self._limits.request_bytes


class _Body:
    """The body of one request, counted while it is read; `problem` is set once it is refused."""

    def __init__(self, receive: Receive, most: int, limits: ClientLimits) -> None:
        self.problem: Problem | None = None
        self._receive = receive
        self._most = most
        self._seconds = limits.seconds * max(1, most // limits.request_bytes)
        self._until = time.monotonic() + self._seconds
        self._seen = 0
        self._ended = False

    def check_length(self, length: str | None) -> None:
        """Raises Problem for a Content-Length that is no number, or too large a one."""
        if length is None:
            return
        if not (length.isascii() and length.isdecimal()):
            raise Problem(400, "Content-Length is no number; send the length of the body")
        if len(length) > 15 or int(length) > self._most:
            raise too_large(self._most)

    async def receive(self) -> Message:
        """The next message; raises Problem once the body is too large or too slow."""
        if self._ended:
            return await self._receive()  # waits for the client to leave
        message = await self._next()
        if message is None:
            self.problem = Problem(
                408, f"the body did not arrive within {self._seconds:g} s; send it again"
            )
        elif self._seen > self._most:
            self.problem = too_large(self._most)
        if self.problem is not None or message is None:
            raise self.problem or too_large(self._most)
        return message

    async def _next(self) -> Message | None:
        """The next message, counted; None if it does not come in time."""
        try:
            left = max(0.01, self._until - time.monotonic())
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            return None
        self._seen += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message

    async def discard(self) -> None:
        """Reads on for a moment: a client that is still sending would not see the answer."""
        self._until = min(self._until, time.monotonic() + _DISCARD_S)
        start = self._seen
        while not self._ended and self._seen - start < _DISCARD_BYTES:
            if await self._next() is None:
                return


class _Answer:
    """Sends the application's answer, unless the body was refused before it began."""

    def __init__(self, send: Send, body: _Body) -> None:
        self.is_started = False
        self._send = send
        self._body = body

    async def send(self, message: Message) -> None:
        """Sends one message, or drops it: what the application says of half a body is of no use."""
        if self._body.problem is not None and not self.is_started:
            return
        self.is_started = True
        await self._send(message)


def _is_form(headers: Headers) -> bool:
    """Whether a body may hold files."""
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


def check_framing(headers: Headers) -> None:
    """Raises Problem for a body with two lengths: a proxy could end it elsewhere than we do."""
    if "transfer-encoding" in headers and "content-length" in headers:
        raise Problem(400, "Content-Length and Transfer-Encoding were both sent; send one of them")


def too_large(most: int) -> Problem:
    """The problem of a body over so many bytes."""
    return Problem(413, f"the request is over {_size(most)}; send less, or in several requests")


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 1024} KiB"
