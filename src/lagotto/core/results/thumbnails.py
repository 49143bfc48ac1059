"""A decoded picture comes in; a small data URI of bounded size, or nothing, goes out."""

import base64
import io

from PIL import Image

THUMBNAIL_SIDE = 72
"""Pixels of the longest side of a thumbnail."""

MAX_THUMBNAIL_BYTES = 16_384
"""Bytes of one thumbnail's file; a picture that takes more is not shown."""


def thumbnail_uri(picture: Image.Image, side: int = THUMBNAIL_SIDE) -> str:
    """A JPEG data URI of a picture in mode RGB, "" if it takes more than MAX_THUMBNAIL_BYTES."""
    small = picture.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=82)
    data = buffer.getvalue()
    if len(data) > MAX_THUMBNAIL_BYTES:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
