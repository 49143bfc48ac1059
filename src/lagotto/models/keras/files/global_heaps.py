"""An HDF5 file comes in; it is refused if a heap in it would keep the HDF5 library busy for ever.

Texts of any length lie in global heaps: collections of objects, each with its number and its size.
The library walks through a collection by these sizes. An object with the number 0 is what is left
of the space, and its size counts its own header; where that is 0, the walk stands still.
Source: HDF5 File Format Specification 3.0, section III.E.
"""

import mmap
import struct
from pathlib import Path

from lagotto.core.errors import ModelError

_SIGNATURE = b"GCOL\x01\x00\x00\x00"
_HEADER = struct.Struct("<8sQ")
_OBJECT = struct.Struct("<HHIQ")


def check_heaps(source: Path | bytes, what: str) -> None:
    """Refuses a file one of whose global heaps has an object that no walk gets past.

    Args:
        source: The file, or its bytes.
        what: Names it in the message.

    Raises:
        ModelError: There is such an object, or the file cannot be read.

    Example:
        >>> check_heaps(b"no heap", "the file")
    """
    if isinstance(source, bytes):
        _check(source, what)
        return
    try:
        with (
            source.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            _check(data, what)
    except ValueError:  # an empty file cannot be mapped, and has no heap
        return
    except OSError as error:
        raise ModelError(f"cannot read {what}: {error.strerror}; check the file") from error


def _check(data: bytes | mmap.mmap, what: str) -> None:
    start = data.find(_SIGNATURE)
    while start >= 0:
        if not _ends(data, start):
            raise ModelError(
                f"{what} has a damaged heap of texts at byte {start}; download or save it again"
            )
        start = data.find(_SIGNATURE, start + len(_SIGNATURE))


def _ends(data: bytes | mmap.mmap, start: int) -> bool:
    """Whether a walk through the objects of a collection comes to its end, or to damage."""
    if start + _HEADER.size > len(data):
        return True
    size = _HEADER.unpack_from(data, start)[1]
    end = min(start + size, len(data))
    at = start + _HEADER.size
    while at + _OBJECT.size <= end:
        number, _, _, length = _OBJECT.unpack_from(data, at)
        step = length if number == 0 else _OBJECT.size + (length + 7) // 8 * 8
        if step == 0:
            return False
        at += step
    return True
