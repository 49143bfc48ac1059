"""Picture files come in; pixels for the encoder and the models go out.

Each picture is read and decoded once. Pixels for models are written to files, one a pixel format,
which worker processes map into memory. Pixels for the encoder stay in the memory of this process.
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

ImageReader: TypeAlias = Callable[[], bytes]
"""A function that returns the bytes of a picture's file, or raises PictureError."""


@dataclass(frozen=True, slots=True)
class PixelFile:
    """Pixels of pictures in one format: a file of uint8 without a header, and the array's shape."""

    file: Path
    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        """The number of pictures."""
        return self.shape[0]

    def array(self) -> UInt8[np.ndarray, "pictures height width channels"]:
        """The pixels as a read-only memory map."""
        if not len(self):
            return np.empty(self.shape, np.uint8)
        return np.memmap(self.file, np.uint8, "r", shape=self.shape)


@dataclass(frozen=True, slots=True)
class PixelBatch:
    """Some pictures by their position in the query: the row of each, or why it could not be read.

    `encoder_pixels` has the new rows in the encoder's format, `pixels` in every format that was
    requested. Rows are counted over all batches with the same `SeenImages`; earlier rows are in
    earlier batches.
    """

    rows: Mapping[int, int]
    unreadable: Mapping[int, str]
    encoder_pixels: UInt8[np.ndarray, "new height width channels"]
    pixels: Mapping[PixelSpec, PixelFile]

    @property
    def new(self) -> int:
        """The number of new rows."""
        return len(self.encoder_pixels)

    def discard(self) -> None:
        """Removes the files."""
        for pixel_file in self.pixels.values():
            pixel_file.file.unlink(missing_ok=True)


@dataclass(slots=True)
class SeenImages:
    """The row of each image loaded so far, by its size and the digest of its pixels."""

    row_of: dict[tuple[tuple[int, int], bytes], int] = field(default_factory=dict)


class PixelStage:
    """Decodes the pictures of a query into pixel files in a folder and pixels for the encoder."""

    def __init__(
        self, folder: Path, readers: Sequence[ImageReader], encoder_spec: PixelSpec
    ) -> None:
        self._folder = folder
        self._readers = readers
        self._encoder_spec = encoder_spec
        self._numbers = count()

    @property
    def pictures(self) -> int:
        """The number of pictures in the query."""
        return len(self._readers)

    def load(
        self,
        positions: Iterable[int],
        specs: Iterable[PixelSpec],
        limit: int | None = None,
        seen_images: SeenImages | None = None,
    ) -> PixelBatch:
        """Decodes the pictures at some positions, in the order of `positions`.

        Args:
            positions: Positions in the query; an iterator is not read further than needed.
            specs: Pixel formats to write, beside the encoder's.
            limit: New rows at most; None for all.
            seen_images: Earlier images. A picture of the same size and pixels as an earlier one
                gets its row and no new one.

        Raises:
            HubError: The files cannot be written.
        """
        number = next(self._numbers)
        files = {spec: self._folder / f"{number}-{spec.key}.u8" for spec in specs}
        first = len(seen_images.row_of) if seen_images is not None else 0
        rows: dict[int, int] = {}
        unreadable: dict[int, str] = {}
        encoder_bytes = bytearray()
        new = 0
        with ExitStack() as stack, writing(self._folder):
            outputs = {spec: stack.enter_context(file.open("wb")) for spec, file in files.items()}
            for position in positions:
                try:
                    picture = decode_picture(self._readers[position]())
                except PictureError as error:
                    unreadable[position] = str(error)
                    continue
                encoded = np.ascontiguousarray(to_pixels(picture, self._encoder_spec))
                if seen_images is not None:
                    key = picture.size, blake2b(encoded.data, digest_size=20).digest()
                    rows[position] = seen_images.row_of.setdefault(key, first + new)
                else:
                    rows[position] = new
                if rows[position] < first + new:
                    continue
                encoder_bytes += encoded.data
                for spec, file in outputs.items():
                    pixels = encoded if spec == self._encoder_spec else to_pixels(picture, spec)
                    file.write(np.ascontiguousarray(pixels).data)
                new += 1
                if new == limit:
                    break
        shape = (new, *self._encoder_spec.shape)
        pixels_of = {spec: PixelFile(file, (new, *spec.shape)) for spec, file in files.items()}
        encoder_pixels = np.frombuffer(encoder_bytes, np.uint8).reshape(shape)
        return PixelBatch(rows, unreadable, encoder_pixels, pixels_of)

    def embed(self, encoder: Encoder, batch: PixelBatch) -> Float32[np.ndarray, "pictures dim"]:
        """Unit embeddings of the new rows; an empty array for an empty batch."""
        if not batch.new:
            return np.empty((0, encoder.info.dim), np.float32)
        return encoder.embed_pixels(batch.encoder_pixels)
