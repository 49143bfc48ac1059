"""Writing without half-written files, digests, and JSON whose bytes are always the same."""

import errno
import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lagotto.core.errors import HubError, LagottoError
from lagotto.core.types import JsonObject, JsonValue

TEMPORARY_SUFFIX = ".tmp"
"""Ending of what a killed process may leave behind; such a file may be deleted at any time."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_numbers = itertools.count()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around anything that writes to `path`: an OSError becomes a one-line HubError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            advice = "free space or choose another folder"
        elif error.errno in _FORBIDDEN:
            advice = "choose a folder that you may write to"
        else:
            advice = "check the path"
        what = error.strerror or type(error).__name__
        raise HubError(f"cannot write {path}: {what}; {advice}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`: write a file there, and on success it becomes `path`.

    Readers see the old file or the whole new one, also after a kill or a power cut. On any error
    the temporary file is removed and `path` is as before; OSErrors become HubError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}{TEMPORARY_SUFFIX}")
    try:
        with writing(path):
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
    finally:
        # Gone after a success; after an error, that error is what the caller must see.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """`path` holds exactly `data` when this returns; on HubError it is as it was before."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def sync(path: Path) -> None:
    """Returns once the file's bytes, or the folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path, error: type[LagottoError] = HubError) -> str:
    """The sha256 of a file's bytes in hex; a file that cannot be read is an `error`."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as reason:
        what = reason.strerror or type(reason).__name__
        raise error(f"cannot read {path}: {what}; check the path") from reason


def canonical_json(value: JsonValue) -> bytes:
    """The one JSON text of a value: keys sorted, no spaces, ASCII, no line end.

    Raises ValueError for NaN or an infinity, which JSON does not have.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def read_json(path: Path, what: str, error: type[LagottoError]) -> JsonObject:
    """The JSON object in a file; `what` names the file's role in the `error` raised otherwise."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as reason:
        why = reason.strerror or type(reason).__name__
        raise error(f"cannot read {what} {path}: {why}; check the path") from reason
    except (ValueError, RecursionError) as reason:
        raise error(f"{what} {path} is not JSON: {reason}; restore it or write it anew") from reason
    if not isinstance(value, dict):
        raise error(
            f"{what} {path} holds a {type(value).__name__}; a JSON object is needed, "
            "restore it or write it anew"
        )
    return value
