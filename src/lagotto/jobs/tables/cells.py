"""Rows of cells come in; a file of them goes out, and back. Nothing in it is trusted.

FILE   8 bytes: the length of the JSON; the JSON, a list of rows; then the bytes that cells refer to

In the JSON a cell is null, a number, a text, or a list that begins with its kind: ["b", start,
length] for bytes, ["l", cells...], ["d", {name: cell}], and ["f", words] for anything else.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lagotto.core.files import read_at_most
from lagotto.core.types import JsonValue

MAX_FILE_BYTES = 2**28

_LENGTH_BYTES = 8
Row: TypeAlias = list[object]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A cell that is not read: of another kind, or too large; `what` says so in words."""

    what: str


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows of cells to a file."""
    blobs: list[bytes] = []
    size = [0]
    encoded = [[_encoded(cell, blobs, size) for cell in row] for row in rows]
    text = json.dumps(encoded).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little"))
        file.write(text)
        file.writelines(blobs)


def read_rows(path: Path) -> list[Row]:
    """The rows in a file; ValueError if it is none that `write_rows` can have written."""
    data = read_at_most(path, MAX_FILE_BYTES)
    if data is None:
        raise ValueError("too large")
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    try:
        rows = json.loads(data[_LENGTH_BYTES:end])
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise ValueError("no rows")
    blobs = memoryview(data)[end:]
    return [[_decoded(cell, blobs) for cell in row] for row in rows]


def _encoded(cell: object, blobs: list[bytes], size: list[int]) -> JsonValue:
    if cell is None or isinstance(cell, str | bool | int | float):
        return cell
    if isinstance(cell, bytes):
        blobs.append(cell)
        size[0] += len(cell)
        return ["b", size[0] - len(cell), len(cell)]
    if isinstance(cell, list):
        return ["l", *(_encoded(item, blobs, size) for item in cell)]
    if isinstance(cell, dict):
        return ["d", {str(key): _encoded(value, blobs, size) for key, value in cell.items()}]
    return ["f", cell.what if isinstance(cell, Foreign) else type(cell).__name__]


def _decoded(cell: object, blobs: memoryview) -> object:
    match cell:
        case ["b", int(start), int(length)] if start >= 0 and length >= 0:
            data = bytes(blobs[start : start + length])
            if len(data) != length:
                raise ValueError("cut short")
            return data
        case ["l", *items]:
            return [_decoded(item, blobs) for item in items]
        case ["d", dict(items)]:
            return {key: _decoded(value, blobs) for key, value in items.items()}
        case ["f", str(what)]:
            return Foreign(what)
        case list() | dict():
            raise ValueError("no cell")
    return cell
