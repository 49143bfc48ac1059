"""The protocols of a place where a caption store lies: a folder, or a schema of a database.

A store says the same wherever it lies: the same rows in the same order, the same digest.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from lagotto.core.progress import Progress
from lagotto.core.temporary.leftovers import Leftover
from lagotto.core.types import Skipped
from lagotto.neighbors.base import RowIndex, StoredRows
from lagotto.zeroshot.captions.files import Committed
from lagotto.zeroshot.captions.index_record import IndexRecord
from lagotto.zeroshot.captions.manifest import CaptionManifest
from lagotto.zeroshot.captions.shard import Shard
from lagotto.zeroshot.nearest import StorePart


@runtime_checkable
class StoreContent(Protocol):
    """What a store held when it was opened. Several threads may read it at once."""

    manifest: CaptionManifest
    committed: Committed

    @property
    def image_embeddings(self) -> StoredRows:
        """Unit embeddings of the pictures, as float16."""

    @property
    def text_embeddings(self) -> StoredRows:
        """Unit embeddings of the captions, as float16."""

    def read_spans(self) -> Int64[np.ndarray, "pictures 2"]:
        """The first caption of each picture, and one past its last."""

    def read_digests(self) -> UInt8[np.ndarray, "pictures 32"]:
        """The sha256 of each picture's file."""

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The captions at these rows; the caller has checked that there are such rows."""

    def sources(self, indices: Sequence[int]) -> list[str]:
        """Where the captions at these rows are from."""

    def skipped(self) -> list[Skipped]:
        """All rows that were left out, each with its reason."""

    def has_text(self, text: str) -> bool:
        """Whether a caption reads exactly so."""

    def own_search(self, part: StorePart) -> RowIndex | None:
        """The place's own search over a part of the rows; None if rows are searched one by one."""

    def index_record(self) -> IndexRecord | None:
        """What was measured of the place's own search; None without one."""

    def disk_bytes(self) -> int:
        """The bytes that the store takes."""

    def leftovers(self) -> tuple[Leftover, ...]:
        """What killed runs left."""

    def kept_in(self) -> Path:
        """The folder for what is computed from the store and can be computed again."""

    def close(self) -> None:
        """Lets files and connections go."""


@runtime_checkable
class StoreWriter(Protocol):
    """A store that one process holds for writing."""

    def recover(self) -> Committed:
        """Removes what killed runs left; the state that is added to."""

    def free_bytes(self) -> int | None:
        """The free space of the disk; None where that is not known."""

    def pair_keys(self, before: Committed) -> UInt64[np.ndarray, " captions"]:
        """The keys of the pairs that are stored, see `pair_key`."""

    def skipped(self, before: Committed) -> Iterable[Skipped]:
        """The items that earlier runs set aside."""

    def append(self, before: Committed, shard: Shard) -> Committed:
        """Adds a shard, whole or not at all; the state after it.

        Raises:
            LagottoError: It cannot be written; the store is then as it was before.
        """

    def finish(self, progress: Progress, afresh: bool = False) -> IndexRecord | None:
        """Brings the place's own search up to date, where it has one; what was measured of it.

        `afresh` measures it also after a few rows.
        """

    def remove_if_empty(self) -> None:
        """Removes a store that holds nothing."""


@runtime_checkable
class CaptionStorage(Protocol):
    """A place for one store."""

    @property
    def name(self) -> str:
        """How the place is called, in messages too; without a password."""

    def check_free(self) -> None:
        """Raises UsageError if something lies there already."""

    def begin(self, manifest: CaptionManifest) -> None:
        """Makes a store without captions; UsageError or CaptionError if that is refused."""

    def read(self) -> StoreContent:
        """Opens the store; CaptionError if there is none, or it is damaged or of a newer format."""

    def write(self) -> AbstractContextManager[StoreWriter]:
        """Holds the store for writing; CaptionError at once if another process holds it."""

    def verify(self) -> list[str]:
        """Reads everything; one line for each damaged shard."""

    def tidy(self) -> tuple[Leftover, ...]:
        """Removes what killed runs left, unless another process writes to the store."""
