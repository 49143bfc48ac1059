"""Cells and columns of a table of captioned pictures come in; paths and captions go out.

Probe sources and caption sources read the same tables, so both use these rules.
"""

import json
from typing import Any, TypeAlias

CaptionTexts: TypeAlias = tuple[str, ...]

PATH_COLUMNS = ("image", "path", "file_name", "file", "filepath", "filename", "image_path")
"""Columns that name a picture file; the first that a table has is used."""

CAPTION_COLUMNS = ("captions", "caption", "text", "title")
PICTURE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes")
"""Columns that hold picture files, as binary or as a struct with a field `bytes`."""


def storable(text: str) -> str:
    """A text that can be printed and stored; bytes of a file name that are not UTF-8 become "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def merge_captions(first: CaptionTexts, second: CaptionTexts) -> CaptionTexts:
    """The captions of both, each once, in order."""
    return tuple(dict.fromkeys(first + second))


def parse_captions(cell: object) -> CaptionTexts:
    """The captions in a cell, stripped, each once, without empty ones.

    >>> parse_captions(["a cat ", "", "a cat"])
    ('a cat',)

    Raises:
        TypeError: The cell is neither a text, nor a list of texts, nor None.
    """
    texts: list[str] = []
    for text in cell if isinstance(cell, list) else [] if cell is None else [cell]:
        if not isinstance(text, str):
            raise TypeError(type(text).__name__)
        texts.append(storable(text.strip()))
    return merge_captions((), tuple(text for text in texts if text))


def parse_captioned_line(line: str) -> tuple[str | None, CaptionTexts]:
    """(picture path or None, captions) of a line of jsonl.

    Raises:
        ValueError: The line cannot be read; the message begins with a verb ("is not JSON; ...").
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON; each line must be one JSON object") from error
    if not isinstance(row, dict):
        raise ValueError("is not an object; each line must be one JSON object")
    paths = [row[key] for key in PATH_COLUMNS if key in row]
    if paths and (not isinstance(paths[0], str) or not paths[0] or "\0" in paths[0]):
        raise ValueError(f"names no picture; give its path as one of {', '.join(PATH_COLUMNS)}")
    captions = next((row[key] for key in CAPTION_COLUMNS if key in row), None)
    try:
        return (paths[0] if paths else None), parse_captions(captions)
    except TypeError as error:
        raise ValueError("has captions that are neither a text nor a list of texts") from error


def first_column(names: tuple[str, ...], columns: list[str]) -> str | None:
    """The first of some names that is a column of a table; None if none is."""
    return next((name for name in names if name in columns), None)


def struct_fields(kind: Any) -> list[str]:
    """The names of the fields of a pyarrow struct type; none for another type."""
    import pyarrow as pa

    return [field.name for field in kind] if pa.types.is_struct(kind) else []


def picture_column(schema: Any) -> tuple[str, bool] | None:
    """(name, whether it is a struct) of the column of a pyarrow schema that holds picture files."""
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
    """The columns of a pyarrow schema with their types, for a message."""
    return ", ".join(f"{f.name} ({str(f.type)[:40]})" for f in schema) or "no columns"
