"""Paths of picture files and folders come in; embeddings, a batch of pictures at a time, go out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.arguments.pictures import PictureSource, picture_sources, printed
from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.sources.count import SourceCount, add_counts, told
from lagotto.core.sources.folder import OUTSIDE, list_pictures
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder


@dataclass(frozen=True, slots=True)
class PictureBatch:
    """Some pictures in order.

    `rows` has one entry a picture: its row of `embeddings`, or why it could not be read.
    """

    paths: tuple[str, ...]
    rows: tuple[int | Skipped, ...]
    embeddings: Float32[np.ndarray, "readable dim"]


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """The picture files at some paths, in order.

    `skipped` are pictures that are not read, with the reason, and `passed_over` is the number of
    other files in the folders by kind.
    """

    files: tuple[Path, ...]
    skipped: tuple[Skipped, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def count(self, unreadable: int) -> SourceCount:
        """The count of all files, once it is known how many could not be read."""
        skipped = unreadable + len(self.skipped)
        return SourceCount(len(self.files) - unreadable, skipped, self.passed_over)


def find_picture_files(paths: Sequence[Path]) -> PictureFiles:
    """All picture files at the paths: the files themselves, and those under the folders, by name.

    A file in a folder is a picture by its ending or, where that says nothing, by its first bytes.
    Hidden files are passed over and links to folders are not followed.

    Args:
        paths: Files and folders.

    Returns:
        The files, in the order of `paths`; those of one folder sorted.

    Raises:
        UsageError: A path does not exist, or a folder holds no picture.
    """
    files: list[Path] = []
    skipped: list[Skipped] = []
    passed_over: list[Mapping[str, int]] = []
    for path in paths:
        if path.is_dir():
            listing = list_pictures(path, UsageError)
            if not listing.pictures:
                held = told(SourceCount(0, len(listing.outside), listing.passed_over))
                raise UsageError(
                    f"no pictures in {path}; give a folder or file that holds some{held}"
                )
            files.extend(listing.pictures)
            skipped.extend(Skipped(printed(file), OUTSIDE) for file in listing.outside)
            passed_over.append(listing.passed_over)
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(f"no pictures at {path}: no such file or folder; check the path")
    if not files:
        raise UsageError("no pictures given; give at least one file or folder")
    return PictureFiles(tuple(files), tuple(skipped), add_counts(passed_over))


def embed_files(encoder: Encoder, paths: Iterable[Path], batch: int) -> Iterator[PictureBatch]:
    """Reads and embeds files; see `embed_sources`."""
    return embed_sources(encoder, (source for p in paths for source in picture_sources(p)), batch)


def embed_sources(
    encoder: Encoder, pictures: Iterable[PictureSource], batch: int
) -> Iterator[PictureBatch]:
    """Reads and embeds pictures, `batch` at a time: memory does not grow with their number."""
    pending: list[PictureSource] = []
    for picture in pictures:
        pending.append(picture)
        if len(pending) == batch:
            yield _embed(encoder, pending)
            pending = []
    if pending:
        yield _embed(encoder, pending)


def _embed(encoder: Encoder, pictures: Sequence[PictureSource]) -> PictureBatch:
    rows: list[int | Skipped] = []
    pixels: list[UInt8[np.ndarray, "height width channels"]] = []
    for source in pictures:
        try:
            picture = decode_picture(source.read())
        except PictureError as error:
            rows.append(Skipped(source.name, str(error)))
            continue
        rows.append(len(pixels))
        pixels.append(to_pixels(picture, encoder.info.pixels))
    if pixels:
        embeddings = encoder.embed_pixels(np.stack(pixels))
    else:
        embeddings = np.empty((0, encoder.info.dim), np.float32)
    return PictureBatch(tuple(source.name for source in pictures), tuple(rows), embeddings)
