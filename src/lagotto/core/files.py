"""Bytes and values come in; whole files, digests and canonical JSON go out.

A reader never sees a half-written file.
"""

import errno
import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from lagotto.core.errors import HubError, LagottoError, advice_on
from lagotto.core.parsing.not_downloaded import HEAD_BYTES, what_lies_there
from lagotto.core.temporary.leftovers import sweep_files, temporary_name
from lagotto.core.types import JsonObject, JsonValue

if TYPE_CHECKING:
    import numpy as np

    AnyArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_numbers = itertools.count()

_SMALL_ARRAY_BYTES = 1 << 20


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError of the code inside, which writes to `path`, into a one-line HubError.

    That of a file which may not be read, as what is copied to `path` may be, names that file.
    """
    try:
        yield
    except OSError as failed:
        error = _of_one_file(failed)
        what = error.strerror or type(error).__name__
        if error.errno in _FORBIDDEN and _is_closed(error.filename):
            raise HubError(
                f"cannot read {os.fsdecode(error.filename)}: {what}; make it readable for this user"
            ) from failed
        if error.errno in _FULL:
            advice = "free space or choose another folder"
        elif error.errno in _FORBIDDEN:
            advice = "choose a folder that you may write to"
        else:
            advice = "check the path"
        raise HubError(f"cannot write {path}: {what}; {advice}") from failed


def _of_one_file(error: OSError) -> OSError:
    """The first failure in an error of `shutil.copytree`, which says nothing itself; else as is."""
    if not isinstance(error, shutil.Error):
        return error
    source, _, text = error.args[0][0]
    number = int((re.search(r"\[Errno (\d+)\]", str(text)) or ["", "0"])[1])
    return OSError(number, os.strerror(number), source) if number else error


def _is_closed(path: str | bytes | int | None) -> bool:
    """Whether a path is there, and this user may not read it."""
    if not isinstance(path, str | bytes):
        return False
    return os.path.lexists(path) and not os.access(path, os.R_OK)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path; the file that is written there replaces `path` on success.

    Readers see the old file or the whole new one, also after a kill or a power cut. On an error the
    temporary file is removed and `path` stays as it was. What killed processes left in the folder
    is removed.

    Raises:
        HubError: The file cannot be written.
    """
    sweep_files(path.absolute().parent, os.getpid())
    temporary = path.with_name(temporary_name(path.name, next(_numbers)))
    try:
        with writing(path):
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
    finally:
        # After a success there is no such file; after an error, that error must reach the caller.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all; raises HubError if that fails."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def sync(path: Path) -> None:
    """Waits until the bytes of a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_at_most(path: Path, most: int) -> bytes | None:
    """The bytes of a file; None if it has more than `most`, of which no more are read.

    Raises OSError if the system does not let it be read.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    return None if len(data) > most else data


def read_array(path: Path, error: type[LagottoError], *, mapped: bool = False) -> "AnyArray":
    """The array in a .npy file; nothing in it is unpickled.

    A header may declare a larger array than the file holds. A large file is mapped first, so that
    no memory is asked for that it does not fill.

    Args:
        path: The file.
        error: The class of the error to raise.
        mapped: Whether the array stays in the file, memory-mapped and read-only.

    Raises:
        error: The file cannot be read, or is no whole .npy file.
    """
    import numpy as np

    try:
        through_map = mapped or path.stat().st_size > _SMALL_ARRAY_BYTES
        array = np.load(path, mmap_mode="r" if through_map else None, allow_pickle=False)
        return array if mapped else np.array(array)
    except Exception as reason:  # numpy parses a header as Python text: it may raise anything
        line = " ".join(str(reason).split()) or type(reason).__name__
        raise error(f"cannot read {path} as npy: {line[:200]}; check the file") from reason


def sha256_file(path: Path, error: type[LagottoError] = HubError) -> str:
    """The sha256 of a file in hex; raises `error` if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as reason:
        what = reason.strerror or type(reason).__name__
        advice = advice_on(reason) or "check the path"
        raise error(f"cannot read {path}: {what}; {advice}") from reason


def canonical_json(value: JsonValue) -> bytes:
    """The canonical JSON text of a value: sorted keys, no spaces, ASCII, no line end.

    Equal values give equal bytes. Raises ValueError for NaN and infinity, which JSON does not have.

    >>> canonical_json({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def read_json(path: Path, what: str, error: type[LagottoError]) -> JsonObject:
    """The JSON object in a file; raises `error`, in which `what` names the role of the file."""
    try:
        data = path.read_bytes()
        if data and (instead := what_lies_there(data[:HEAD_BYTES])) is not None:
            raise error(f"{what} {path} is {instead}")
        value = json.loads(data)
    except OSError as reason:
        why = reason.strerror or type(reason).__name__
        advice = advice_on(reason) or "check the path"
        raise error(f"cannot read {what} {path}: {why}; {advice}") from reason
    except (ValueError, RecursionError) as reason:
        raise error(f"{what} {path} is not JSON: {reason}; restore it or write it anew") from reason
    if not isinstance(value, dict):
        raise error(
            f"{what} {path} holds a {type(value).__name__}; a JSON object is needed, "
            "restore it or write it anew"
        )
    return value
