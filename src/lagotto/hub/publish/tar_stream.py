"""Files come in; a plain tar whose bytes depend on them alone goes out, and back within bounds."""

import hashlib
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from lagotto.core.errors import HubError
from lagotto.hub.publish.listing import PublishedFile

CHANGED_NS = 315_532_800 * 10**9
"""The time of change of every file in a tar and in a copy: the first of January of 1980."""

BLOCK = 512
_PIECE = 1 << 20
_END = bytes(2 * BLOCK)
_LONGEST = 100


def tar_size(files: Iterable[PublishedFile]) -> int:
    """The bytes of a tar of some files."""
    return sum(BLOCK + file.size + -file.size % BLOCK for file in files) + len(_END)


def write_member(out: BinaryIO, file: PublishedFile, source: Path) -> None:
    """Writes one file to a tar; raises HubError if its bytes are not those that were measured."""
    member = tarfile.TarInfo(file.path)
    member.size, member.mode, member.mtime = file.size, 0o644, CHANGED_NS // 10**9
    out.write(member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict"))
    with source.open("rb") as stream:
        digest = copy_exactly(stream, out.write, file.size)
    if digest != file.sha256:
        raise HubError(f"{source} changed while it was read; run the command again")
    out.write(bytes(-file.size % BLOCK))


def write_end(out: BinaryIO) -> None:
    """Ends a tar."""
    out.write(_END)


def read_member(stream: BinaryIO) -> tarfile.TarInfo:
    """The header of the next member of a tar, which must be a plain file with a short name.

    Raises:
        ValueError: It is something else, or the tar ends or is damaged there; the text says which.
    """
    header = stream.read(BLOCK)
    if len(header) < BLOCK:
        raise ValueError("it is cut short")
    if not header.strip(b"\0"):
        raise ValueError("it ends before all of its files have come")
    try:
        member = tarfile.TarInfo.frombuf(header, "ascii", "replace")
    except tarfile.TarError as error:
        raise ValueError(f"it is no plain tar, or damaged ({error})") from error
    kind = "a link" if member.issym() or member.islnk() else "no plain file"
    if member.type != tarfile.REGTYPE or len(member.name) > _LONGEST or member.size < 0:
        raise ValueError(f"its member {member.name[:120]!r} is {kind}")
    return member


def read_content(stream: BinaryIO, size: int, write: Callable[[bytes], object]) -> str:
    """Reads the content of a member of which the header was read; its sha256.

    Raises ValueError where the tar ends before.
    """
    digest = copy_exactly(stream, write, size)
    padding = -size % BLOCK
    if len(stream.read(padding)) < padding:
        raise ValueError("it is cut short")
    return digest


def check_end(stream: BinaryIO) -> None:
    """Raises ValueError unless nothing but the end of the tar follows."""
    while piece := stream.read(_PIECE):
        if piece.strip(b"\0"):
            raise ValueError("it holds more than its listing names")


def copy_exactly(stream: BinaryIO, write: Callable[[bytes], object], size: int) -> str:
    """Hands on so many bytes, piece by piece, and returns their sha256.

    Raises ValueError where there are fewer.
    """
    digest, left = hashlib.sha256(), size
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise ValueError("it is cut short")
        digest.update(piece)
        write(piece)
        left -= len(piece)
    return digest.hexdigest()
