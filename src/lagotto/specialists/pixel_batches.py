"""Pictures of a query → the pixels that encoder and models take: each is read and decoded once.

Pixels for models lie in files, one for each form that is wanted, which worker processes map; those
for the encoder, which runs here, stay in memory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.errors import PictureError
from lagotto.core.files import writing
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.types import PixelSpec
from lagotto.encoders.base import Encoder

Read: TypeAlias = Callable[[], bytes]
"""Gives the bytes of a picture's file, or raises PictureError."""


@dataclass(frozen=True, slots=True)
class PixelFile:
    """Pictures in one form: a file of plain uint8, without a header, and the shape of it all."""

    file: Path
    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        """How many pictures."""
        return self.shape[0]

    def array(self) -> UInt8[np.ndarray, "pictures height width channels"]:
        """The pictures, mapped, read only."""
        if not len(self):
            return np.empty(self.shape, np.uint8)
        return np.memmap(self.file, np.uint8, "r", shape=self.shape)


@dataclass(frozen=True, slots=True)
class PixelBatch:
    """Some pictures by their place in the query: the row of each, or why it could not be read.

    `own` has the new rows in the encoder's form, `pixels` in every form that was wanted; those
    before them were shown earlier, to the same `SeenImages`.
    """

    rows: Mapping[int, int]
    unreadable: Mapping[int, str]
    own: UInt8[np.ndarray, "new height width channels"]
    pixels: Mapping[PixelSpec, PixelFile]

    @property
    def new(self) -> int:
        """How many rows are new."""
        return len(self.own)

    def discard(self) -> None:
        """Removes the files."""
        for each in self.pixels.values():
            each.file.unlink(missing_ok=True)


@dataclass(slots=True)
class SeenImages:
    """What was shown so far: the row of each picture by its size and the digest of its pixels."""

    row_of: dict[tuple[tuple[int, int], bytes], int] = field(default_factory=dict)


class PixelStage:
    """Where pictures are laid out: a folder, the encoder's form, and how a picture is read."""

    def __init__(self, folder: Path, reads: Sequence[Read], own: PixelSpec) -> None:
        self._folder = folder
        self._reads = reads
        self._own = own
        self._numbers = count()

    @property
    def pictures(self) -> int:
        """How many pictures the query has."""
        return len(self._reads)

    def look(
        self,
        places: Iterable[int],
        specs: Iterable[PixelSpec],
        most: int | None = None,
        shown: SeenImages | None = None,
    ) -> PixelBatch:
        """The pictures at these places, in the encoder's form and all of `specs`, rows in order.

        No more are taken from `places` once there are `most` new rows. With `shown`, a picture of
        the same size and pixels as an earlier one has that one's row. HubError on a full disk.
        """
        number = next(self._numbers)
        files = {spec: self._folder / f"{number}-{spec.key}.u8" for spec in specs}
        first = len(shown.row_of) if shown is not None else 0
        rows: dict[int, int] = {}
        unreadable: dict[int, str] = {}
        owns = bytearray()
        new = 0
        with ExitStack() as stack, writing(self._folder):
            out = {spec: stack.enter_context(file.open("wb")) for spec, file in files.items()}
            for place in places:
                try:
                    picture = decode_picture(self._reads[place]())
                except PictureError as error:
                    unreadable[place] = str(error)
                    continue
                own = np.ascontiguousarray(to_pixels(picture, self._own))
                if shown is not None:
                    key = picture.size, blake2b(own.data, digest_size=20).digest()
                    rows[place] = shown.row_of.setdefault(key, first + new)
                else:
                    rows[place] = new
                if rows[place] < first + new:
                    continue
                owns += own.data
                for spec, file in out.items():
                    pixels = own if spec == self._own else to_pixels(picture, spec)
                    file.write(np.ascontiguousarray(pixels).data)
                new += 1
                if new == most:
                    break
        own_rows = np.frombuffer(owns, np.uint8).reshape(new, *self._own.shape)
        pixels_of = {spec: PixelFile(file, (new, *spec.shape)) for spec, file in files.items()}
        return PixelBatch(rows, unreadable, own_rows, pixels_of)

    def embed(self, encoder: Encoder, looked: PixelBatch) -> Float32[np.ndarray, "pictures dim"]:
        """Unit embeddings of the new rows, also of no picture at all."""
        if not looked.new:
            return np.empty((0, encoder.info.dim), np.float32)
        return encoder.embed_pixels(looked.own)
