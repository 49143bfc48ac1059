"""Stage 1 of zero-shot classification, of the query: files and folders → batches of pictures."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import IMAGE_SUFFIXES, decode_picture, read_picture_file, to_pixels
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder


@dataclass(frozen=True, slots=True)
class PictureBatch:
    """Some pictures in order: `rows` has the row of `embeddings` of each, or why it has none."""

    paths: tuple[str, ...]
    rows: tuple[int | Skipped, ...]
    embeddings: Float32[np.ndarray, "readable dim"]


def picture_files(given: Sequence[Path]) -> list[Path]:
    """The files given, and every picture file under the folders given, by name.

    Hidden files are skipped and folder links not followed. UsageError for what is not there, or a
    folder without a picture.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(_under(path))
            if not inside:
                raise UsageError(f"no pictures in {path}; give a folder or file that holds some")
            found.extend(inside)
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"no pictures at {path}: no such file or folder; check the path")
    if not found:
        raise UsageError("no pictures given; give at least one file or folder")
    return found


def _under(folder: Path) -> Iterator[Path]:
    for place, subfolders, files in os.walk(folder, onerror=_refuse_folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(place, name)


def _refuse_folder(error: OSError) -> None:
    raise UsageError(
        f"cannot read the folder {error.filename}: {error.strerror}; check its permissions"
    ) from error


def embed_files(encoder: Encoder, paths: Iterable[Path], batch: int) -> Iterator[PictureBatch]:
    """The pictures, `batch` at a time, so that memory does not grow with their number."""
    waiting: list[Path] = []
    for path in paths:
        waiting.append(path)
        if len(waiting) == batch:
            yield _embed(encoder, waiting)
            waiting = []
    if waiting:
        yield _embed(encoder, waiting)


def _embed(encoder: Encoder, paths: Sequence[Path]) -> PictureBatch:
    rows: list[int | Skipped] = []
    pixels: list[UInt8[np.ndarray, "height width channels"]] = []
    for path in paths:
        try:
            picture = decode_picture(read_picture_file(path))
        except PictureError as error:
            rows.append(Skipped(printed(path), str(error)))
            continue
        rows.append(len(pixels))
        pixels.append(to_pixels(picture, encoder.info.pixels))
    if pixels:
        embeddings = encoder.embed_pixels(np.stack(pixels))
    else:
        embeddings = np.empty((0, encoder.info.dim), np.float32)
    return PictureBatch(tuple(printed(path) for path in paths), tuple(rows), embeddings)


def printed(path: Path) -> str:
    """The path as text that can be printed, also where its bytes are not UTF-8."""
    return str(path).encode("utf-8", "replace").decode("utf-8")
