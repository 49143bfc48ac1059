"""The weights file of a model: read within limits, hashed as a stream, found inside its folder."""

import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lagotto.core.errors import ModelError

if TYPE_CHECKING:
    from hashlib import _Hash

MAX_WEIGHTS_BYTES = 2**31 - 1  # what protobuf and flatbuffers can address
MAX_EXTERNAL_BYTES = 16 << 30
_PIECE_BYTES = 1 << 20
_NAME_SHOWN = 120


def read_weights(file: Path) -> bytes:
    """The whole file; raises ModelError if it is missing, empty, unreadable or beyond 2 GB."""
    check_size(file)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error
    if not data:
        raise ModelError(f"{file.name} is empty; download or export the model again")
    return data


def check_size(file: Path, external: Iterable[Path] = ()) -> None:
    """Raises ModelError if a model's file, or its external data in all, is too large or missing.

    So that a file with a hole of a terabyte is refused before anything reads it.
    """
    try:
        status = file.stat()
        beside = sum(each.stat().st_size for each in external)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{file.name} is not a regular file; give a model file")
    size = status.st_size
    if size > MAX_WEIGHTS_BYTES:
        raise ModelError(
            f"{file.name} is {size} bytes; a model file has at most {MAX_WEIGHTS_BYTES}: "
            "keep the weights of a larger ONNX model as external data beside it"
        )
    if beside > MAX_EXTERNAL_BYTES:
        raise ModelError(
            f"the external data of {file.name} is {beside} bytes; at most {MAX_EXTERNAL_BYTES} "
            "are read: probe a smaller model of its family"
        )


def add_file(digest: "_Hash", file: Path) -> None:
    """Adds a file's length and bytes to a digest, a megabyte at a time."""
    try:
        with file.open("rb") as stream:
            digest.update(stream.seek(0, 2).to_bytes(8, "little"))
            stream.seek(0)
            while piece := stream.read(_PIECE_BYTES):
                digest.update(piece)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error


def inside(folder: Path, relative: str, what: str) -> Path:
    """The file `relative` of `folder`, links followed; raises ModelError if it lies elsewhere."""
    parts = PurePosixPath(relative).parts
    odd = not parts or parts[0] == "/" or ".." in parts or "\\" in relative or "\0" in relative
    path = folder.joinpath(*parts) if not odd else folder
    try:
        odd = odd or not path.resolve().is_relative_to(folder.resolve())
        there = path.is_file()
    except (OSError, ValueError):  # no name that a file can have: too long, half a character
        there = False
    shown = ascii(relative) if len(relative) <= _NAME_SHOWN else f"{relative[:_NAME_SHOWN]!a}..."
    if odd:
        raise ModelError(
            f"{what} is {shown}, which is not inside the model's folder; "
            "put the file beside the model and give its name"
        )
    if not there:
        raise ModelError(f"{what} is {shown}, but the folder has no such file")
    return path


def reason(error: BaseException) -> str:
    """What a framework said, in one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
