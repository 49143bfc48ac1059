"""The weights file of a model: read within limits, hashed as a stream, found inside its folder."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lagotto.core.errors import ModelError

if TYPE_CHECKING:
    from hashlib import _Hash

MAX_WEIGHTS_BYTES = 2**31 - 1  # what protobuf and flatbuffers can address
_PIECE_BYTES = 1 << 20


def read_weights(file: Path) -> bytes:
    """The whole file; raises ModelError if it is missing, empty, unreadable or beyond 2 GB."""
    try:
        size = file.stat().st_size
        if size > MAX_WEIGHTS_BYTES:
            raise ModelError(
                f"{file.name} is {size} bytes; a model file has at most {MAX_WEIGHTS_BYTES}: "
                "keep the weights of a larger ONNX model as external data beside it"
            )
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error
    if not data:
        raise ModelError(f"{file.name} is empty; download or export the model again")
    return data


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
    if odd or not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(
            f"{what} is {relative!r}, which is not inside the model's folder; "
            "put the file beside the model and give its name"
        )
    if not path.is_file():
        raise ModelError(f"{what} is {relative!r}, but the folder has no such file")
    return path


def reason(error: BaseException) -> str:
    """What a framework said, in one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
