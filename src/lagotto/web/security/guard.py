"""A request comes in; the application's answer with strict headers, or a refusal, goes out.

It is the outermost layer, so that nothing of the application sees a request that is refused.
"""

import logging
import time
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lagotto.web.problems import ErrorAnswers, Problem, problem_of
from lagotto.web.security.hosts import HostList
from lagotto.web.security.token import COOKIE, TokenCheck

_log = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = frozenset({"/healthz"})
"""Paths that need no token: they say nothing of the hub."""

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "manifest-src 'self'; frame-ancestors 'none'"
)
STRICT_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class RequestGuard:
    """An ASGI application around another one: host, origin and token first, then the request.

    Args:
        app: The application that is guarded.
        hosts: The names under which clients may reach it.
        token: What they have to show.
        errors: Answers what is refused.
        note: Told the status of each answer, and the seconds until it began.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: HostList,
        token: TokenCheck,
        errors: ErrorAnswers,
        note: Callable[[int, float], None],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token
        self._errors = errors
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; HEAD as GET without a body; a websocket is closed at once."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        is_started, began = False, time.perf_counter()
        is_head = scope["method"] == "HEAD"

        async def send_strict(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                self._note(message["status"], time.perf_counter() - began)
                headers = MutableHeaders(scope=message)
                for name, value in STRICT_HEADERS.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    is_static = scope["path"].startswith("/static/")
                    headers["Cache-Control"] = "no-cache" if is_static else "no-store"
                await send(message)
                if is_head:  # the answer is over, so that a stream of events ends too
                    await send({"type": "http.response.body", "body": b""})
            elif not is_head:
                await send(message)

        request = Request(scope)
        try:
            try:
                answer = self._refusal(request)
            except Problem as problem:
                answer = self._errors.answer(request, problem)
            passed = {**scope, "method": "GET"} if is_head else scope
            await (answer or self._app)(passed, receive, send_strict)
        except Exception as error:
            _log.exception("a request failed: %s %r", request.method, request.url.path)
            if not is_started:
                failed = self._errors.answer(request, problem_of(error))
                await failed(scope, receive, send_strict)

    def _refusal(self, request: Request) -> Response | None:
        """An answer in place of the application's; raises Problem; None lets the request pass."""
        scope, headers = request.scope, Headers(scope=request.scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._hosts.allows(
            hosts[0], scope.get("server"), scope["scheme"]
        ):
            raise Problem(
                421,
                "this server is not known by that name; open the address that it printed, or "
                "start it with --allow-host NAME",
            )
        is_script = self._is_bearer(headers)  # no page of another site can send this header
        is_safe = scope["method"] in SAFE_METHODS or is_script
        if not is_safe and not is_same_origin(headers, hosts[0]):
            raise Problem(
                403,
                "a request of another site is not allowed to change anything here; send it from a "
                "page of this server, or with its address as Origin",
            )
        return self._check_token(request, headers)

    def _is_bearer(self, headers: Headers) -> bool:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._token.is_right(credentials.strip())

    def _check_token(self, request: Request, headers: Headers) -> Response | None:
        path = request.url.path
        if not self._token.is_needed or path in OPEN_PATHS or path.startswith("/static/"):
            return None
        if self._is_bearer(headers):
            return None
        if self._token.is_session(_cookie(headers.getlist("cookie"))):
            return None
        query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = [value for name, value in query if name == "token"]
        if request.method in SAFE_METHODS and shown and self._token.is_right(shown[0]):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            target = "/" + path.lstrip("/") + (f"?{rest}" if rest else "")
            answer = RedirectResponse(target, 303)
            answer.set_cookie(
                COOKIE,
                self._token.session,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
                path="/",
            )
            return answer
        raise Problem(
            401,
            "this server asks for its token; open the address that it printed, or send "
            "'Authorization: Bearer TOKEN'",
            headers={"WWW-Authenticate": "Bearer"},
        )


def is_same_origin(headers: Headers, host: str) -> bool:
    """Whether a request that changes something is of a page of this server, or says its address.

    Browsers say where a request is from: newer ones by Sec-Fetch-Site, all by Origin. Neither can
    be set by a page of another site. A script sends the address of this server as Origin.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")
    return site is not None


def _cookie(headers: Iterable[str]) -> str:
    """The value of the session's cookie, "" if there is none."""
    for header in headers:
        try:
            found = SimpleCookie(header[:4096]).get(COOKIE)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return ""
