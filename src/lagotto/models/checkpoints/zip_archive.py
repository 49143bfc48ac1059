"""The bytes of a zip come in; its entries go out, checked against each other, and none unpacked.

Readers of zips differ in what they believe where its two lists of entries disagree. Here such a zip
is refused: names, methods and sizes must be the same in both, and no bytes belong to two entries.
"""

import stat
import struct
import zlib
from dataclasses import dataclass
from mmap import mmap

from lagotto.models.checkpoints.pickles.inert import UnreadableError

MAX_ENTRIES = 100_000
MAX_NAME = 1_000
MAX_RATIO = 50
"""How many times larger all entries together may be than the file."""

_SLACK_BYTES = 16 << 20
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW = 1, 8
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_UNKNOWN, _UNKNOWN_SHORT = 0xFFFFFFFF, 0xFFFF
_AGAIN = "download or save it again"
_DISAGREES = f"its zip has lists of entries that disagree; {_AGAIN}"
_CUT = f"its zip is cut short; {_AGAIN}"


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One file of a zip: where its bytes are, and how large it is unpacked."""

    name: str
    start: int
    packed_size: int
    size: int
    checksum: int
    is_packed: bool


@dataclass(frozen=True, slots=True)
class _Listed:
    """An entry as the list at the end of a zip has it."""

    name: str
    flags: int
    method: int
    checksum: int
    packed_size: int
    size: int
    header: int
    mode: int


def read_zip(data: mmap | bytes) -> dict[str, ZipEntry]:
    """The entries of a zip by name, without folders.

    Raises:
        UnreadableError: It is no whole zip, encrypted, too large unpacked, or its parts disagree.
    """
    try:
        count, listing, end = _listing(data)
        listed = [_checked(entry) for entry in _entries(data, count, listing, end)]
        placed = [_placed(data, entry, listing) for entry in listed]
    except struct.error as error:
        raise UnreadableError(_CUT) from error
    _check_overlap(listed, placed, listing)
    if sum(entry.size for entry in placed) > MAX_RATIO * len(data) + _SLACK_BYTES:
        raise UnreadableError(
            f"its zip unpacks to more than {MAX_RATIO} times its size; save it with torch.save"
        )
    names = [entry.name for entry in placed]
    if len(set(names)) != len(names):
        raise UnreadableError(f"its zip has two entries of one name; {_AGAIN}")
    return {entry.name: entry for entry in placed if not entry.name.endswith("/")}


def unpack(data: mmap | bytes, entry: ZipEntry) -> bytes:
    """The bytes of an entry; raises UnreadableError if they are damaged."""
    packed = data[entry.start : entry.start + entry.packed_size]
    if not entry.is_packed:
        return packed
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacked = unpacking.decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise UnreadableError(f"its zip has a damaged entry {entry.name!a}; {_AGAIN}") from error
    if len(unpacked) != entry.size:
        raise UnreadableError(f"its zip lies about the size of {entry.name!a}; {_AGAIN}")
    return unpacked


def _listing(data: mmap | bytes) -> tuple[int, int, int]:
    """How many entries there are, and where their list begins and ends."""
    earliest = max(0, len(data) - _END.size - _UNKNOWN_SHORT)
    place = data.rfind(b"PK\x05\x06", earliest)
    if place < 0:
        raise UnreadableError(_CUT)
    record = _END.unpack_from(data, place)
    count, size, start = record[4], record[5], record[6]
    end = place
    locator = place - _LOCATOR_64.size
    if locator >= 0 and data[locator : locator + 4] == b"PK\x06\x07":
        end = int(_LOCATOR_64.unpack_from(data, locator)[2])
        if end > locator or data[end : end + 4] != b"PK\x06\x06":
            raise UnreadableError(_DISAGREES)
        record_64 = _END_64.unpack_from(data, end)
        wide = (record_64[7], record_64[8], record_64[9])
        narrow = (count, size, start)
        unknown = (_UNKNOWN_SHORT, _UNKNOWN, _UNKNOWN)
        if any(n not in (w, u) for n, w, u in zip(narrow, wide, unknown, strict=True)):
            raise UnreadableError(_DISAGREES)
        count, size, start = wide
    if start + size != end:
        raise UnreadableError(_DISAGREES)
    if count > MAX_ENTRIES:
        raise UnreadableError(f"its zip has {count:,} entries; at most {MAX_ENTRIES:,} are read")
    return count, start, end


def _entries(data: mmap | bytes, count: int, start: int, end: int) -> list[_Listed]:
    found = []
    place = start
    for _ in range(count):
        if place + _CENTRAL.size > end:
            raise UnreadableError(_DISAGREES)
        header = _CENTRAL.unpack_from(data, place)
        if header[0] != b"PK\x01\x02":
            raise UnreadableError(_DISAGREES)
        name_size, extra_size, comment_size = header[10:13]
        place += _CENTRAL.size
        name = data[place : place + name_size]
        extra = data[place + name_size : place + name_size + extra_size]
        place += name_size + extra_size + comment_size
        size, packed, offset = _wide_sizes(extra, header[9], header[8], header[16])
        found.append(
            _Listed(_text(name), header[3], header[4], header[7], packed, size, offset, header[15])
        )
    if place != end:
        raise UnreadableError(_DISAGREES)
    return found


def _wide_sizes(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """The sizes and the place of an entry, of which large ones stand in its zip64 field."""
    values = [size, packed, offset]
    waiting = [index for index, value in enumerate(values) if value == _UNKNOWN]
    place = 0
    while waiting and place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == 1:
            field = extra[place + 4 : place + 4 + length]
            for number, index in enumerate(waiting):
                (values[index],) = struct.unpack_from("<Q", field, number * 8)
            break
        place += 4 + length
    return values[0], values[1], values[2]


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _checked(entry: _Listed) -> _Listed:
    """The entry, if it is a plain file of a plain name."""
    name = entry.name
    if entry.flags & _ENCRYPTED:
        raise UnreadableError(
            "it is an encrypted zip; unpack it with its password and save it again"
        )
    parts = name.replace("\\", "/").split("/")
    is_outside = not name or name.startswith(("/", "\\")) or ".." in parts or "\0" in name
    if is_outside or len(name) > MAX_NAME:
        raise UnreadableError(
            f"its zip has an entry {name[:80]!a}, which is no name inside it; {_AGAIN}"
        )
    if stat.S_ISLNK(entry.mode >> 16):
        raise UnreadableError(f"its zip has a link, {name[:80]!a}; save it with torch.save")
    if entry.method not in (_STORED, _DEFLATED):
        raise UnreadableError(
            f"its zip packs {name[:80]!a} by method {entry.method}, which is not read; "
            "save it with torch.save"
        )
    if entry.method == _STORED and entry.size != entry.packed_size:
        raise UnreadableError(f"its zip lies about the size of {name[:80]!a}; {_AGAIN}")
    return entry


def _placed(data: mmap | bytes, entry: _Listed, listing: int) -> ZipEntry:
    """The entry with the place of its bytes, if the header before them says the same."""
    if entry.header + _LOCAL.size > listing:
        raise UnreadableError(_DISAGREES)
    header = _LOCAL.unpack_from(data, entry.header)
    _, _, flags, method, _, _, checksum, packed, size, name_size, extra_size = header
    start = entry.header + _LOCAL.size + name_size + extra_size
    name_start = entry.header + _LOCAL.size
    name = data[name_start : name_start + name_size]
    is_same = header[0] == b"PK\x03\x04" and _text(name) == entry.name and method == entry.method
    if not is_same or start + entry.packed_size > listing:
        raise UnreadableError(_DISAGREES)
    if flags & _SIZES_FOLLOW:
        allowed = {(0, 0), (_UNKNOWN, _UNKNOWN), (entry.packed_size, entry.size)}
    else:
        extra = data[name_start + name_size : start]
        size, packed, _ = _wide_sizes(extra, size, packed, 0)
        allowed = {(entry.packed_size, entry.size)}
        if checksum != entry.checksum:
            raise UnreadableError(_DISAGREES)
    if (packed, size) not in allowed:
        raise UnreadableError(f"its zip lies about the size of {entry.name[:80]!a}; {_AGAIN}")
    is_packed = entry.method == _DEFLATED
    return ZipEntry(entry.name, start, entry.packed_size, entry.size, entry.checksum, is_packed)


def _check_overlap(listed: list[_Listed], placed: list[ZipEntry], listing: int) -> None:
    spans = sorted(
        (entry.header, place.start + place.packed_size)
        for entry, place in zip(listed, placed, strict=True)
    )
    starts = [start for start, _ in spans[1:]] + [listing]
    if any(end > following for (_, end), following in zip(spans, starts, strict=True)):
        raise UnreadableError(f"its zip has entries that overlap; {_AGAIN}")
