"""How tables of captioned pictures name their columns, and what their cells may hold.

Probe sources and caption sources read the same tables, so they read them by the same rules.
"""

import json
from typing import Any, TypeAlias

CaptionTexts: TypeAlias = tuple[str, ...]

PATH_COLUMNS = ("image", "path", "file_name", "file", "filepath", "filename", "image_path")
"""Columns that name a picture file, in the order in which they are looked for."""

CAPTION_COLUMNS = ("captions", "caption", "text", "title")
PICTURE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes")
"""Columns that hold picture files, as binary or as a struct with `bytes`."""


def storable(text: str) -> str:
    """A text that can be printed and stored, also where a file name's bytes are not UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def merged(first: CaptionTexts, second: CaptionTexts) -> CaptionTexts:
    """All captions of both, each once, in order."""
    return tuple(dict.fromkeys(first + second))


def captions_in(cell: object) -> CaptionTexts:
    """The captions in a text, a list of texts or None; TypeError for anything else.

    Stripped, each once; empty ones are left out.
    """
    texts: list[str] = []
    for text in cell if isinstance(cell, list) else [] if cell is None else [cell]:
        if not isinstance(text, str):
            raise TypeError(type(text).__name__)
        texts.append(storable(text.strip()))
    return merged((), tuple(text for text in texts if text))


def captioned_line(line: str) -> tuple[str | None, CaptionTexts]:
    """(picture path or None, captions) of a line of jsonl.

    Raises ValueError with what is wrong with the line: "is not JSON; each line must be ...".
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON; each line must be one JSON object") from error
    if not isinstance(row, dict):
        raise ValueError("is not an object; each line must be one JSON object")
    named = [row[key] for key in PATH_COLUMNS if key in row]
    if named and (not isinstance(named[0], str) or not named[0] or "\0" in named[0]):
        raise ValueError(f"names no picture; give its path as one of {', '.join(PATH_COLUMNS)}")
    said = next((row[key] for key in CAPTION_COLUMNS if key in row), None)
    try:
        return (named[0] if named else None), captions_in(said)
    except TypeError as error:
        raise ValueError("has captions that are neither a text nor a list of texts") from error


def first_named(wanted: tuple[str, ...], columns: list[str]) -> str | None:
    """The first of the wanted columns that a table has."""
    return next((name for name in wanted if name in columns), None)


def struct_fields(kind: Any) -> list[str]:
    """The names in a pyarrow struct type; none for another type."""
    import pyarrow as pa

    return [field.name for field in kind] if pa.types.is_struct(kind) else []


def picture_column(schema: Any) -> tuple[str, bool] | None:
    """(name, whether it is a struct) of the pyarrow column that holds picture files, if any."""
    import pyarrow as pa

    for name in PICTURE_COLUMNS:
        if name in schema.names:
            kind = schema.field(name).type
            if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                return name, False
            if "bytes" in struct_fields(kind):
                return name, True
    return None


def columns_of(schema: Any) -> str:
    """The columns of a pyarrow table with their types, for a message."""
    return ", ".join(f"{f.name} ({str(f.type)[:40]})" for f in schema) or "no columns"
