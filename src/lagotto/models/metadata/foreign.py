"""A folder comes in; whether its model.json is one of ours or of another tool goes out.

TensorFlow.js, Keras and others call a file of theirs model.json, too. It is another tool's

1. if it has `modelTopology` or `weightsManifest`, or its `format` is that of TensorFlow.js, or
2. if it has a key that is none of ours, and no key that is surely ours: `file`, `output_name`, a
   list or file of `labels`, an `input` with one of our keys, an `output` that we know.

All others are ours, so a mistake in one is reported and not passed over.
"""

import json
from pathlib import Path
from typing import get_args

from lagotto.core.types import JsonObject, JsonValue, OutputKind
from lagotto.models.metadata.description import DESCRIPTION_FILE, MAX_DESCRIPTION_BYTES

_MARKS = ("modelTopology", "weightsManifest")
_FORMATS = ("layers-model", "graph-model", "tfjs-layers-model", "tfjs-graph-model")
_OURS = frozenset({"name", "file", "labels", "input", "output", "output_name"})
_OUR_INPUT = frozenset(
    {"size", "layout", "channels", "scale", "mean", "std", "resize", "crop_fraction", "dtype"}
    | {"resample"}
)
_HEAD_BYTES = 64 << 10


def has_description(folder: Path) -> bool:
    """Whether a folder has a model.json, and it is one of ours."""
    return (folder / DESCRIPTION_FILE).is_file() and not has_foreign_json(folder)


def has_foreign_json(folder: Path) -> bool:
    """Whether a folder has a model.json that is another tool's; False if it cannot be read."""
    file = folder / DESCRIPTION_FILE
    try:
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            data = stream.read(MAX_DESCRIPTION_BYTES + 1)
    except OSError:
        return False
    if len(data) > MAX_DESCRIPTION_BYTES:
        head = data[:_HEAD_BYTES]
        return any(f'"{word}"'.encode() in head for word in (*_MARKS, *_FORMATS))
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and is_foreign(value)


def is_foreign(value: JsonObject) -> bool:
    """Whether the contents of a model.json are another tool's, by the rule of this file.

    Example:
        >>> is_foreign({"format": "layers-model", "weightsManifest": []})
        True
        >>> is_foreign({"name": "birds", "output": "sofmax"})  # ours, with a mistake
        False
    """
    if any(mark in value for mark in _MARKS) or value.get("format") in _FORMATS:
        return True
    return not value.keys() <= _OURS and not any(
        _is_surely_ours(key, inner) for key, inner in value.items()
    )


def _is_surely_ours(key: str, value: JsonValue) -> bool:
    match key:
        case "file" | "output_name":
            return isinstance(value, str)
        case "labels":
            is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
            return is_list or isinstance(value, str)
        case "input":
            return isinstance(value, dict) and not value.keys().isdisjoint(_OUR_INPUT)
        case "output":
            return isinstance(value, str) and value in get_args(OutputKind)
    return False
