"""A folder comes in; the caption store in it, read by memory maps and appended to, goes out.

STORE/captions.json        the manifest: format, version, encoder, dim, dtype
STORE/shards.jsonl         one line a shard: totals, lengths of the files below, digests
STORE/*.f16 *.i64 *.utf8   rows in the order of arrival; see docs/how-to/caption-store.md
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Int64, UInt8, UInt64

from lagotto.core.errors import CaptionError, UsageError, unreadable
from lagotto.core.files import writing
from lagotto.core.lock import LOCK_NAME, folder_lock
from lagotto.core.progress import Progress
from lagotto.core.temporary.leftovers import Leftover
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions import files as files
from lagotto.zeroshot.captions.leftovers import (
    find_store_leftovers,
    remove_store_leftovers,
    remove_temporary,
)
from lagotto.zeroshot.captions.manifest import (
    RESTORE,
    STORE_MANIFEST,
    CaptionManifest,
    read_store_manifest,
    write_store_manifest,
)
from lagotto.zeroshot.captions.shard import Shard
from lagotto.zeroshot.nearest import StorePart


class FolderContent:
    """What a folder's store held when it was opened; see `StoreContent`. Arrays are mapped."""

    def __init__(self, folder: Path, manifest: CaptionManifest, committed: files.Committed) -> None:
        self._folder = folder
        self.manifest = manifest
        self.committed = committed

    @cached_property
    def image_embeddings(self) -> Float16[np.ndarray, "pictures dim"]:
        """Unit embeddings of the pictures, rounded to float16."""
        pictures = self.committed.pictures
        return self._mapped(files.IMAGE_EMBEDDINGS, "<f2", pictures, self.manifest.dim)

    @cached_property
    def text_embeddings(self) -> Float16[np.ndarray, "captions dim"]:
        """Unit embeddings of the captions, rounded to float16."""
        captions = self.committed.captions
        return self._mapped(files.TEXT_EMBEDDINGS, "<f2", captions, self.manifest.dim)

    def read_digests(self) -> UInt8[np.ndarray, "pictures 32"]:
        """The sha256 of each picture's file."""
        return self._mapped(files.DIGESTS, "u1", self.committed.pictures, 32)

    def read_spans(self) -> Int64[np.ndarray, "pictures 2"]:
        """The first caption of each picture, and one past its last."""
        spans = self._mapped(files.SPANS, "<i8", self.committed.pictures, 2)
        edges = spans.reshape(-1)  # in the order of the rows: start, end, start, end, ...
        if len(spans) and not (
            edges[0] >= 0 and edges[-1] <= self.committed.captions and (np.diff(edges) >= 0).all()
        ):
            raise CaptionError(f"{self._folder / files.SPANS} was altered; {RESTORE}")
        return spans

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The captions at these rows."""
        return self._strings(files.TEXTS, files.TEXT_ENDS, indices)

    def sources(self, indices: Sequence[int]) -> list[str]:
        """Where the captions at these rows are from."""
        return self._strings(files.SOURCES, files.SOURCE_ENDS, indices)

    def skipped(self) -> list[Skipped]:
        """All rows that were left out, each with its reason."""
        return read_skipped(self._folder, self.committed)

    def has_text(self, text: str) -> bool:
        """Whether a caption reads exactly so."""
        if not self.committed.captions:
            return False
        ends = self._mapped(files.TEXT_ENDS, "<i8", self.committed.captions)
        lengths = np.diff(ends, prepend=0)
        alike = np.flatnonzero(lengths == len(text.encode("utf-8", "replace"))).tolist()
        return any(self.texts([index]) == [text] for index in alike)

    def own_search(self, part: StorePart) -> None:
        """A folder is searched row by row, or by the indexes of `index.py`."""

    def index_record(self) -> None:
        """A folder has no search of its own."""

    def disk_bytes(self) -> int:
        """The bytes of the valid rows and of the log."""
        return sum(self.committed.lengths.values()) + self.committed.log_bytes

    def leftovers(self) -> tuple[Leftover, ...]:
        """What killed runs left."""
        return find_store_leftovers(self._folder, self.committed)

    def kept_in(self) -> Path:
        """The store's folder."""
        return self._folder

    def close(self) -> None:
        """Lets the memory maps go."""
        for name in ("image_embeddings", "text_embeddings"):
            self.__dict__.pop(name, None)

    def _mapped(self, name: str, dtype: str, *shape: int) -> np.ndarray[Any, np.dtype[Any]]:
        return files.mapped(self._folder, name, dtype, shape)

    def _strings(self, name: str, ends_name: str, indices: Sequence[int]) -> list[str]:
        ends = self._mapped(ends_name, "<i8", self.committed.captions)
        data = self._mapped(name, "u1", self.committed.lengths[name])
        spans = [(int(ends[i - 1]) if i else 0, int(ends[i])) for i in indices]
        return [data[start:end].tobytes().decode("utf-8", "replace") for start, end in spans]


