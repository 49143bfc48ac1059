"""Stage 1 of zero-shot classification: image-text pairs → a folder of embeddings and texts.

STORE/captions.json        the manifest: format, version, encoder, dim, dtype
STORE/shards.jsonl         one line a shard: totals, lengths of the files below, digests
STORE/*.f16 *.i64 *.utf8   rows in the order of their coming; see docs/captions.md
"""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Int64, UInt8

from lagotto.core.errors import CaptionError, LagottoError, UsageError
from lagotto.core.files import writing
from lagotto.core.lock import LOCK_NAME, folder_lock
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import EncoderInfo, Skipped
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import measure_canary, watched
from lagotto.encoders.registry import lasting_spec, load_encoder
from lagotto.zeroshot.captions import files as files
from lagotto.zeroshot.captions.estimate import Needs, judge_needs
from lagotto.zeroshot.captions.ingest import (
    IntakeReport,
    ShardLimits,
    take_in,
)
from lagotto.zeroshot.captions.manifest import (
    RESTORE,
    STORE_MANIFEST,
    CaptionManifest,
    read_store_manifest,
    write_store_manifest,
)
from lagotto.zeroshot.captions.sources.registry import find_sources


class CaptionStore:
    """A folder of captioned pictures; open it with `CaptionStore.open`, make one with `create`.

    A view of what the store held when it was opened: what is added later, also by `add`, is in
    the view that is opened next. Arrays are memory-mapped.
    """

    def __init__(
        self,
        folder: Path,
        manifest: CaptionManifest,
        committed: files.Committed,
        encoder: Encoder | str | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.committed = committed
        self._encoder_given = encoder

    @classmethod
    def create(
        cls,
        folder: Path | str,
        pairs: Sequence[Path | str],
        encoder: Encoder | str,
        *,
        images: Path | None = None,
        progress: Progress | None = None,
        announce: Callable[[Needs], None] | None = None,
    ) -> "CaptionStore":
        """Makes a store of the pairs at some paths (see caption_sources for their kinds).

        `images` holds the pictures of a COCO file; `announce` is told what the work will need.
        Raises UsageError if the folder exists, CaptionError where no pair is usable: no folder is
        left then. A run that was cut off is continued by `add`.
        """
        empty = cls.begin(folder, encoder)
        empty.fill(pairs, images=images, progress=progress, announce=announce)
        return cls.open(empty.folder, empty.encoder)

    @classmethod
    def begin(cls, folder: Path | str, encoder: Encoder | str) -> "CaptionStore":
        """A new store without captions, for one encoder; UsageError if the folder has content."""
        folder = Path(folder)
        if (folder / STORE_MANIFEST).exists():
            raise UsageError(
                f"caption store {folder} exists already; to add to it, or to go on after a run "
                f"that was cut off: lagotto captions add {folder} --pairs PAIRS"
            )
        if folder.is_symlink() or (folder.exists() and not _is_empty(folder)):
            raise UsageError(f"{folder} exists already; choose another name, or delete it first")
        spec = lasting_spec(encoder) if isinstance(encoder, str) else encoder.info.name
        loaded = load_encoder(spec) if isinstance(encoder, str) else encoder
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        info = loaded.info
        canary = measure_canary(loaded).as_json()
        manifest = CaptionManifest(spec, info.name, info.fingerprint, info.dim, canary)
        write_store_manifest(folder, manifest)
        return cls(folder, manifest, files.Committed(), loaded)

    @classmethod
    def open(cls, folder: Path | str, encoder: Encoder | str | None = None) -> "CaptionStore":
        """An existing store, also one whose making was cut off: whole shards are there.

        The encoder is loaded when it is needed, from where it was at first; give `encoder` where
        it has moved. Raises CaptionError for a folder that is no store, damaged, or newer.
        """
        folder = Path(folder)
        manifest = read_store_manifest(folder)
        states = files.read_log(folder)
        return cls(folder, manifest, states[-1] if states else files.Committed(), encoder)

    def fill(
        self,
        pairs: Sequence[Path | str],
        *,
        images: Path | None = None,
        progress: Progress | None = None,
        announce: Callable[[Needs], None] | None = None,
    ) -> IntakeReport:
        """The first `add` to a store just begun: an error that leaves it empty removes it."""
        try:
            return self.add(pairs, images=images, progress=progress, announce=announce)
        except LagottoError:
            if not files.read_log(self.folder):
                _remove(self.folder)
            raise

    def add(
        self,
        pairs: Sequence[Path | str],
        encoder: Encoder | str | None = None,
        *,
        images: Path | None = None,
        progress: Progress | None = None,
        announce: Callable[[Needs], None] | None = None,
    ) -> IntakeReport:
        """Adds what is new at some paths; `open` the store again to see it.

        A caption that its picture has already is folded, so the same call continues a run that was
        cut off. More captions of a stored picture make a second row of that picture. Raises
        UsageError for a path that is no source, CaptionError where no pair is usable, MismatchError
        for another encoder.
        """
        if not pairs:
            raise UsageError("no pairs given; give a folder or file with captions by --pairs")
        found = [source for path in pairs for source in find_sources(Path(path), images)]
        if encoder is not None:
            self._encoder_given = encoder
            self.__dict__.pop("encoder", None)
        for source in found:
            if source.check is not None:
                source.check(self.encoder)
        with folder_lock(self.folder, "caption store", CaptionError):
            needs = judge_needs(self.folder, found, self.encoder.info, self.committed.captions)
            if announce is not None:
                announce(needs)
            needs.check(self.folder)
            return take_in(self.folder, found, self.encoder, progress or Silent(), ShardLimits())

    @cached_property
    def encoder(self) -> Encoder:
        """The store's encoder, checked against its fingerprint, and when used its canary."""
        given = self._encoder_given or self.manifest.encoder_spec
        loaded = load_encoder(given) if isinstance(given, str) else given
        self.check_encoder(loaded.info)
        return self.watch(loaded)

    def check_encoder(self, info: EncoderInfo) -> None:
        """Raises MismatchError, naming both, unless this encoder made the store."""
        self.manifest.check_encoder(self.folder, info)

    def watch(self, encoder: Encoder) -> Encoder:
        """The encoder held to the store's canary: MismatchError if it does otherwise now."""
        return watched(encoder, self.manifest.canary, f"caption store {self.folder}")

    @property
    def pictures(self) -> int:
        """Rows of pictures."""
        return self.committed.pictures

    @property
    def captions(self) -> int:
        """Captions, with a picture or without."""
        return self.committed.captions

    @property
    def digest(self) -> str:
        """Identifies everything in the store, in order; of an empty one it is empty."""
        return self.committed.chain

    @cached_property
    def image_embeddings(self) -> Float16[np.ndarray, "pictures dim"]:
        """Unit embeddings of the pictures, rounded to float16."""
        return self._mapped(files.IMAGE_EMBEDDINGS, "<f2", self.pictures, self.manifest.dim)

    @cached_property
    def text_embeddings(self) -> Float16[np.ndarray, "captions dim"]:
        """Unit embeddings of the captions, rounded to float16."""
        return self._mapped(files.TEXT_EMBEDDINGS, "<f2", self.captions, self.manifest.dim)

    @cached_property
    def picture_digests(self) -> UInt8[np.ndarray, "pictures 32"]:
        """The sha256 of each picture's file; of an adopted picture, of its embedding."""
        return self._mapped(files.DIGESTS, "u1", self.pictures, 32)

    @cached_property
    def starts(self) -> Int64[np.ndarray, " pictures_plus_1"]:
        """First caption of each picture, and one past the last caption that has a picture."""
        last = self._spans[-1, 1] if self.pictures else 0
        return np.append(self._spans[:, 0], last).astype(np.int64)

    @property
    def ends(self) -> Int64[np.ndarray, " pictures"]:
        """One past the last caption of each picture.

        It is the next start but where captions without a picture were added in between.
        """
        return self._spans[:, 1]

    def owners(self, indices: Sequence[int]) -> Int64[np.ndarray, " captions"]:
        """The picture of each caption, -1 for a caption without one."""
        wanted = np.asarray(indices, np.int64)
        if not self.pictures:
            return np.full(len(wanted), -1, np.int64)
        found = np.searchsorted(self.starts[:-1], wanted, side="right") - 1
        owned = (found >= 0) & (wanted < self.ends[found])
        return np.where(owned, found, -1).astype(np.int64)

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The captions as they were written, without space around them."""
        return self._strings(files.TEXTS, files.TEXT_ENDS, indices)

    def sources(self, indices: Sequence[int]) -> list[str]:
        """Where each caption is from: its picture's name, or its place in a file of texts."""
        return self._strings(files.SOURCES, files.SOURCE_ENDS, indices)

    def skipped(self) -> list[Skipped]:
        """What was left out by all runs, and why."""
        path = self.folder / files.SKIPPED
        if not self.committed.skipped:
            return []
        try:
            with path.open("rb") as file:
                lines = file.read(self.committed.lengths[files.SKIPPED]).splitlines()
            rows = [json.loads(line) for line in lines]
            return [Skipped(str(row["source"]), str(row["reason"])) for row in rows]
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise CaptionError(f"cannot read {path}: {type(error).__name__}; {RESTORE}") from error

    def verify(self) -> list[str]:
        """One line for each shard that is damaged; empty if every byte is as it was written."""
        return list(files.damaged_shards(self.folder))

    @cached_property
    def _spans(self) -> Int64[np.ndarray, "pictures 2"]:
        return self._mapped(files.SPANS, "<i8", self.pictures, 2)

    def _mapped(self, name: str, dtype: str, *shape: int) -> np.ndarray[Any, np.dtype[Any]]:
        return files.mapped(self.folder, name, dtype, shape)

    def _strings(self, name: str, ends_name: str, indices: Sequence[int]) -> list[str]:
        """Texts by their numbers; UsageError for a number that no caption has."""
        wrong = [index for index in indices if not 0 <= index < self.captions]
        if wrong:
            raise UsageError(
                f"caption {wrong[0]} is not in {self.folder}; it has 0 to {self.captions - 1}"
            )
        ends = self._mapped(ends_name, "<i8", self.captions)
        data = self._mapped(name, "u1", self.committed.lengths[name])
        spans = [(int(ends[i - 1]) if i else 0, int(ends[i])) for i in indices]
        return [data[start:end].tobytes().decode("utf-8", "replace") for start, end in spans]


def _is_empty(folder: Path) -> bool:
    """True for a folder that holds at most what a killed `begin` leaves."""
    return folder.is_dir() and all(
        path.name == LOCK_NAME or path.name.startswith(f".{STORE_MANIFEST}.")
        for path in folder.iterdir()
    )


def _remove(folder: Path) -> None:
    """Takes away a store that has nothing in it."""
    for name in (*files.DATA_NAMES, files.LOG_NAME, STORE_MANIFEST, LOCK_NAME):
        (folder / name).unlink(missing_ok=True)
    if _is_empty(folder):
        folder.rmdir()
