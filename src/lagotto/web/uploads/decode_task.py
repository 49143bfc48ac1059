"""A picture file of a stranger comes in; plain pixels, or a small picture, go out to a file.

This runs in a worker process alone, which is cut off from the network and from other files.
"""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from lagotto.core.errors import PictureError
from lagotto.core.images import decode_picture, read_picture_file
from lagotto.core.types import JsonObject

MAX_KEPT_PIXELS = 20_000_000
"""Pixels of a picture as it is kept; a larger one is made smaller."""

_WEBP_QUALITY = 82


def decode_upload(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Decodes one picture and writes its pixels as a plain PPM file.

    Args:
        payload: "source" is the file to read, "out" the file to write.
        progress: Not used: one picture is one step.

    Returns:
        {"width", "height"}, or {"refused": why it is no picture that is read}.
    """
    try:
        picture = decode_picture(read_picture_file(Path(str(payload["source"]))))
    except PictureError as error:
        return {"refused": str(error)}
    pixels = picture.width * picture.height
    if pixels > MAX_KEPT_PIXELS:
        share = (MAX_KEPT_PIXELS / pixels) ** 0.5
        size = max(1, int(picture.width * share)), max(1, int(picture.height * share))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    picture.save(Path(str(payload["out"])), format="PPM")
    return {"width": picture.width, "height": picture.height}


def shrink_picture(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Writes a small WEBP of a picture.

    Args:
        payload: "source" is the file to read, "out" the file to write, "edge" the pixels of the
            longest side at most.
        progress: Not used.

    Returns:
        {"width", "height"}, or {"refused": why it is no picture that is read}.
    """
    try:
        picture = decode_picture(read_picture_file(Path(str(payload["source"]))))
    except PictureError as error:
        return {"refused": str(error)}
    edge = int(str(payload["edge"]))
    picture.thumbnail((edge, edge))
    picture.save(Path(str(payload["out"])), format="WEBP", quality=_WEBP_QUALITY, method=2)
    return {"width": picture.width, "height": picture.height}
