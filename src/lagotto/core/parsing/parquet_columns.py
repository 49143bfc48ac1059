"""The schema of a table of captioned pictures comes in; the roles of its columns go out."""

from typing import Any

from lagotto.core.parsing.captioned_tables import (
    PATH_COLUMNS,
    find_caption_columns,
    first_column,
)
from lagotto.core.parsing.picture_form import SIGNATURE_BYTES, picture_form

PICTURE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes")
"""Columns that hold picture files, as binary or as a struct with a field `bytes`."""

_MORE_PICTURE_COLUMNS = (
    *("img", "images", "picture", "pictures", "photo", "photos", "imgs", "image_data", "img_bytes"),
    *("image_binary", "image_content", "raw_image", "picture_bytes", "jpeg_bytes", "jpg_bytes"),
)


def picture_column(schema: Any) -> str | None:
    """The column of a pyarrow schema that holds picture files, by its name; or None."""
    fitting = [field.name for field in schema if holds_files(field.type)]
    return first_column(PICTURE_COLUMNS, fitting) or first_column(_MORE_PICTURE_COLUMNS, fitting)


def unnamed_file_columns(schema: Any) -> list[str]:
    """Columns whose type can hold files and whose name says nothing; their content has to tell."""
    captions = caption_columns(schema)
    return [
        field.name for field in schema if holds_files(field.type) and field.name not in captions
    ]


def files_in(cell: object) -> list[object]:
    """The files in a cell: those of a list, else the cell itself; None is none."""
    return [item for item in (cell if isinstance(cell, list) else [cell]) if item is not None]


def is_picture_cell(cell: object) -> bool:
    """Whether a cell holds the bytes of a picture, plain or in a struct."""
    files = files_in(cell)
    first = files[0] if files else None
    data = first.get("bytes") if isinstance(first, dict) else first
    return isinstance(data, bytes) and picture_form(data[:SIGNATURE_BYTES]) is not None


def path_column(schema: Any) -> str | None:
    """The column of a pyarrow schema that names picture files, by its name; or None."""
    return first_column(PATH_COLUMNS, text_columns(schema))


def text_columns(schema: Any) -> list[str]:
    """The columns of a pyarrow schema that hold texts."""
    return [field.name for field in schema if holds_text(field.type)]


def caption_columns(schema: Any) -> tuple[str, ...]:
    """The columns of a pyarrow schema that hold captions as texts or lists of them; maybe none."""
    fitting = [field.name for field in schema if _holds_captions(field.type)]
    return find_caption_columns(fitting)


def read_columns(schema: Any, column: str) -> list[str]:
    """What to read of a column: of a struct of a file the fields `bytes` and `path` alone."""
    fields = struct_fields(schema.field(column).type)
    if "bytes" not in fields:
        return [column]
    return [f"{column}.{name}" for name in ("bytes", "path") if name in fields]


def holds_files(kind: Any) -> bool:
    """Whether a pyarrow type can hold files: bytes, a struct with `bytes`, lists of these."""
    return _is_bytes(_item_type(kind)) or "bytes" in struct_fields(_item_type(kind))


def holds_text(kind: Any) -> bool:
    """Whether a pyarrow type is that of texts, also as views or as a dictionary."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _holds_captions(kind: Any) -> bool:
    """Texts, bytes of texts, structs with a text, or lists of these."""
    item = _item_type(kind)
    if holds_text(item) or _is_bytes(item):
        return True
    if not struct_fields(item) or "bytes" in struct_fields(item):
        return False
    names = ("raw", "caption", "text", "sentence", "value", "en")
    return any(_holds_captions(field.type) for field in item if field.name in names)


def _item_type(kind: Any) -> Any:
    """The type of the items of a list, or of the values of a dictionary; else the type itself."""
    import pyarrow as pa

    tests = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    for test in (*tests, "is_dictionary"):
        if getattr(pa.types, test)(kind):
            return _item_type(kind.value_type)
    return kind


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def struct_fields(kind: Any) -> list[str]:
    """The names of the fields of a pyarrow struct type; none for another type."""
    import pyarrow as pa

    return [field.name for field in kind] if pa.types.is_struct(kind) else []


def columns_of(schema: Any) -> str:
    """The columns of a pyarrow schema with their types, for a message."""
    return ", ".join(f"{f.name} ({str(f.type)[:40]})" for f in schema) or "no columns"
