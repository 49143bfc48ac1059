"""The columns of a table of captioned pictures come in; what each is for goes out.

Whoever parses the table tells of each column what it can hold. So nothing here needs its library.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lagotto.core.parsing.captioned_tables import (
    PATH_COLUMNS,
    find_caption_columns,
    first_column,
)
from lagotto.core.parsing.picture_form import SIGNATURE_BYTES, picture_form
from lagotto.core.types import JsonObject, JsonValue

PICTURE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes")
"""Columns that hold picture files, as binary or as a struct with a field `bytes`."""

_MORE_PICTURE_COLUMNS = (
    *("img", "images", "picture", "pictures", "photo", "photos", "imgs", "image_data", "img_bytes"),
    *("image_binary", "image_content", "raw_image", "picture_bytes", "jpeg_bytes", "jpg_bytes"),
)


_KIND_LENGTH = 40
_LISTED = 50


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    `kind` is its type in words. It can hold `files` (bytes, a struct with bytes, lists of these),
    `text`, or `captions` (texts, structs with a text, lists of these). `file_fields` are those of
    bytes and path that it has as a struct.
    """

    name: str
    kind: str = ""
    files: bool = False
    text: bool = False
    captions: bool = False
    file_fields: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        """The fields by name, as `columns_from_json` reads them."""
        return {**asdict(self), "file_fields": [*self.file_fields]}


def columns_of_schema(schema: Any) -> tuple[Column, ...]:
    """The columns of a pyarrow schema."""
    return tuple(
        Column(
            field.name,
            str(field.type)[:_KIND_LENGTH],
            _holds_files(field.type),
            _holds_text(field.type),
            _holds_captions(field.type),
            tuple(name for name in ("bytes", "path") if name in _struct_fields(field.type)),
        )
        for field in schema
    )


def columns_from_json(value: JsonValue) -> tuple[Column, ...]:
    """The columns that `as_json` told; ValueError for anything else."""
    if not isinstance(value, list):
        raise ValueError("no list of columns")
    columns = []
    for item in value:
        match item:
            case {
                "name": str(name),
                "kind": str(kind),
                "files": bool(files),
                "text": bool(text),
                "captions": bool(captions),
                "file_fields": list(fields),
            } if all(field in ("bytes", "path") for field in fields):
                columns.append(Column(name, kind, files, text, captions, tuple(map(str, fields))))
            case _:
                raise ValueError("no column")
    return tuple(columns)


def picture_column(columns: Sequence[Column]) -> str | None:
    """The column that holds picture files, by its name; or None."""
    fitting = [column.name for column in columns if column.files]
    return first_column(PICTURE_COLUMNS, fitting) or first_column(_MORE_PICTURE_COLUMNS, fitting)


def unnamed_file_columns(columns: Sequence[Column]) -> list[str]:
    """Columns whose type can hold files and whose name says nothing; their content has to tell."""
    captions = caption_columns(columns)
    return [column.name for column in columns if column.files and column.name not in captions]


def files_in(cell: object) -> list[object]:
    """The files in a cell: those of a list, else the cell itself; None is none."""
    return [item for item in (cell if isinstance(cell, list) else [cell]) if item is not None]


def is_picture_cell(cell: object) -> bool:
    """Whether a cell holds the bytes of a picture, plain or in a struct."""
    files = files_in(cell)
    first = files[0] if files else None
    data = first.get("bytes") if isinstance(first, dict) else first
    return isinstance(data, bytes) and picture_form(data[:SIGNATURE_BYTES]) is not None


def path_column(columns: Sequence[Column]) -> str | None:
    """The column that names picture files, by its name; or None."""
    return first_column(PATH_COLUMNS, text_columns(columns))


def text_columns(columns: Sequence[Column]) -> list[str]:
    """The columns that hold texts."""
    return [column.name for column in columns if column.text]


def caption_columns(columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns that hold captions as texts or lists of them; maybe none."""
    return find_caption_columns([column.name for column in columns if column.captions])


def read_columns(columns: Sequence[Column], name: str) -> list[str]:
    """What to read of a column: of a struct of a file the fields `bytes` and `path` alone."""
    fields = file_fields(columns, name)
    return [f"{name}.{field}" for field in fields] if "bytes" in fields else [name]


def file_fields(columns: Sequence[Column], name: str) -> tuple[str, ...]:
    """Those of bytes and path that a column has as a struct."""
    return next((column.file_fields for column in columns if column.name == name), ())


def columns_of(columns: Sequence[Column]) -> str:
    """The first columns with their types, for a message."""
    listed = [f"{column.name[:_KIND_LENGTH]} ({column.kind})" for column in columns[:_LISTED]]
    more = len(columns) - len(listed)
    return ", ".join(listed + ([f"and {more:,} more"] if more else [])) or "no columns"


def _holds_files(kind: Any) -> bool:
    """Whether a pyarrow type can hold files: bytes, a struct with `bytes`, lists of these."""
    return _is_bytes(_item_type(kind)) or "bytes" in _struct_fields(_item_type(kind))


def _holds_text(kind: Any) -> bool:
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
    if _holds_text(item) or _is_bytes(item):
        return True
    if not _struct_fields(item) or "bytes" in _struct_fields(item):
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


def _struct_fields(kind: Any) -> list[str]:
    """The names of the fields of a pyarrow struct type; none for another type."""
    import pyarrow as pa

    return [field.name for field in kind] if pa.types.is_struct(kind) else []
