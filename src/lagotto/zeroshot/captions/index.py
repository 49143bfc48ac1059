"""Stage 1b of zero-shot classification, on request: caption store → approximate indexes beside it.

STORE/index/index.json   what the indexes were made from, with what, and their measured recall
STORE/index/pictures     over the pictures
STORE/index/captions     over the captions that have no picture
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64

from lagotto.core.errors import CaptionError
from lagotto.core.files import canonical_json, read_json, replacing, write_atomically, writing
from lagotto.core.lock import folder_lock
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject
from lagotto.neighbors.base import RowIndex
from lagotto.neighbors.exact import NearestRows
from lagotto.neighbors.recall import Recall, measure_recall
from lagotto.neighbors.registry import (
    DEFAULT_INDEX,
    build_index,
    open_index,
)
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.retrieval import NEIGHBOURS, text_only_spans

_FORMAT = "lagotto-caption-index"
_VERSION = 1
FOLDER_NAME = "index"
RECORD_NAME = "index.json"
NAMES = ("pictures", "captions")
VOTERS = 16
"""Captions whose recall is measured: as many as vote unless told otherwise."""


@dataclass(frozen=True, slots=True)
class IndexPart:
    """One index: its rows, the bytes of its file (0 without rows), how it was made, its recall."""

    rows: int
    bytes: int
    parameters: dict[str, str | int]
    recall: Recall


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """What STORE/index/index.json says; `store` is the digest of what was indexed."""

    store: str
    adapter: str
    pictures: IndexPart
    captions: IndexPart

    def as_json(self) -> JsonObject:
        """The fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Source:
    """What an index is over: rows of the store, in ranges, and the recall to measure."""

    name: str
    rows: Float[np.ndarray, "rows dim"]
    spans: Int64[np.ndarray, "spans 2"]
    at: int


def index_store(store: CaptionStore, progress: Progress | None = None) -> tuple[IndexRecord, bool]:
    """The record of the store's indexes, and whether they were built now.

    Indexes of the state that `store` shows are left as they are. Takes the memory of one index.
    Raises MissingExtraError without the library, HubError where nothing can be written,
    CaptionError while another process builds.
    """
    folder = store.folder / FOLDER_NAME
    with writing(folder):
        folder.mkdir(exist_ok=True)
    with folder_lock(folder, "caption index", CaptionError):
        known = _read(folder / RECORD_NAME)
        parts = () if known is None else (known.pictures, known.captions)
        whole = all(map(_is_whole, (folder / name for name in NAMES), parts))
        if known is not None and known.store == store.digest and whole:
            return known, False
        with writing(folder):
            (folder / RECORD_NAME).unlink(missing_ok=True)  # no record beside files of another
        pictures, captions = _sources(store)
        record = IndexRecord(
            store.digest,
            DEFAULT_INDEX,
            _build(folder, pictures, progress or Silent()),
            _build(folder, captions, progress or Silent()),
        )
        content: JsonObject = {"format": _FORMAT, "version": _VERSION, **record.as_json()}
        write_atomically(folder / RECORD_NAME, canonical_json(content) + b"\n")
        return record, True


def open_indexes(store: CaptionStore) -> tuple[RowIndex, RowIndex, IndexRecord]:
    """The indexes over pictures and over captions without one, memory-mapped.

    Raises CaptionError if there are none or they are of another state of the store,
    MissingExtraError without the library.
    """
    folder = store.folder / FOLDER_NAME
    record = _read(folder / RECORD_NAME)
    run = f"run: lagotto captions index {store.folder}"
    if record is None:
        raise CaptionError(f"caption store {store.folder} has no approximate index; {run}")
    if record.store != store.digest:
        raise CaptionError(
            f"the approximate index of {store.folder} is of another state of the store "
            f"({record.store[:12]}, not {store.digest[:12]}); {run}"
        )
    pictures, captions = _sources(store)
    return (
        _open(folder, pictures, record.adapter, record.pictures),
        _open(folder, captions, record.adapter, record.captions),
        record,
    )


def recall_lines(record: IndexRecord) -> list[str]:
    """What a reader should know of each index, a line each."""
    parts = (("pictures", record.pictures), ("captions without a picture", record.captions))
    return [
        f"{part.rows:,} {name}"
        + (
            ""
            if part.recall.share is None
            else f", recall@{part.recall.at} {part.recall.share:.4f}"
        )
        for name, part in parts
    ]


def _sources(store: CaptionStore) -> tuple[_Source, _Source]:
    everything = np.array([[0, store.pictures]], np.int64)
    alone = text_only_spans(store)
    return (
        _Source(NAMES[0], store.image_embeddings, everything, NEIGHBOURS),
        _Source(NAMES[1], store.text_embeddings, alone, VOTERS),
    )


def _build(folder: Path, source: _Source, progress: Progress) -> IndexPart:
    """Builds, saves and measures one index; without rows there is no file."""
    path = folder / source.name
    numbers = np.concatenate(
        [np.arange(start, end, dtype=np.int64) for start, end in source.spans.tolist()]
        or [np.empty(0, np.int64)]
    )
    if not len(numbers):
        with writing(path):
            path.unlink(missing_ok=True)
        return IndexPart(0, 0, {}, Recall(source.at, None, 0))
    progress.start(f"index {source.name}", len(numbers), "rows")
    index = build_index(DEFAULT_INDEX, source.rows, source.spans, progress.advance)
    progress.finish()
    with replacing(path) as temporary:
        index.save(temporary)
    exact = NearestRows(source.rows, source.spans, keep=False)
    recall = measure_recall(index, exact, source.rows, numbers, source.at)
    return IndexPart(len(numbers), path.stat().st_size, index.parameters, recall)


def _open(folder: Path, source: _Source, adapter: str, part: IndexPart) -> RowIndex:
    if not part.rows:
        return NearestRows(source.rows, source.spans)
    path = folder / source.name
    if not _is_whole(path, part):
        raise CaptionError(
            f"the approximate index {path} is missing or cut short; run: "
            f"lagotto captions index {folder.parent}"
        )
    return open_index(adapter, path, source.rows, source.spans)


def _is_whole(path: Path, part: IndexPart) -> bool:
    """Whether the index's file has the length that was written."""
    return not part.rows or (path.is_file() and path.stat().st_size == part.bytes)


def _read(path: Path) -> IndexRecord | None:
    """The record in a file; None where there is none that this version can use."""
    if not path.is_file():
        return None
    try:
        row = read_json(path, "caption index", CaptionError)
        if row["format"] != _FORMAT or row["version"] != _VERSION:
            return None
        return IndexRecord(
            str(row["store"]), str(row["adapter"]), _part(row["pictures"]), _part(row["captions"])
        )
    except (CaptionError, KeyError, TypeError, ValueError):
        return None


def _part(value: object) -> IndexPart:
    if not isinstance(value, dict):
        raise TypeError(type(value).__name__)
    recall = Recall(**value["recall"])
    return IndexPart(int(value["rows"]), int(value["bytes"]), value["parameters"], recall)
