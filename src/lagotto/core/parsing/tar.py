"""The path of a tar comes in; its members go out, in order.

Nothing is unpacked to disk, and memory does not grow with the tar.
"""

import tarfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lagotto.core.errors import LagottoError
from lagotto.core.parsing.not_downloaded import what_lies_at

PICTURE_ENDINGS = ("jpg", "jpeg", "png", "webp")
"""Endings of members that are pictures, in lower case."""

_MAX_KEY = 1000
_MAX_NAME_BYTES = 1 << 20
_HEADER_TYPES = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class TarMember:
    """A regular file in a tar; `read` returns its bytes, at any time.

    `key` is its path up to the first dot of its name, and `ending` the rest in lower case. `size`
    is its number of bytes, and `end` the offset in the tar where they end.
    """

    key: str
    ending: str
    size: int
    end: int
    read: Callable[[], bytes]


def read_members(
    path: Path, endings: Collection[str], error: type[LagottoError]
) -> Iterator[TarMember]:
    """The members of a tar that are plain regular files with one of some endings, in order.

    Args:
        path: The tar; it must not be compressed.
        endings: The endings in lower case, without a dot.
        error: The class of the error to raise.

    Raises:
        error: The file is no plain, whole tar.
    """
    with _reading(path, error), tarfile.open(path, "r:", tarinfo=_Member) as archive:
        end = 0
        while (member := archive.next()) is not None:
            if archive.offset <= end:  # a negative size: the same bytes would be read over and over
                raise EOFError(f"it is damaged at byte {end}")
            end = archive.offset
            archive.members = []  # type: ignore[attr-defined]  # it would hold every member
            folder, _, name = member.name.rpartition("/")
            stem, _, ending = name.partition(".")
            ending = ending.lower()
            if member.isreg() and not member.issparse() and stem and ending in endings:
                yield TarMember(
                    f"{folder}/{stem}"[-_MAX_KEY:].removeprefix("/"),
                    ending,
                    member.size,
                    member.offset_data + member.size,
                    partial(_content, path, member.name, member.offset_data, member.size, error),
                )
        _check_end(archive)


class _Member(tarfile.TarInfo):
    """A member whose extra headers (a long name, pax records) have a bounded size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADER_TYPES and not 0 <= self.size <= _MAX_NAME_BYTES:
            raise EOFError(f"a header of {self.size} bytes")
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member


def _content(path: Path, name: str, start: int, size: int, error: type[LagottoError]) -> bytes:
    with _reading(path, error), path.open("rb") as file:
        file.seek(start)
        data = file.read(size)
        if len(data) != size:
            raise EOFError(f"{name} is cut short")
        return data


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises EOFError unless the reading stopped at the end mark of a tar."""
    file = archive.fileobj
    if file is not None:
        file.seek(archive.offset)
        block = file.read(_BLOCK_BYTES)
        if block and (len(block) < _BLOCK_BYTES or block.strip(b"\0")):
            raise EOFError(f"it is cut or damaged at byte {archive.offset}")


@contextmanager
def _reading(path: Path, error: type[LagottoError]) -> Iterator[None]:
    """Turns the errors of a damaged tar into one line."""
    try:
        yield
    except (tarfile.TarError, OSError, EOFError, RecursionError, ValueError) as reason:
        clause = what_lies_at(path)
        if clause is not None and not clause.startswith("compressed"):
            raise error(f"{path} is {clause}") from reason
        raise error(
            f"cannot read {path} as tar: {' '.join(str(reason).split())[:200]}; give a plain, "
            "whole .tar (unpack a compressed one with gunzip first)"
        ) from reason