class FolderWriter:
    """A folder's store that this process holds for writing; see `StoreWriter`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recover(self) -> files.Committed:
        """Removes what killed runs left; the state that is added to."""
        before = _last_state(self._folder)
        files.drop_unfinished(self._folder, before)
        remove_temporary(self._folder)
        return before

    def free_bytes(self) -> int:
        """The free space of the folder's disk."""
        return shutil.disk_usage(self._folder).free

    def pair_keys(self, before: files.Committed) -> UInt64[np.ndarray, " captions"]:
        """The keys of the pairs that are stored."""
        return np.array(files.mapped(self._folder, files.PAIRS, "<u8", (before.captions,)))

    def skipped(self, before: files.Committed) -> list[Skipped]:
        """The items that earlier runs set aside."""
        return read_skipped(self._folder, before)

    def append(self, before: files.Committed, shard: Shard) -> files.Committed:
        """Appends a shard and waits until it is on the disk; the state after it."""
        return files.append_shard(self._folder, before, shard.counts, shard.parts(before))

    def finish(self, progress: Progress, afresh: bool = False) -> None:
        """The indexes of a folder are made when they are asked for."""

    def remove_if_empty(self) -> None:
        """Removes the folder, unless it holds captions or anything that is not the store's."""
        if files.read_log(self._folder):
            return
        names = (*files.DATA_NAMES, files.LOG_NAME, files.NOTE_NAME, STORE_MANIFEST, LOCK_NAME)
        for name in names:
            (self._folder / name).unlink(missing_ok=True)
        if _is_empty(self._folder):
            self._folder.rmdir()


class FolderStorage:
    """A folder for one store; see `CaptionStorage`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """The path of the folder."""
        return str(self.folder)

    def check_free(self) -> None:
        """Raises UsageError if the folder exists and is not empty."""
        folder = self.folder
        if (folder / STORE_MANIFEST).exists():
            raise UsageError(exists_already(folder))
        if folder.is_symlink() or (folder.exists() and not _is_empty(folder)):
            raise UsageError(f"{folder} exists already; choose another name, or delete it first")

    def begin(self, manifest: CaptionManifest) -> None:
        """Makes the folder, with a manifest alone."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(self.folder, "caption store", CaptionError):
            self.check_free()
            write_store_manifest(self.folder, manifest)

    def read(self) -> FolderContent:
        """Opens the store, also one whose making was cut off: its whole shards are used."""
        manifest = read_store_manifest(self.folder)
        return FolderContent(self.folder, manifest, _last_state(self.folder))

    @contextmanager
    def write(self) -> Iterator[FolderWriter]:
        """Holds the folder's lock."""
        with folder_lock(self.folder, "caption store", CaptionError):
            yield FolderWriter(self.folder)

    def verify(self) -> list[str]:
        """Reads every file; one line for each damaged shard."""
        read_store_manifest(self.folder)
        return list(files.damaged_shards(self.folder))

    def tidy(self) -> tuple[Leftover, ...]:
        """Removes what killed runs left, unless another process writes to the store."""
        return remove_store_leftovers(self.folder)


def exists_already(place: object) -> str:
    """What to say of a place that holds a store already."""
    return (
        f"caption store {place} exists already; to add to it, or to go on after a run "
        f"that was cut off: lagotto captions add {place} --pairs PAIRS"
    )


def read_skipped(folder: Path, committed: files.Committed) -> list[Skipped]:
    """The rows that were left out up to a state; CaptionError if their file was altered."""
    path = folder / files.SKIPPED
    if not committed.skipped:
        return []
    try:
        with path.open("rb") as file:
            lines = file.read(committed.lengths[files.SKIPPED]).splitlines()
        rows = [json.loads(line) for line in lines]
        return [Skipped(str(row["source"]), str(row["reason"])) for row in rows]
    except PermissionError as error:
        raise unreadable(path, error, CaptionError) from error
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CaptionError(f"cannot read {path}: {type(error).__name__}; {RESTORE}") from error


def _last_state(folder: Path) -> files.Committed:
    states = files.read_log(folder)
    return states[-1] if states else files.Committed()


def _is_empty(folder: Path) -> bool:
    """True for a folder that holds at most what a killed `begin` leaves."""
    return folder.is_dir() and all(
        path.name == LOCK_NAME or path.name.startswith(f".{STORE_MANIFEST}.")
        for path in folder.iterdir()
    )
