"""A file that a worker wrote comes in; its bytes, checked to be what they should be, go out.

A worker that a hostile picture has taken over may write anything. So its files are read here as
what they claim to be, or not at all: no decoder of this process sees them before.
"""

import os
import re
import stat
from pathlib import Path

from lagotto.core.errors import PictureError

_PPM_HEADER = re.compile(rb"P6\n([1-9]\d{0,5}) ([1-9]\d{0,5})\n255\n")
_LONGEST_HEADER = 32
_SPOILED = "the worker that decodes it wrote no picture; check where the picture is from"


def read_plain(path: Path, most_bytes: int) -> bytes:
    """The bytes of a regular file of at most so many; raises PictureError for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise PictureError(_SPOILED) from error
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_size > most_bytes:
        os.close(descriptor)
        raise PictureError(_SPOILED)
    with open(descriptor, "rb") as file:
        data = file.read(most_bytes + 1)
    if not data or len(data) > most_bytes:
        raise PictureError(_SPOILED)
    return data


def plain_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a PPM file of exactly the bytes that its header says.

    Raises:
        PictureError: It is anything else.

    Example:
        >>> plain_size(b"P6\\n2 1\\n255\\n" + bytes(6))
        (2, 1)
    """
    header = _PPM_HEADER.match(data[:_LONGEST_HEADER])
    if header is None:
        raise PictureError(_SPOILED)
    width, height = int(header[1]), int(header[2])
    if len(data) != header.end() + 3 * width * height:
        raise PictureError(_SPOILED)
    return width, height


def check_webp(data: bytes) -> bytes:
    """The bytes of a WEBP file, if they begin and end like one; raises PictureError if not."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise PictureError(_SPOILED)
    if int.from_bytes(data[4:8], "little") + 8 != len(data):
        raise PictureError(_SPOILED)
    return data
