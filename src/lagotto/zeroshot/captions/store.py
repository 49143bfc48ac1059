"""Image-text pairs come in; a store of their embeddings and texts goes out, wherever it lies."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from lagotto.core.arguments.one_or_many import OnePathOrMany, as_paths
from lagotto.core.devices.placement import CPU, check_device
from lagotto.core.errors import LagottoError, UsageError
from lagotto.core.files import sha256_file
from lagotto.core.progress import Progress, Silent
from lagotto.core.temporary.closing import Closing
from lagotto.core.types import EncoderInfo, Skipped
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import measure_canary, with_canary_check
from lagotto.encoders.registry import lasting_spec, load_encoder
from lagotto.neighbors.base import RowIndex, StoredRows
from lagotto.zeroshot.captions.estimate import Needs, estimate_needs
from lagotto.zeroshot.captions.ingest import IntakeReport, ShardLimits, ingest_pairs
from lagotto.zeroshot.captions.manifest import CaptionManifest
from lagotto.zeroshot.captions.place import ServerAddress
from lagotto.zeroshot.captions.repair import RepairReport, repair_store
from lagotto.zeroshot.captions.sources.pairs import PairSource
from lagotto.zeroshot.captions.sources.registry import find_all
from lagotto.zeroshot.captions.storage.base import CaptionStorage, StoreContent, StoreWriter
from lagotto.zeroshot.captions.storage.places import folder_of, storage_at
from lagotto.zeroshot.nearest import StorePart


class CaptionStore(Closing):
    """A store of captioned pictures: `create` makes one, `open` opens an existing one.

    It lies in a folder, or on a server with PostgreSQL, at an address such as
    `postgresql://USER@HOST/DATABASE?store=NAME`; it holds and says the same in both.

    An object shows what the store held when it was opened. Captions that are added later, also by
    its own `add`, appear when the store is opened again. The arrays of a folder are memory-mapped;
    rows on a server are fetched where they are asked for.

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
        storage: CaptionStorage,
        content: StoreContent,
        encoder: Encoder | str | None = None,
        device: str = CPU,
    ) -> None:
        self._device = check_device(device)
        self.storage = storage
        self.manifest = content.manifest
        self.committed = content.committed
        self._all = content
        self._encoder_given = encoder
        self._encoder: Encoder | None = None
        self._closed = False
        self._lock = threading.RLock()

    def close(self) -> None:
        """Lets files, connections and the encoder go; reading afterwards is a UsageError."""
        with self._lock:
            self._closed = True
            self._encoder = None
            for name in ("picture_digests", "starts", "_spans"):
                self.__dict__.pop(name, None)
            self._all.close()

    def __repr__(self) -> str:
        name = repr(self.name)
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
        return isinstance(item, str) and self.content.has_text(item)

    @classmethod
    def create(
        cls,
        folder: Path | str | ServerAddress,
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
            folder: The folder to make, which must not exist yet or be empty, or the address of a
                server.
            pairs: One or many files and folders with captions (see `sources.registry`).
            encoder: An encoder, or the folder of one.
            images: The folder with the pictures that a table names. [default: looked for]
            text_only: Take captions alone, also where pictures lie with them.
            progress: Receives the progress of the work.
            announce: Called with what the work will need, before it starts.

        Raises:
            UsageError: The folder exists, or a path holds no captions.
            CaptionError: No pair was usable; no store is left then.
            MissingExtraError: An address was given, and the extra `postgres` is not installed.
        """
        sources = as_paths(pairs, "pairs")  # before a folder is made
        empty = cls.begin(folder, encoder)
        empty.fill(
            sources, images=images, text_only=text_only, progress=progress, announce=announce
        )
        encoder = empty.encoder
        empty.close()
        return cls(empty.storage, empty.storage.read(), encoder)

    @classmethod
    def begin(
        cls, folder: Path | str | ServerAddress, encoder: Encoder | str, device: str = CPU
    ) -> "CaptionStore":
        """Makes a store without captions, for one encoder, which runs on a device.

        Raises:
            UsageError: The folder exists and is not empty, the server has such a store, or the
                device is not there.
            CaptionError: Another process makes a store there, or the server refuses to.
        """
        storage = storage_at(folder)
        storage.check_free()
        spec = lasting_spec(encoder) if isinstance(encoder, str) else encoder.info.name
        loaded = load_encoder(spec, device=device) if isinstance(encoder, str) else encoder
        info, canary = loaded.info, measure_canary(loaded).as_json()
        storage.begin(CaptionManifest(spec, info.name, info.fingerprint, info.dim, canary))
        return cls(storage, storage.read(), loaded, device)

    @classmethod
    def open(
        cls,
        folder: Path | str | ServerAddress,
        encoder: Encoder | str | None = None,
        device: str = CPU,
    ) -> "CaptionStore":
        """Opens an existing store, also one whose making was cut off: its whole shards are used.

        Args:
            folder: The store's folder, or its address on a server.
            encoder: Where the encoder is now, if it has moved. It is loaded when it is needed.
            device: Where the encoder runs, unless it is given loaded: `cpu`, `cuda`, `cuda:N`, or
                `auto`, a GPU where one can be used.

        Raises:
            CaptionError: There is no store, it is damaged or has a newer format, or the server
                cannot be reached.
            MissingExtraError: An address was given, and the extra `postgres` is not installed.
        """
        check_device(device)
        storage = storage_at(folder)
        return cls(storage, storage.read(), encoder, device)

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
        with self.storage.write() as writer:
            try:
                return self._add(writer, find_all(pairs, images, text_only), progress, announce)
            except LagottoError:
                writer.remove_if_empty()
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
        with self.storage.write() as writer:
            return self._add(writer, find_all(pairs, images, text_only), progress, announce)

    def _add(
        self,
        writer: StoreWriter,
        sources: Sequence[PairSource],
        progress: Progress | None,
        announce: Callable[[Needs], None] | None,
    ) -> IntakeReport:
        encoder, progress = self.encoder, progress or Silent()
        for source in sources:
            if source.check is not None:
                source.check(encoder)
        needs = estimate_needs(writer.free_bytes(), sources, encoder.info, self.captions)
        if announce is not None:
            announce(needs)
        needs.check(self.name)
        report = ingest_pairs(writer, sources, encoder, progress, ShardLimits())
        return replace(report, index=writer.finish(progress))

    @property
    def encoder(self) -> Encoder:
        """The store's encoder; its fingerprint is checked now, its canary when it is used."""
        with self._lock:
            _ = self.content
            if self._encoder is None:
                given = self._encoder_given or self.manifest.encoder_spec
                loaded = (
                    load_encoder(given, device=self._device) if isinstance(given, str) else given
                )
                self.check_encoder(loaded.info)
                self._encoder = self.watch(loaded)
            return self._encoder

    def check_encoder(self, info: EncoderInfo) -> None:
        """Raises MismatchError, which names both encoders, unless this one made the store."""
        self.manifest.check_encoder(self.name, info)

    def watch(self, encoder: Encoder) -> Encoder:
        """The encoder with a check: MismatchError if it no longer reproduces the store's canary."""
        return with_canary_check(encoder, self.manifest.canary, f"caption store {self.name}")

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

    @property
    def image_embeddings(self) -> StoredRows:
        """Unit embeddings of the pictures, rounded to float16, as an array or fetched by parts."""
        return self.content.image_embeddings

    @property
    def text_embeddings(self) -> StoredRows:
        """Unit embeddings of the captions, rounded to float16, as an array or fetched by parts."""
        return self.content.text_embeddings

    @cached_property
    def picture_digests(self) -> UInt8[np.ndarray, "pictures 32"]:
        """The sha256 of each picture's file; if only its embedding was given, of that."""
        return self.content.read_digests()

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
        return self.content.texts(self._checked(indices))

    def sources(self, indices: Sequence[int]) -> list[str]:
        """Where each caption is from: the name of its picture, or its line in a file of texts."""
        return self.content.sources(self._checked(indices))

    def skipped(self) -> list[Skipped]:
        """All rows that were left out, by all runs, each with its reason."""
        return self.content.skipped()

    def own_search(self, part: StorePart) -> RowIndex | None:
        """The search of a server over a part of the rows; None for a store in a folder."""
        return self.content.own_search(part)

    def verify(self) -> list[str]:
        """Reads everything and returns one line for each damaged shard; empty if none is."""
        return self.storage.verify()

    @staticmethod
    def repair(folder: Path | str) -> RepairReport:
        """Finds the rows again of which a damaged or lost log no longer tells; see `repair_store`.

        Raises CaptionError if the folder is no store, or a data file was cut.
        """
        return repair_store(folder)

    @property
    def name(self) -> str:
        """The folder, or the address without its password."""
        return self.storage.name

    @property
    def folder(self) -> Path:
        """The store's folder; UsageError for a store on a server."""
        return folder_of(self.storage)

    @property
    def content(self) -> StoreContent:
        """What the store held when it was opened; UsageError after `close`."""
        if self._closed:
            raise UsageError(
                f"the caption store {self.name} was closed; open it again: "
                f"CaptionStore.open({self.name!r})"
            )
        return self._all

    @cached_property
    def _spans(self) -> Int64[np.ndarray, "pictures 2"]:
        return self.content.read_spans()

    def _checked(self, indices: Sequence[int]) -> Sequence[int]:
        """The rows of captions; UsageError for a row that no caption has."""
        wrong = [index for index in indices if not 0 <= index < self.captions]
        if wrong:
            raise UsageError(
                f"caption {wrong[0]} is not in {self.name}; it has 0 to {self.captions - 1}"
            )
        return indices
