"""The path of a weights file comes in; its bytes go out, checked for size and place."""

import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lagotto.core.arguments.links import link_roots, stays_inside
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
    """Raises ModelError if a model file, or the sum of its external data, is too large or missing.

    It reads no bytes, so a sparse file of a terabyte is refused at once.
    """
    try:
        status = file.stat()
        external_bytes = sum(item.stat().st_size for item in external)
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
    if external_bytes > MAX_EXTERNAL_BYTES:
        raise ModelError(
            f"the external data of {file.name} is {external_bytes} bytes; at most "
            f"{MAX_EXTERNAL_BYTES} are read: probe a smaller model of its family"
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


def inside(folder: Path, relative: str, what: str, hint: Callable[[], str] | None = None) -> Path:
    """The path of the file `relative` in `folder`; ModelError if a link or ".." leads outside.

    A backslash separates folders, as Windows writes it. `what` names the file in the message;
    `hint` says what to do if it is missing.
    """
    parts = PurePosixPath(relative.replace("\\", "/")).parts
    is_outside = not parts or parts[0].startswith("/") or ".." in parts or "\0" in relative
    path = folder.joinpath(*parts) if not is_outside else folder
    try:
        is_outside = is_outside or not stays_inside(path.resolve(), link_roots(folder))
        exists = path.is_file()
    except (OSError, ValueError):  # no valid file name: too long, or a lone surrogate
        exists = False
    preview = ascii(relative) if len(relative) <= _NAME_SHOWN else f"{relative[:_NAME_SHOWN]!a}..."
    if is_outside:
        raise ModelError(
            f"{what} is {preview}, which is not inside the model's folder; "
            "put the file beside the model and give its name"
        )
    if not exists:
        advice = f"; {hint()}" if hint is not None else ""
        raise ModelError(f"{what} is {preview}, but the folder has no such file{advice}")
    return path
