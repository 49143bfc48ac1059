"""Caption source: webdataset tars, read in place; nothing is unpacked to disk.

A sample is a run of members that share a key, the path up to the first dot of its file name.
"""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby, islice
from pathlib import Path

from lagotto.core.captioned import CAPTION_COLUMNS, Captions, captions_in, merged, storable
from lagotto.core.errors import CaptionError
from lagotto.core.images import MAX_BYTES
from lagotto.core.types import SetAside
from lagotto.zeroshot.caption_pairs import Item, Pair, PairSource

PICTURE_ENDINGS = ("jpg", "jpeg", "png", "webp")
TEXT_ENDINGS = ("txt", "caption", "json")
MAX_TEXT_BYTES = 2**20
_MAX_KEY = 1000
_BLOCK_BYTES = 512
_COUNTED = 200
"""Samples looked at to judge how many a tar holds; counting all would read it once more."""


def tar_source(path: Path) -> PairSource:
    """The samples of a tar: KEY.jpg, .png or .webp with KEY.txt or KEY.json (its "caption").

    Other members, and all that are not regular files, are passed over. Raises CaptionError where
    the file is no plain tar.
    """
    return PairSource(path, _about_how_many(path), partial(_samples, path))


def _about_how_many(path: Path) -> int:
    """Samples in a tar: counted if there are few, else judged by the size of the first ones."""
    groups = groupby(_members(path), key=lambda found: found[1])
    rows, end = 0, 0
    for _, group in islice(groups, _COUNTED):
        end = max(member.offset_data + member.size for _, _, _, member in group)
        rows += 1
    return rows if rows < _COUNTED else max(rows, round(path.stat().st_size / end * rows))


def _members(path: Path) -> Iterator[tuple[tarfile.TarFile, str, str, tarfile.TarInfo]]:
    """(archive, key, ending, member) of the members that count, in order."""
    with _reading(path), tarfile.open(path, "r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # else it keeps all it has seen
            folder, _, name = member.name.rpartition("/")
            stem, _, ending = name.partition(".")
            ending = ending.lower()
            if member.isreg() and stem and ending in PICTURE_ENDINGS + TEXT_ENDINGS:
                yield archive, f"{folder}/{stem}"[-_MAX_KEY:], ending, member
        _check_end(archive)


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises EOFError unless what stopped the reading is the end that a tar has."""
    file = archive.fileobj
    if file is not None:
        file.seek(archive.offset)
        block = file.read(_BLOCK_BYTES)
        if block and (len(block) < _BLOCK_BYTES or block.strip(b"\0")):
            raise EOFError(f"it is cut or damaged at byte {archive.offset}")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What a damaged tar raises becomes a CaptionError."""
    try:
        yield
    except (tarfile.TarError, OSError, EOFError) as error:
        raise CaptionError(
            f"cannot read {path} as tar: {' '.join(str(error).split())[:200]}; give a plain, whole "
            ".tar (unpack a compressed one with gunzip first)"
        ) from error


def _samples(path: Path) -> Iterator[Item]:
    for key, group in groupby(_members(path), key=lambda found: found[1]):
        source = storable(f"{path.name}/{key.removeprefix('/')}")
        captions: Captions = ()
        picture: bytes | None = None
        refused = ""
        for archive, _, ending, member in group:
            if ending in PICTURE_ENDINGS:
                if member.size > MAX_BYTES:
                    refused = f"a picture of {member.size / 2**20:,.0f} MiB"
                elif picture is None:
                    picture = _content(path, archive, member)
            elif member.size > MAX_TEXT_BYTES:
                refused = f"a text of {member.size / 2**20:,.1f} MiB"
            else:
                try:
                    captions = merged(captions, _said(_content(path, archive, member), ending))
                except (ValueError, TypeError, RecursionError):
                    refused = f"its .{ending} is not readable as text with captions"
        if refused:
            yield SetAside(source, refused)
        else:
            yield Pair(source, captions, None if picture is None else partial(_given, picture))


def _given(data: bytes) -> bytes:
    return data


def _content(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The bytes of a regular member that is small enough; CaptionError where the tar is cut."""
    with _reading(path):
        file = archive.extractfile(member)
        data = b"" if file is None else file.read()
        if len(data) != member.size:
            raise EOFError(f"{member.name} is cut short")
        return data


def _said(data: bytes, ending: str) -> Captions:
    """The captions in a text member: each line of a text is one."""
    if ending != "json":
        return captions_in(data.decode().splitlines())
    content = json.loads(data)
    if not isinstance(content, dict):
        raise TypeError(type(content).__name__)
    return captions_in(next((content[key] for key in CAPTION_COLUMNS if key in content), None))
