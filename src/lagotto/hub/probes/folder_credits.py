"""A folder of pictures comes in; what lists in it state of their licences and authors goes out.

Lists are files beside the pictures: .jsonl lines, .csv and .tsv tables with a column that names the
picture, and .json annotations in the form of COCO (`images`, and `licenses` by number). What is no
such list states nothing, and stops nobody.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lagotto.core.errors import ProbeError
from lagotto.core.parsing.captioned_tables import PATH_COLUMNS, first_column
from lagotto.core.parsing.delimited_text import numbered_rows, split_line, text_lines
from lagotto.core.sources.credits import LICENCE_COLUMNS, credit_columns, credit_of_row
from lagotto.core.types import NO_CREDIT, Credit

MAX_CREDITS_BYTES = 64 * 2**20
"""A longer list is not read: it would be held in memory."""

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_folder_credits(folder: Path) -> dict[str, Credit]:
    """What the lists directly in a folder state, by the name or path that they give a picture."""
    found: dict[str, Credit] = {}
    for path in sorted(folder.iterdir()):
        read = {".jsonl": _lines, ".json": _annotations}.get(path.suffix, _table)
        known = path.suffix in (*_DELIMITERS, ".jsonl", ".json") and not path.is_symlink()
        if not known or not path.is_file() or path.stat().st_size > MAX_CREDITS_BYTES:
            continue
        try:
            rows = [*read(path)]
        except (ProbeError, OSError, ValueError, RecursionError):
            continue
        for row in rows:
            column = first_column(PATH_COLUMNS, list(row))
            name = None if column is None else row[column]
            credit = credit_of_row(row)
            if isinstance(name, str) and credit != NO_CREDIT:
                found.setdefault(name.replace("\\", "/"), credit)
    return found


def _lines(path: Path) -> Iterator[Mapping[str, object]]:
    for _, line in text_lines(path, ProbeError):
        row = json.loads(line or "null")
        if isinstance(row, dict):
            yield row


def _table(path: Path) -> Iterator[Mapping[str, object]]:
    delimiter, lines = _DELIMITERS[path.suffix], text_lines(path, ProbeError)
    header = split_line(next(lines, (0, None))[1] or "", delimiter)
    if not credit_columns(header):
        return
    for _, row in numbered_rows(lines, delimiter, len(header), quoted=True):
        if not isinstance(row, str):
            yield dict(zip(header, row, strict=False))


def _annotations(path: Path) -> Iterator[Mapping[str, object]]:
    content = json.loads(path.read_bytes())
    images = content.get("images") if isinstance(content, dict) else None
    listed = content.get("licenses") if isinstance(content, dict) else None
    licences = {item.get("id"): item.get("name") or item.get("url") for item in _objects(listed)}
    for image in _objects(images):
        column = first_column(LICENCE_COLUMNS, list(image))
        number = None if column is None else image[column]
        if column is not None and isinstance(number, int):
            image = {**image, column: licences.get(number)}
        yield image


def _objects(values: object) -> Iterable[dict[str, object]]:
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []
