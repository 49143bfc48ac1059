"""A value that a command would print comes in; the JSON answer of the API goes out."""

from collections.abc import Mapping
from typing import Any, cast

from starlette.responses import Response

from lagotto.core.results.json_text import json_line
from lagotto.core.types import Hits, JsonObject
from lagotto.web.api.schemas.answers import JobAnswer
from lagotto.web.api.schemas.votes import MAY_LACK
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


def documented(
    model: Any = None, *further: int, content: str = "", status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """What openapi.json says of an operation: its answers, and the problems that it may have.

    Args:
        model: The type of its JSON answer.
        further: Statuses of `_FURTHER` that it may have too.
        content: The media type of an answer that is no JSON.
        status: The status of the answer.
    """
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    said: dict[int | str, dict[str, Any]] = {
        status: {"description": meaning, "content": problem} for status, meaning in _MEANING.items()
    }
    said[status] = {"description": "The answer."}
    if content:
        text = {"type": "string"} | ({} if content.startswith("text/") else {"format": "binary"})
        said[status]["content"] = {content: {"schema": text}}
    else:
        said[status]["model"] = model
    for other in further:
        said[other] = dict(_FURTHER[other])
    return said


_FURTHER: dict[int, dict[str, Any]] = {
    202: {"description": "A job: its id and its state.", "model": JobAnswer},
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

_PROBLEM: dict[str, Any] = {
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


def complete_schemas(document: JsonObject) -> None:
    """Adds to openapi.json the form of errors, and that answers have all of their keys.

    The types of results give many fields a default, for those who make them in Python.
    """
    components = cast("dict[str, dict[str, Any]]", document.setdefault("components", {}))
    schemas = components.setdefault("schemas", {})
    for name, schema in schemas.items():
        if name.startswith("Body_") or name == "AddRequest":
            continue  # what clients send
        absent = MAY_LACK.get(name, ())
        schema["required"] = [key for key in schema.get("properties", ()) if key not in absent]
    schemas["Problem"] = _PROBLEM
