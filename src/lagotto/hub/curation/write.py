"""Chosen pictures come in; the folder of a probe set goes out: parquet, report, sheet, licences.

OUT/NAME.parquet        image (WebP, its shorter side at most 256 pixels), path, caption, source,
                        author, licence: a row a picture, in order; NAME is that of the folder
OUT/report.json         what was asked, what was left out and why, coverage by noun
OUT/contact_sheet.pdf   the surest picture of nouns, with its probability
OUT/licences.txt        how many pictures are under each licence, and where they are from
"""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from lagotto.core.files import canonical_json, replacing, write_atomically
from lagotto.core.types import JsonObject

SET_EDGE = 256
_QUALITY = 90
_ROWS_A_GROUP = 100


@dataclass(frozen=True, slots=True)
class SetRow:
    """A picture of a set as it is written, and what is known of it; "" is not known."""

    image: bytes
    path: str
    captions: tuple[str, ...]
    source: str
    author: str
    licence: str


def to_webp(picture: Image.Image) -> bytes:
    """The file of a picture in mode RGB, its shorter side at most SET_EDGE."""
    shorter = min(picture.size)
    if shorter > SET_EDGE:
        size = tuple(max(1, round(side * SET_EDGE / shorter)) for side in picture.size)
        picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=_QUALITY, method=4)
    return stream.getvalue()


def write_rows_of_set(folder: Path, name: str, rows: Iterable[SetRow]) -> Counter[tuple[str, str]]:
    """Writes OUT/NAME.parquet; the number of pictures by licence and collection.

    Raises HubError if it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("image", pa.binary()),
            ("path", pa.string()),
            ("caption", pa.list_(pa.string())),
            ("source", pa.string()),
            ("author", pa.string()),
            ("licence", pa.string()),
        ]
    )
    counts: Counter[tuple[str, str]] = Counter()
    with replacing(folder / f"{name}.parquet") as temporary:
        options: dict[str, Any] = {"compression": "none", "write_page_checksum": True}
        with pq.ParquetWriter(temporary, schema, **options) as writer:
            group: list[SetRow] = []
            for row in rows:
                counts[row.licence, row.source.rpartition("#")[0] or _collection(row.source)] += 1
                group.append(row)
                if len(group) == _ROWS_A_GROUP:
                    writer.write_table(_table(pa, schema, group))
                    group = []
            if group:
                writer.write_table(_table(pa, schema, group))
    return counts


def write_licences(folder: Path, counts: Counter[tuple[str, str]]) -> None:
    """Writes OUT/licences.txt."""
    lines = [
        f"{count}\t{licence or 'licence not stated'}\t{source}"
        for (licence, source), count in sorted(counts.items())
    ]
    write_atomically(folder / "licences.txt", ("\n".join(lines) + "\n").encode())


def write_report(folder: Path, report: JsonObject) -> None:
    """Writes OUT/report.json."""
    write_atomically(folder / "report.json", canonical_json(report))


def _collection(source: str) -> str:
    """The folder, table or site that a picture is from."""
    return urlsplit(source).netloc or source.partition("/")[0]


def _table(pa: Any, schema: Any, rows: Sequence[SetRow]) -> Any:
    columns = {
        "image": [row.image for row in rows],
        "path": [row.path for row in rows],
        "caption": [list(row.captions) for row in rows],
        "source": [row.source for row in rows],
        "author": [row.author for row in rows],
        "licence": [row.licence for row in rows],
    }
    return pa.table(columns, schema=schema)
