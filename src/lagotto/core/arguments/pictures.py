"""Paths, PIL pictures and arrays come in; named sources of picture bytes go out, in order."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from lagotto.core.arguments.one_or_many import describe_type, iterate
from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import read_picture_file

AnyPicture: TypeAlias = Path | str | Image.Image | np.ndarray
OnePictureOrMany: TypeAlias = AnyPicture | Iterable[AnyPicture]

_ALLOWED = (
    "give paths, PIL pictures, or uint8 arrays of shape (height, width, 3), (height, width) or "
    "(pictures, height, width, 3)"
)
_AS_PNG = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_AS_TIFF = frozenset({"F", "I", "I;16"})
_STRAIGHT = {"La": "LA", "RGBa": "RGBA"}


@dataclass(frozen=True, slots=True)
class PictureSource:
    """A picture that can be read: its name for messages, and a call that gives its file's bytes.

    `read` raises PictureError where the bytes cannot be had. A picture in memory is given as the
    bytes of a lossless file, so that it is checked and decoded as a file is.
    """

    name: str
    read: Callable[[], bytes]


def picture_sources(pictures: OnePictureOrMany) -> Iterator[PictureSource]:
    """The pictures of an argument that takes one or many, read lazily and in order.

    Args:
        given: A path, a PIL picture, a uint8 array of shape (height, width, 3) or (height, width),
            an array of many pictures of shape (pictures, height, width, 3), or an iterable of
            these. A set is sorted by its texts.

    Returns:
        An iterator; a picture in memory without a file name is named by its number: "picture 0".

    Raises:
        UsageError: At once for an argument of another type; while iterating for an item of another
            type or shape, and at the end if there was no picture at all.
    """
    if isinstance(pictures, AnyPicture):
        return _sources([pictures])
    return _sources(iterate(pictures, "pictures", _ALLOWED))


def _sources(items: Iterable[AnyPicture]) -> Iterator[PictureSource]:
    count = 0
    for item in items:
        for source in _of_item(item, count):
            count += 1
            yield source
    if not count:
        raise UsageError(f"no pictures given; {_ALLOWED}")


def _of_item(item: AnyPicture, number: int) -> Iterator[PictureSource]:
    if isinstance(item, Path | str):
        yield PictureSource(printed(Path(item)), partial(read_picture_file, Path(item)))
    elif isinstance(item, Image.Image):
        name = str(getattr(item, "filename", "") or f"picture {number}")
        yield PictureSource(name, partial(_file_bytes, item))
    elif isinstance(item, np.ndarray):
        for offset, pixels in enumerate(_split(item, number)):
            picture = Image.fromarray(np.ascontiguousarray(pixels))
            yield PictureSource(f"picture {number + offset}", partial(_file_bytes, picture))
    else:
        raise UsageError(f"pictures: item {number} is {describe_type(item)}; {_ALLOWED}")


def _split(array: np.ndarray, number: int) -> Iterable[np.ndarray]:
    """The pictures of an array, one or many; UsageError for another dtype or shape."""
    colour = array.ndim in (3, 4) and array.shape[-1] == 3
    if array.dtype != np.uint8 or not (colour or array.ndim == 2) or 0 in array.shape[-3:]:
        raise UsageError(
            f"pictures: item {number} is an array of {array.dtype} and shape {array.shape}; "
            f"{_ALLOWED}"
        )
    return array if array.ndim == 4 else (array,)


def _file_bytes(picture: Image.Image) -> bytes:
    """A lossless file of a picture, upright as its EXIF says; PictureError says why not."""
    buffer = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(picture)
        straight = _STRAIGHT.get(upright.mode)
        converted = upright.convert(straight) if straight else upright
        if converted.mode in _AS_TIFF:
            converted.save(buffer, format="TIFF")
        else:
            plain = converted if converted.mode in _AS_PNG else converted.convert("RGB")
            plain.save(buffer, format="PNG", compress_level=1)
    except (OSError, ValueError, SyntaxError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise PictureError(f"damaged: {first_line or type(error).__name__}") from error
    return buffer.getvalue()


def printed(path: Path) -> str:
    """The path as text that can be printed, also where its bytes are not UTF-8."""
    return str(path).encode("utf-8", "replace").decode("utf-8")
