"""Measured indexes of a caption store come in; a record of them, and lines that say it, go out."""

from dataclasses import asdict, dataclass

from lagotto.core.types import JsonObject
from lagotto.neighbors.recall import Recall

SERVER_INDEX = "pgvector"
"""The adapter of a store on a server; its index of captions is over all of them."""

RECALL_CAPTIONS = 16
"""Captions at which recall is measured: the default number of captions that vote."""


@dataclass(frozen=True, slots=True)
class IndexPart:
    """One index: its rows, the size of its file (0 without rows), its parameters, its recall.

    `sha256` is that of the file; empty without rows, and in the records of older versions.
    """

    rows: int
    bytes: int
    parameters: dict[str, str | int]
    recall: Recall
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """The content of STORE/index/index.json, or of the table `indexes` of a store on a server.

    `store` is the digest of the store when recall was measured.
    """

    store: str
    adapter: str
    pictures: IndexPart
    captions: IndexPart

    def as_json(self) -> JsonObject:
        """The fields by name."""
        return asdict(self)


def recall_lines(record: IndexRecord) -> list[str]:
    """One line for a reader on each index: its rows and its recall."""
    captions = "captions" if record.adapter == SERVER_INDEX else "captions without a picture"
    parts = (("pictures", record.pictures), (captions, record.captions))
    return [
        f"{part.rows:,} {name}"
        + (
            ""
            if part.recall.share is None
            else f", recall@{part.recall.at} {part.recall.share:.4f}"
        )
        for name, part in parts
    ]


def record_of_json(row: JsonObject) -> IndexRecord:
    """A record as `as_json` wrote it; KeyError or TypeError for another value."""
    return IndexRecord(
        str(row["store"]), str(row["adapter"]), _part(row["pictures"]), _part(row["captions"])
    )


def _part(value: object) -> IndexPart:
    if not isinstance(value, dict):
        raise TypeError(type(value).__name__)
    recall = Recall(**value["recall"])
    sha256 = str(value.get("sha256", ""))
    return IndexPart(int(value["rows"]), int(value["bytes"]), value["parameters"], recall, sha256)
