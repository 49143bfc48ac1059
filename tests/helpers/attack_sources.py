"""Hostile pictures, archives and tables, each made here, and a word that its refusal must hold."""

import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from attack_models import NASTY, TERABYTE, Place


@dataclass(frozen=True)
class FileAttack:
    """`write` makes a file of this name; `becomes` is a word of what is said of it.

    "harmless": it is read as the plain picture or the plain text that it also is.
    """

    kind: str
    tries: str
    name: str
    write: Callable[[Path, Place], None]
    becomes: str


def picture(form: str = "PNG", edge: int = 16, **options: object) -> bytes:
    """A plain picture with noise, so that no two formats give the same."""
    pixels = np.random.default_rng(len(form) + edge).integers(0, 255, (edge, edge, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, form, **options)
    return data.getvalue()


def _holds(data: Callable[[], bytes]) -> Callable[[Path, Place], None]:
    return lambda path, place: path.write_bytes(data()) and None


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _png(width: int, height: int, *more: bytes) -> bytes:
    """A PNG that says it has this size, and holds a hundred bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + b"".join(more) + _chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b"")


def _text_bomb() -> bytes:
    text = b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9)
    return _png(64, 64, _chunk(b"zTXt", text))


def _scans() -> bytes:
    """A progressive JPEG of 16 million pixels that says its last scan 400 times."""
    data = io.BytesIO()
    Image.new("L", (4096, 4096), 7).save(data, "JPEG", progressive=True)
    whole = data.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * 400 + b"\xff\xd9"


def _tiff() -> bytes:
    """A TIFF of 60,000 x 60,000 pixels in 200 bytes."""
    entries = [(256, 4, 60_000), (257, 4, 60_000), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    entries += [(273, 4, 8), (277, 3, 1), (278, 4, 60_000), (279, 4, 100)]
    listed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + listed + bytes(104)


def _eps() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n(/tmp/owned) (w) file pop\n"


def _svg() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'


def _with_zip() -> bytes:
    archive = io.BytesIO(picture("JPEG"))
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr("run.sh", "#!/bin/sh\n")
    return archive.getvalue()


def _hole(path: Path, place: Place) -> None:
    with path.open("wb") as file:
        file.write(picture())
        file.truncate(TERABYTE)


PICTURES = {
    attack.name: attack
    for attack in (
        FileAttack(
            "picture", "says 50,000 x 50,000 pixels", "bomb.png",
            _holds(lambda: _png(50_000, 50_000)), "pixels",
        ),
        FileAttack("picture", "a TIFF of 60,000 x 60,000", "bomb.tiff", _holds(_tiff), "pixels"),
        FileAttack("picture", "64 MB of text in 64 kB", "text.png", _holds(_text_bomb), "damaged"),
        FileAttack("picture", "400 scans over 16 million pixels", "scans.jpg", _holds(_scans),
                   "scans"),
        FileAttack("picture", "a terabyte of nothing behind it", "hole.png", _hole, "at most 64"),
        FileAttack("picture", "PostScript called .jpg", "script.jpg", _holds(_eps),
                   "not a picture"),
        FileAttack("picture", "SVG called .png", "vector.png", _holds(_svg), "not a picture"),
        FileAttack("picture", "a JPEG that is a zip too", "zip.jpg", _holds(_with_zip),
                   "harmless"),
        FileAttack("picture", "half a picture", "half.png", _holds(lambda: picture()[:500]),
                   "damaged"),
        FileAttack("picture", "a link out of the folder", "link.png",
                   lambda path, place: path.symlink_to(place.secret), "leaves the folder"),
        FileAttack("picture", "a named pipe", "pipe.png",
                   lambda path, place: os.mkfifo(path), "not a regular file"),
        FileAttack("picture", "a file name that a terminal obeys", "\x1b[2Jname.png",
                   _holds(lambda: picture(edge=24)), "harmless"),
    )
}  # fmt: skip
"""By file name: a folder of these is given as probes."""


def _member(name: str, data: bytes = b"", **said: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in said.items():
        setattr(member, key, value)
    return member, data


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> Callable[[Path, Place], None]:
    def write(path: Path, place: Place) -> None:
        with tarfile.open(path, "w") as archive:
            for member, data in members:
                archive.addfile(member, io.BytesIO(data))

    return write


def _tar_paths(path: Path, place: Place) -> None:
    """Names and links that would leave the folder if anything were unpacked."""
    up = os.path.relpath(place.marker, path.parent)
    link, hard, device = (_member(name) for name in ("a.png", "b.png", "c.png"))
    link[0].type, link[0].linkname = tarfile.SYMTYPE, str(place.secret)
    hard[0].type, hard[0].linkname = tarfile.LNKTYPE, str(place.secret)
    device[0].type = tarfile.CHRTYPE
    written = [_member(name, picture()) for name in (up, str(place.marker), f"d/../{up}.png")]
    _tar(*written, link, hard, device)(path, place)


def _header(size: bytes, kind: bytes) -> bytes:
    """The header of a member with the 12 bytes of its size as given."""
    block = bytearray(tarfile.TarInfo("a.png").tobuf(tarfile.GNU_FORMAT)[:512])
    block[124:136], block[156:157], block[148:156] = size, kind, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _tar_long_name(path: Path, place: Place) -> None:
    """A name of a terabyte, which the file has as a hole."""
    with path.open("wb") as file:
        file.write(_header(b"\x80" + TERABYTE.to_bytes(11, "big"), tarfile.GNUTYPE_LONGNAME))
        file.truncate(TERABYTE + 4096)


def _tar_backwards(path: Path, place: Place) -> None:
    """A size below zero, so that the next member is the same again."""
    path.write_bytes(_header(b"\xff" + (-512).to_bytes(11, "big", signed=True), b"0") * 4)


def _tar_headers(path: Path, place: Place) -> None:
    """5,000 headers that each announce the next."""
    path.write_bytes(_header(b"00000000000\0", tarfile.XHDTYPE) * 5_000)


def _nasty_jsonl(path: Path, place: Place) -> None:
    path.write_text("".join(json.dumps({"caption": text}) + "\n" for text in NASTY))


TABLES = {
    attack.name: attack
    for attack in (
        FileAttack("archive", "members in ../ and at absolute paths, links, devices", "paths.tar",
                   _tar_paths, "harmless"),
        FileAttack("archive", "a name of a terabyte", "name.tar", _tar_long_name, "a header of"),
        FileAttack("archive", "a member of a size below zero", "backwards.tar", _tar_backwards,
                   "cannot read"),
        FileAttack("archive", "5,000 headers of headers", "headers.tar", _tar_headers,
                   "cannot read"),
        FileAttack("archive", "a caption of 2 MB", "long.tar",
                   _tar(_member("a.png", picture()), _member("a.txt", b"x" * (2 << 20))),
                   "a text of"),
        FileAttack("table", "captions that a terminal, spreadsheet or browser obeys",
                   "nasty.jsonl", _nasty_jsonl, "harmless"),
        FileAttack("table", "a line 100,000 deep", "deep.jsonl",
                   _holds(lambda: b"[" * 100_000), "not JSON"),
        FileAttack("table", "a field without end", "quote.csv",
                   _holds(lambda: b'image,caption\na.png,"' + b"x\n" * 70_000), "nothing closes"),
        FileAttack("table", "a line of 20 MB", "line.jsonl",
                   _holds(lambda: b'{"caption": "' + b"x" * (20 << 20)), "over 16 MiB"),
        FileAttack("table", "a picture outside, which is no picture", "outside.jsonl",
                   lambda path, place: path.write_text(
                       json.dumps({"image": str(place.secret), "caption": "a secret"}) + "\n"
                   ) and None, "not a picture"),
    )
}  # fmt: skip
"""By file name: each is given as a source of captions."""
