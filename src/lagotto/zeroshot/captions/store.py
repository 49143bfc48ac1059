"""Image-text pairs come in; a folder with their embeddings and texts goes out.

STORE/captions.json        the manifest: format, version, encoder, dim, dtype
STORE/shards.jsonl         one line a shard: totals, lengths of the files below, digests
STORE/*.f16 *.i64 *.utf8   rows in the order of arrival; see docs/how-to/caption-store.md
"""

import json
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float16, Int64, UInt8

from lagotto.core.arguments.one_or_many import OnePathOrMany, as_paths
from lagotto.core.errors import CaptionError, LagottoError, UsageError
from lagotto.core.files import sha256_file
from lagotto.core.lock import folder_lock
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import EncoderInfo, Skipped
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import with_canary_check
from lagotto.encoders.registry import load_encoder
from lagotto.zeroshot.captions import files as files
from lagotto.zeroshot.captions.creation import begin_store, remove_empty_store
from lagotto.zeroshot.captions.estimate import Needs, estimate_needs
from lagotto.zeroshot.captions.ingest import (
    IntakeReport,
    ShardLimits,
    ingest_pairs,
)
from lagotto.zeroshot.captions.manifest import (
    RESTORE,
    CaptionManifest,
    read_store_manifest,
)
from lagotto.zeroshot.captions.repair import RepairReport, repair_store
from lagotto.zeroshot.captions.sources.pairs import PairSource
from lagotto.zeroshot.captions.sources.registry import find_all


