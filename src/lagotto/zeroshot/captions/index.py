"""A caption store comes in; approximate nearest-neighbour indexes in its folder go out.

STORE/index/index.json   the digest of the store, the library, and the measured recall
STORE/index/pictures     the index of the pictures
STORE/index/captions     the index of the captions that have no picture
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lagotto.core.errors import CaptionError, UsageError
from lagotto.core.files import (
    canonical_json,
    read_json,
    replacing,
    sha256_file,
    write_atomically,
    writing,
)
from lagotto.core.lock import folder_lock
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject
from lagotto.neighbors.base import RowIndex, StoredRows
from lagotto.neighbors.exact import ExactIndex
from lagotto.neighbors.recall import Recall, measure_recall
from lagotto.neighbors.registry import (
    DEFAULT_INDEX,
    build_index,
    open_index,
)
from lagotto.zeroshot.captions import files as files
from lagotto.zeroshot.captions.index_record import (
    RECALL_CAPTIONS,
    IndexPart,
    IndexRecord,
    record_of_json,
)
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.nearest import text_only_spans
from lagotto.zeroshot.retrieval import NEIGHBOURS

_FORMAT = "lagotto-caption-index"
_VERSION = 1
RECORD_NAME = "index.json"
NAMES = ("pictures", "captions")


@dataclass(frozen=True, slots=True)
class _Source:
    """The rows that an index covers, as ranges of an array; recall is measured at `k`."""

    name: str
    rows: StoredRows
    spans: Int64[np.ndarray, "spans 2"]
    k: int


def index_store(store: CaptionStore, progress: Progress | None = None) -> tuple[IndexRecord, bool]:
    """Builds the indexes of a store, unless they exist for its present content.

    Args:
        store: The store.
        progress: Receives the progress of the work.

    Returns:
        The record of the indexes, and whether they were built now.

    Raises:
        MissingExtraError: The index library is not installed.
        HubError: A file cannot be written.
        CaptionError: Another process builds the indexes.
    """
    if store.own_search("captions") is not None:  # a server builds its index when it is filled
        before = store.content.index_record()
        with store.storage.write() as writer:
            built = writer.finish(progress or Silent(), afresh=True)
        if built is not None:
            return built, built != before
    folder = store.folder / files.INDEX_FOLDER
    with writing(folder):
        folder.mkdir(exist_ok=True)
    with folder_lock(folder, "caption index", CaptionError):
        stored = _read(folder / RECORD_NAME)
        parts = () if stored is None else (stored.pictures, stored.captions)
        is_complete = all(map(_is_whole, (folder / name for name in NAMES), parts))
        if stored is not None and stored.store == store.digest and is_complete:
            return stored, False
        with writing(folder):
            (folder / RECORD_NAME).unlink(missing_ok=True)  # never a record beside other files
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
    """Opens the indexes of a store, memory-mapped.

    Returns:
        The index of the pictures, that of the captions without a picture, and their record.

    Raises:
        CaptionError: There are no indexes, or the store has changed since.
        MissingExtraError: The index library is not installed.
        UsageError: The store lies on a server.
    """
    if store.own_search("captions") is not None:
        raise UsageError(
            f"caption store {store.name} is searched by the index of its server anyway; leave out "
            "--approximate (in Python: approximate=True)"
        )
    folder = store.folder / files.INDEX_FOLDER
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


def _sources(store: CaptionStore) -> tuple[_Source, _Source]:
    all_pictures = np.array([[0, store.pictures]], np.int64)
    text_only = text_only_spans(store)
    return (
        _Source(NAMES[0], store.image_embeddings, all_pictures, NEIGHBOURS),
        _Source(NAMES[1], store.text_embeddings, text_only, RECALL_CAPTIONS),
    )


def _build(folder: Path, source: _Source, progress: Progress) -> IndexPart:
    """Builds and saves one index and measures its recall; without rows there is no file."""
    path = folder / source.name
    row_indices = np.concatenate(
        [np.arange(start, end, dtype=np.int64) for start, end in source.spans.tolist()]
        or [np.empty(0, np.int64)]
    )
    if not len(row_indices):
        with writing(path):
            path.unlink(missing_ok=True)
        return IndexPart(0, 0, {}, Recall(source.k, None, 0))
    progress.start(f"index {source.name}", len(row_indices), "rows")
    index = build_index(DEFAULT_INDEX, source.rows, source.spans, progress.advance)
    progress.finish()
    with replacing(path) as temporary:
        index.save(temporary)
    exact = ExactIndex(source.rows, source.spans, keep=False)
    recall = measure_recall(index, exact, source.rows, row_indices, source.k)
    sha256 = sha256_file(path, CaptionError)
    return IndexPart(len(row_indices), path.stat().st_size, index.parameters, recall, sha256)


def _open(folder: Path, source: _Source, adapter: str, part: IndexPart) -> RowIndex:
    if not part.rows:
        return ExactIndex(source.rows, source.spans)
    path = folder / source.name
    if not _is_whole(path, part):
        raise CaptionError(
            f"the approximate index {path} is missing, cut short or altered; run: "
            f"lagotto captions index {folder.parent}"
        )
    return open_index(adapter, path, source.rows, source.spans)


def _is_whole(path: Path, part: IndexPart) -> bool:
    """Whether the file of the index is as it was written; a library may crash on any other.

    An index of an older version has no checksum: it is made anew.
    """
    if not part.rows:
        return True
    is_complete = path.is_file() and path.stat().st_size == part.bytes
    return is_complete and sha256_file(path, CaptionError) == part.sha256


def _read(path: Path) -> IndexRecord | None:
    """The record in a file; None if there is none, or not one of this format version."""
    if not path.is_file():
        return None
    try:
        row = read_json(path, "caption index", CaptionError)
        if row["format"] != _FORMAT or row["version"] != _VERSION:
            return None
        return record_of_json(row)
    except (CaptionError, KeyError, TypeError, ValueError):
        return None
