"""Paths of picture files and folders come in; embeddings, a batch of pictures at a time, go out."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.arguments.pictures import PictureSource, picture_sources
from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import IMAGE_SUFFIXES, decode_picture, to_pixels
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


def picture_files(paths: Sequence[Path]) -> list[Path]:
    """All picture files at the paths: the files themselves, and those under the folders, by name.

    Hidden files are skipped and links to folders are not followed.

    Args:
        paths: Files and folders.

    Returns:
        The files, in the order of `paths`; those of one folder sorted.

    Raises:
        UsageError: A path does not exist, or a folder holds no picture.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            folder_files = sorted(_under(path))
            if not folder_files:
                raise UsageError(f"no pictures in {path}; give a folder or file that holds some")
            files.extend(folder_files)
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(f"no pictures at {path}: no such file or folder; check the path")
    if not files:
        raise UsageError("no pictures given; give at least one file or folder")
    return files


def _under(folder: Path) -> Iterator[Path]:
    for parent, subfolders, files in os.walk(folder, onerror=_refuse_folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(parent, name)


def _refuse_folder(error: OSError) -> None:
    raise UsageError(
        f"cannot read the folder {error.filename}: {error.strerror}; check its permissions"
    ) from error


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