class CaptionStore:
    """A folder of captioned pictures: `create` makes one, `open` opens an existing one.

    An object shows what the store held when it was opened. Captions that are added later, also by
    its own `add`, appear when the store is opened again. Arrays are memory-mapped.

    `len(store)` is the number of captions; `store.pictures` counts pictures. `text in store` tells
    whether a caption reads exactly so, `Path(file) in store` whether a picture of the same bytes is
    there. A store is a context manager; `close` lets its files and its encoder go.

    Several threads may read one store at once. The encoder is opened by one of them; whoever calls
    it from several threads has to know that it allows that.

    Example:
        >>> with CaptionStore.open("my-captions") as store:  # doctest: +SKIP
        ...     print(len(store), store.texts([0]))
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
        self._encoder: Encoder | None = None
        self._closed = False
        self._lock = threading.RLock()

    def close(self) -> None:
        """Lets memory maps and the encoder go; reading afterwards is a UsageError."""
        with self._lock:
            self._closed = True
            self._encoder = None
            for name in ("image_embeddings", "text_embeddings", "picture_digests", "starts"):
                self.__dict__.pop(name, None)
            self.__dict__.pop("_spans", None)

    def __enter__(self) -> "CaptionStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        name = repr(str(self.folder))
        if self._closed:
            return f"CaptionStore({name}, closed)"
        counts = f"{self.captions} captions, {self.pictures} pictures"
        return f"CaptionStore({name}, {counts}, encoder {self.manifest.encoder_name})"

    def __len__(self) -> int:
        """How many captions, with a picture or without."""
        return self.captions

    def __contains__(self, item: object) -> bool:
        """Whether a str is a caption of the store, word for word, or a Path one of its pictures."""
        if isinstance(item, Path):
            if not item.is_file():
                return False
            digest = np.frombuffer(bytes.fromhex(sha256_file(item, UsageError)), np.uint8)
            return bool((self.picture_digests == digest).all(axis=1).any())
        if not isinstance(item, str) or not self.captions:
            return False
        ends = self._mapped(files.TEXT_ENDS, "<i8", self.captions)
        lengths = np.diff(ends, prepend=0)
        alike = np.flatnonzero(lengths == len(item.encode("utf-8", "replace"))).tolist()
        return any(self.texts([index]) == [item] for index in alike)

    @classmethod
    def create(
        cls,
        folder: Path | str,
        pairs: OnePathOrMany,
        encoder: Encoder | str,
        *,
        images: Path | str | None = None,
        text_only: bool = False,
        progress: Progress | None = None,
        announce: Callable[[Needs], None] | None = None,
    ) -> "CaptionStore":
        """Makes a store from the captioned pictures at some paths.

        If a run is cut off, `add` with the same paths continues it.

        Args:
            folder: The folder to make; it must not exist yet, or be empty.
            pairs: One or many files and folders with captions (see `sources.registry`).
            encoder: An encoder, or the folder of one.
            images: The folder with the pictures that a table names. [default: looked for]
            text_only: Take captions alone, also where pictures lie with them.
            progress: Receives the progress of the work.
            announce: Called with what the work will need, before it starts.

        Raises:
            UsageError: The folder exists, or a path holds no captions.
            CaptionError: No pair was usable; no folder is left then.
        """
        sources = as_paths(pairs, "pairs")  # before a folder is made
        empty = cls.begin(folder, encoder)
        empty.fill(
            sources, images=images, text_only=text_only, progress=progress, announce=announce
        )
        return cls.open(empty.folder, empty.encoder)

    @classmethod
    def begin(cls, folder: Path | str, encoder: Encoder | str) -> "CaptionStore":
        """Makes a store without captions, for one encoder.

        Raises:
            UsageError: The folder exists and is not empty.
            CaptionError: Another process makes a store there.
        """
        folder = Path(folder)
        manifest, loaded = begin_store(folder, encoder)
        return cls(folder, manifest, files.Committed(), loaded)

    @classmethod
    def open(cls, folder: Path | str, encoder: Encoder | str | None = None) -> "CaptionStore":
        """Opens an existing store, also one whose making was cut off: its whole shards are used.

        Args:
            folder: The store's folder.
            encoder: Where the encoder is now, if it has moved. It is loaded when it is needed.

        Raises:
            CaptionError: The folder is no store, is damaged, or has a newer format.
        """
        folder = Path(folder)
        manifest = read_store_manifest(folder)
        states = files.read_log(folder)
        return cls(folder, manifest, states[-1] if states else files.Committed(), encoder)

    def fill(
        self,
        pairs: OnePathOrMany,
        *,
        images: Path | str | None = None,
        text_only: bool = False,
        progress: Progress | None = None,
        announce: Callable[[Needs], None] | None = None,
    ) -> IntakeReport:
        """Adds as `add` does to a store that `begin` made, and removes it if it stays empty.

        If another process writes to the store, that is a CaptionError, and the store stays.
        """
        with folder_lock(self.folder, "caption store", CaptionError):
            try:
                return self._add(find_all(pairs, images, text_only), progress, announce)
            except LagottoError:
                if not files.read_log(self.folder):
                    remove_empty_store(self.folder)
                raise

    def add(
        self,
        pairs: OnePathOrMany,
        encoder: Encoder | str | None = None,
        *,
        images: Path | str | None = None,
        text_only: bool = False,
        progress: Progress | None = None,
        announce: Callable[[Needs], None] | None = None,
    ) -> IntakeReport:
        """Adds the new captions and pictures at some paths; `open` the store again to see them.

        A caption that its picture has already is folded into it, so the same call continues a run
        that was cut off. New captions of a stored picture make a second row of that picture.

        Args:
            pairs: Files and folders with captions.
            encoder: Where the encoder is now, if it has moved.
            images: The folder with the pictures that a table names. [default: looked for]
            text_only: Take captions alone, also where pictures lie with them.
            progress: Receives the progress of the work.
            announce: Called with what the work will need, before it starts.

        Returns:
            Counts of what was added, folded and skipped.

        Raises:
            UsageError: A path holds no captions.
            CaptionError: No pair was usable.
            MismatchError: The encoder is not the one that made the store.
        """
        if encoder is not None:
            with self._lock:
                self._encoder_given, self._encoder = encoder, None
        with folder_lock(self.folder, "caption store", CaptionError):
            return self._add(find_all(pairs, images, text_only), progress, announce)

    def _add(
        self,
        sources: Sequence[PairSource],
        progress: Progress | None,
        announce: Callable[[Needs], None] | None,
    ) -> IntakeReport:
        """Adds to a store that is locked."""
        for source in sources:
            if source.check is not None:
                source.check(self.encoder)
        needs = estimate_needs(self.folder, sources, self.encoder.info, self.committed.captions)
        if announce is not None:
            announce(needs)
        needs.check(self.folder)
        return ingest_pairs(self.folder, sources, self.encoder, progress or Silent(), ShardLimits())

    @property
    def encoder(self) -> Encoder:
        """The store's encoder; its fingerprint is checked now, its canary when it is used."""
        with self._lock:
            self._check_open()
            if self._encoder is None:
                given = self._encoder_given or self.manifest.encoder_spec
                loaded = load_encoder(given) if isinstance(given, str) else given
                self.check_encoder(loaded.info)
                self._encoder = self.watch(loaded)
            return self._encoder

    def check_encoder(self, info: EncoderInfo) -> None:
        """Raises MismatchError, which names both encoders, unless this one made the store."""
        self.manifest.check_encoder(self.folder, info)

    def watch(self, encoder: Encoder) -> Encoder:
        """The encoder with a check: MismatchError if it no longer reproduces the store's canary."""
        return with_canary_check(encoder, self.manifest.canary, f"caption store {self.folder}")

    @property
    def pictures(self) -> int:
        """The number of picture rows."""
        return self.committed.pictures

    @property
    def captions(self) -> int:
        """The number of captions, with a picture or without."""
        return self.committed.captions

    @property
    def digest(self) -> str:
        """Identifies the content of the store and its order; empty for an empty store."""
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
        """The sha256 of each picture's file; if only its embedding was given, of that."""
        return self._mapped(files.DIGESTS, "u1", self.pictures, 32)

    @cached_property
    def starts(self) -> Int64[np.ndarray, " pictures_plus_1"]:
        """First caption of each picture, and one past the last caption that has a picture."""
        last = self._spans[-1, 1] if self.pictures else 0
        return np.append(self._spans[:, 0], last).astype(np.int64)

    @property
    def ends(self) -> Int64[np.ndarray, " pictures"]:
        """One past the last caption of each picture.

        This is the next start, unless captions without a picture were added in between.
        """
        return self._spans[:, 1]

    def owners(self, indices: Sequence[int]) -> Int64[np.ndarray, " captions"]:
        """The picture of each caption, -1 for a caption without one."""
        captions = np.asarray(indices, np.int64)
        if not self.pictures:
            return np.full(len(captions), -1, np.int64)
        pictures = np.searchsorted(self.starts[:-1], captions, side="right") - 1
        has_picture = (pictures >= 0) & (captions < self.ends[pictures])
        return np.where(has_picture, pictures, -1).astype(np.int64)

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The captions at these rows as their authors wrote them, without space around them."""
        return self._strings(files.TEXTS, files.TEXT_ENDS, indices)

    def sources(self, indices: Sequence[int]) -> list[str]:
        """Where each caption is from: the name of its picture, or its line in a file of texts."""
        return self._strings(files.SOURCES, files.SOURCE_ENDS, indices)

    def skipped(self) -> list[Skipped]:
        """All rows that were left out, by all runs, each with its reason."""
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
        """Reads everything and returns one line for each damaged shard; empty if none is."""
        return list(files.damaged_shards(self.folder))

    @staticmethod
    def repair(folder: Path | str) -> RepairReport:
        """Finds the rows again of which a damaged or lost log no longer tells; see `repair_store`.

        Raises CaptionError if the folder is no store, or a data file was cut.
        """
        return repair_store(folder)

    @cached_property
    def _spans(self) -> Int64[np.ndarray, "pictures 2"]:
        return self._mapped(files.SPANS, "<i8", self.pictures, 2)

    def _mapped(self, name: str, dtype: str, *shape: int) -> np.ndarray[Any, np.dtype[Any]]:
        self._check_open()
        return files.mapped(self.folder, name, dtype, shape)

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(
                f"the caption store {self.folder} was closed; open it again: "
                f"CaptionStore.open({str(self.folder)!r})"
            )

    def _strings(self, name: str, ends_name: str, indices: Sequence[int]) -> list[str]:
        """The texts of captions by their row; UsageError for a row that no caption has."""
        wrong = [index for index in indices if not 0 <= index < self.captions]
        if wrong:
            raise UsageError(
                f"caption {wrong[0]} is not in {self.folder}; it has 0 to {self.captions - 1}"
            )
        ends = self._mapped(ends_name, "<i8", self.captions)
        data = self._mapped(name, "u1", self.committed.lengths[name])
        spans = [(int(ends[i - 1]) if i else 0, int(ends[i])) for i in indices]
        return [data[start:end].tobytes().decode("utf-8", "replace") for start, end in spans]
