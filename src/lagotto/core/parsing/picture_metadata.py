"""The bytes of a PNG or JPEG come in; what its metadata would cost goes out: nothing.

A colour profile of three megabytes or the workflow of a picture generator is no reason to refuse a
picture, and a compressed text of ten gigabytes is no reason to decompress it. So chunks that do not
change the pixels are left out before a decoder sees them.
"""

import struct
import zlib
from collections.abc import Iterator

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"}
_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}
_ORIENTATION_TEXTS = {b"Raw profile type exif", b"XML:com.adobe.xmp"}
"""Texts that may hold the orientation; the first of each is left in the file if it is small."""

_MAX_TEXT_BYTES = 2**20 - 1
_MAX_CHUNKS = 200_000
_MAX_SEGMENTS = 10_000


def png_without_metadata(data: bytes) -> bytes:
    """A PNG without the chunks that change neither its pixels nor its orientation.

    A damaged file comes back as it is from the place of the damage on: the decoder judges it. No
    text is decompressed beyond a megabyte, and at most two are looked at.

    Args:
        data: The bytes of a PNG file.

    Raises:
        ValueError: The file has more chunks than any program writes.
    """
    pieces: list[bytes] = []
    texts: set[bytes] = set()
    start = 0
    for position, end in _png_chunks(data):
        if not _is_needed(data, position, end, texts):
            pieces.append(data[start:position])
            start = end
    return data if not pieces else b"".join([*pieces, data[start:]])


def _png_chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """(begin, end) of each whole chunk of a PNG, up to the first that is not whole."""
    position, count = len(_PNG_START), 0
    if not data.startswith(_PNG_START):
        return
    while position + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, position)
        end = position + 12 + size
        if end > len(data):
            return
        count += 1
        if count > _MAX_CHUNKS:
            raise ValueError(f"over {_MAX_CHUNKS:,} chunks")
        yield position, end
        if data[position + 4 : position + 8] == b"IEND":
            return
        position = end


def _is_needed(data: bytes, position: int, end: int, texts: set[bytes]) -> bool:
    """Whether a chunk is left in; `texts` collects the keywords of texts that were looked at."""
    kind = data[position + 4 : position + 8]
    if kind in _PIXEL_CHUNKS or not kind[:1].islower():
        return True
    if kind == b"eXIf":
        checksum = int.from_bytes(data[end - 4 : end], "big")
        return zlib.crc32(memoryview(data)[position + 4 : end - 4]) == checksum
    if kind not in _TEXT_CHUNKS:
        return False
    keyword, _, rest = data[position + 8 : end - 4].partition(b"\0")
    if keyword not in _ORIENTATION_TEXTS or keyword in texts:
        return False
    texts.add(keyword)
    return _is_small_text(kind, rest)


def _is_small_text(kind: bytes, rest: bytes) -> bool:
    """Whether a text, without its keyword, has at most a megabyte once it is decompressed."""
    if kind == b"iTXt":
        is_compressed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    else:
        is_compressed, rest = kind == b"zTXt", rest[1:] if kind == b"zTXt" else rest
    if not is_compressed:
        return len(rest) <= _MAX_TEXT_BYTES
    try:
        stream = zlib.decompressobj()
        stream.decompress(rest, _MAX_TEXT_BYTES)
    except zlib.error:
        return False
    return not stream.unconsumed_tail


def count_jpeg_scans(data: bytes) -> int:
    """The scans of a JPEG; each goes over the whole picture again.

    The marker of a scan cannot occur within coded pixels, but it does in a colour profile, so the
    count begins behind the metadata. Scans of embedded further pictures are counted too.
    """
    position = 2
    for _ in range(_MAX_SEGMENTS):
        marker = data[position : position + 2]
        if marker == b"\xff\xda" or len(marker) < 2 or marker[:1] != b"\xff":
            break
        if marker == b"\xff\xff":  # a fill byte
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return data.count(b"\xff\xda", position)
