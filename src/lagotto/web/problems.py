"""Errors come in; answers that say the problem in one line, without any path, go out."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from lagotto.core.errors import (
    HubError,
    LagottoError,
    PictureError,
    UsageError,
    shortened,
)
from lagotto.core.results.json_text import json_line
from lagotto.core.types import JsonValue

PROBLEM_TYPE = "application/problem+json"
_LONGEST_DETAIL = 500
_MOST_FIELDS = 100
_PATH = re.compile(r"(?<![\w/:.])(?:/[^\s/:;,'\"()]+)+/(?=[^\s/])|(?<![\w/:.])/(?=[\w.])")
"""The folders of an absolute path: what stays of it is the name of the file."""


class Problem(Exception):  # noqa: N818  # the word of RFC 9457
    """An answer that is an error: its status, one line, and the fields that are wrong.

    Attributes:
        status: The HTTP status.
        detail: What was given, what is allowed, and what to do, in one line.
        fields: Each wrong field with the reason.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        fields: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = shortened(without_paths(" ".join(detail.split())), _LONGEST_DETAIL)
        self.fields = tuple(fields)
        self.headers = dict(headers or {})

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """The problem as RFC 9457 says it."""
        content: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.fields:
            content["errors"] = [{"field": name, "reason": reason} for name, reason in self.fields]
        return Response(
            json_line(content), self.status, headers=self.headers, media_type=PROBLEM_TYPE
        )


def without_paths(text: str) -> str:
    """A text in which absolute paths are cut to the name of the file.

    Example:
        >>> without_paths("no hub in /srv/data/my-hub; give another")
        'no hub in my-hub; give another'
    """
    return _PATH.sub("", text)


_PATH_KEYS = frozenset({"source", "reason", "notes", "why", "path", "detail", "hints", "what"})
_REMOTE = ("hf:", "timm:", "hf-search:", "mlflow:")


def clean_json(value: JsonValue, key: str = "") -> JsonValue:
    """An answer of a command without the places of files: of each path its last part stays.

    Names and labels are left as they are, also where they look like paths.
    """
    match value:
        case dict():
            return {name: clean_json(inner, name) for name, inner in value.items()}
        case list():
            return [clean_json(inner, key) for inner in value]
        case str() if key == "source" and not value.startswith(_REMOTE):
            return value.rpartition("/")[2]
        case str() if key in _PATH_KEYS:
            return without_paths(value)
    return value


_ROUTING = {
    404: "nothing is at this address; the menu lists the pages, openapi.json what scripts ask",
    405: "not with this method at this address; openapi.json lists what scripts ask",
}
"""What the framework says in two words, with the way on."""


def problem_of(error: Exception) -> Problem:
    """The problem that an error is for a client; what is not ours says nothing of itself."""
    match error:
        case Problem():
            return error
        case UsageError() | PictureError():
            return Problem(400, str(error))
        case HubError():
            return Problem(503, str(error))
        case LagottoError():
            return Problem(503, str(error))
        case RequestValidationError():
            fields = [_wrong_field(item) for item in error.errors()[:_MOST_FIELDS]]
            return Problem(422, "; ".join(f"{name}: {why}" for name, why in fields[:4]), fields)
        case HTTPException():
            headers = dict(error.headers or {})
            plain = HTTPStatus(error.status_code).phrase
            said = _ROUTING.get(error.status_code) if error.detail == plain else None
            return Problem(error.status_code, said or str(error.detail), (), headers)
    return Problem(500, "the server failed at this request; its log says more")


_UNKNOWN_FIELD = "There is no such field; openapi.json lists those that are taken"


def _wrong_field(item: Mapping[str, Any]) -> tuple[str, str]:
    """The place and the reason of one error of pydantic, without what the client sent."""
    place = [str(part) for part in item["loc"] if part not in ("query", "path", "body", "header")]
    reason = _UNKNOWN_FIELD if item["type"] == "extra_forbidden" else str(item["msg"])
    return shortened(".".join(place) or "body", 100), shortened(reason, 200)


ErrorPage = Callable[[Request, Problem], Response]
"""Makes the page of an error for people; a room of pages gives one."""


@dataclass(slots=True)
class ErrorAnswers:
    """Answers errors: as JSON to scripts, as a page to people."""

    page: ErrorPage | None = field(default=None)

    def answer(self, request: Request, problem: Problem) -> Response:
        """The answer to a request that has a problem."""
        if is_for_scripts(request.url.path):
            return problem.response()
        if self.page is not None:
            try:
                return self.page(request, problem)
            except Exception:  # the page of an error must not be another error
                return plain_page(problem)
        return plain_page(problem)


def is_for_scripts(path: str) -> bool:
    """Whether a path is read by scripts, so that its errors are JSON."""
    return path.startswith(("/api/", "/static/")) or path in (
        "/api",
        "/healthz",
        "/metrics",
        "/openapi.json",
    )


def plain_page(problem: Problem) -> Response:
    """The page of an error without any template."""
    title, detail = escape(problem.title), escape(problem.detail)
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<h1>{title}</h1><p>{detail}</p><p><a href='/'>Start page</a></p></html>"
    )
    return HTMLResponse(page, problem.status, headers=problem.headers)
