"""A value that a command would print comes in; the JSON answer of the API goes out."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from lagotto.core.results.json_text import json_line
from lagotto.core.types import Hits, JsonObject
from lagotto.web.problems import clean_json


def json_answer(
    content: JsonObject, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """One JSON object, without any path of this machine."""
    text = json_line(clean_json(content))
    return Response(text, status, headers=dict(headers or {}), media_type="application/json")


def hits_json(hits: Hits) -> JsonObject:
    """The object that `lagotto search --json` prints, with the notes and the deciding probes.

    The command says its notes beside the object; an answer has no other place for them.
    """
    return {
        **hits.as_json(),
        "deciding_probes": list(hits.deciding_probes),
        "notes": list(hits.notes),
    }


def documented(*further: int, content: str = "application/json") -> dict[int | str, dict[str, Any]]:
    """What openapi.json says of an operation: its answers, and the problems that it may have."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    said: dict[int | str, dict[str, Any]] = {
        status: {"description": meaning, "content": problem} for status, meaning in _MEANING.items()
    }
    schema = {"type": "object"} if content == "application/json" else {"type": "string"}
    said[200] = {"description": "The answer.", "content": {content: {"schema": schema}}}
    for status in further:
        said[status] = dict(_FURTHER[status])
    return said


_JSON_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_FURTHER: dict[int, dict[str, Any]] = {
    202: {"description": "A job: its id and its state.", "content": _JSON_OBJECT},
    304: {"description": "The picture is the one that the client has."},
}
_MEANING = {
    400: "The request cannot be met as given.",
    401: "The token is missing or wrong.",
    403: "Not allowed here, or a request of another site.",
    404: "No such model, output, probe, picture or job.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    421: "The server is not known by that name.",
    405: "Not with this method.",
    422: "A field has the wrong form.",
    429: "Too many requests at once; come again.",
    503: "Not possible now, or not in time.",
}

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An error, as RFC 9457 says it.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was given, what is allowed, what to do."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}
"""The schema of every error."""
