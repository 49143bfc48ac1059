"""Arrays and a JSON header come in; one safetensors file with a checksum goes out, and back.

Every array file of a hub has this form. Its metadata holds one key, "lagotto", with a JSON object.
Its last tensor, "sha256", digests every byte before it. Equal content gives equal bytes.
"""

import hashlib
import json
import math
import mmap
import os
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors import SafetensorError, safe_open

from lagotto.core.errors import HubError, unreadable
from lagotto.core.files import canonical_json, replacing, writing
from lagotto.core.types import JsonObject, JsonValue

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
TensorLayout: TypeAlias = Mapping[str, tuple[str, tuple[int, ...]]]

METADATA_KEY = "lagotto"
CHECKSUM = "sha256"
_DTYPES = {"I64": "<i8", "F64": "<f8", "F32": "<f4", "I8": "|i1", "U8": "|u1"}
_ALIGNMENT = 64
_READ_BYTES = 1 << 20
_CHECKSUM_BYTES = 32
_CHECKED_BYTES = 64 << 20


class MappedFile(mmap.mmap):
    """A file that is mapped to be read; its bytes can also be read without mapping their pages."""

    path: Path
    identity: tuple[int, int]
    _descriptor: int | None = None
    _address: int | None = None

    def address(self) -> int:
        """Where the map begins in this process's memory."""
        if self._address is None:
            self._address = int(np.frombuffer(self, np.uint8).__array_interface__["data"][0])
        return self._address

    def descriptor(self) -> int | None:
        """An open descriptor of the file, which stays open as long as the map is in use.

        None where its name is now another file's, or the system cannot read at an offset.
        """
        if self._descriptor is None and hasattr(os, "pread"):
            with suppress(OSError):
                opened = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                if _identity(opened) == self.identity:
                    self._descriptor = opened
                    weakref.finalize(self, os.close, opened)
                else:
                    os.close(opened)
        return self._descriptor


@dataclass(frozen=True, slots=True)
class TensorFile:
    """An open file: its header, its arrays (read-only, memory-mapped) and its stored checksum.

    The file stays mapped, and one descriptor of the process taken, while an array is in use.
    """

    path: Path
    header: JsonObject
    arrays: Mapping[str, Array]
    sha256: str


def write_tensors(
    path: Path,
    header: JsonObject,
    layout: TensorLayout,
    fill: Callable[[Mapping[str, Array]], None],
) -> str:
    """Creates or replaces an array file; it appears under its name when it is complete.

    Args:
        path: The file.
        header: The JSON object of the metadata.
        layout: The dtype (I64, F64, F32, I8, U8) and the shape of each array, by name.
        fill: Writes the values into zeroed, memory-mapped arrays of that layout; so a file may be
            larger than memory.

    Returns:
        The checksum in hex.

    Raises:
        HubError: The file cannot be written.
    """
    prefix, offsets = _prefix(header, layout)
    end = offsets[CHECKSUM]
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft, draft.open("w+b") as file:
        _reserve(file.fileno(), end)
        memory = mmap.mmap(file.fileno(), end)
        memory[: len(prefix)] = prefix
        fill(
            {
                name: np.ndarray(shape, _DTYPES[dtype], buffer=memory, offset=offsets[name])
                for name, (dtype, shape) in layout.items()
            }
        )
        checksum = hashlib.sha256(memory)
        file.seek(end)
        file.write(checksum.digest())
    return checksum.hexdigest()


def open_tensors(path: Path, kind: str, version: int) -> TensorFile:
    """Opens an array file; its arrays are read when they are used.

    The bytes of the arrays are not checked: that is what `is_intact` does.

    Args:
        path: The file.
        kind: The "format" that its header must have.
        version: The newest version of that format that can be read.

    Raises:
        HubError: The file is missing, cannot be read, is damaged, of another kind or of a newer
            version. Which of these it is, the message says: only a file whose checksum was read
            and is wrong is called damaged.
    """
    check_readable(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        entries, start = _read_prefix(path)
        header = json.loads(metadata.get(METADATA_KEY, "null"))
    except OSError as error:
        raise unreadable(path, error, HubError) from error
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        check_readable(path)
        raise damage_error(path, str(error)) from error
    if not isinstance(header, dict) or header.get("format") != kind:
        raise HubError(
            f"{path} is not a {kind} file; move it out of the hub and run lagotto hub add again"
        )
    file_version = header.get("version")
    if not isinstance(file_version, int) or file_version < 1:
        raise damage_error(path, f"version {file_version!r}")
    if file_version > version:
        raise HubError(
            f"{path} has {kind} version {file_version} and this Lagotto reads up to {version}; "
            "upgrade with: pip install --upgrade lagotto"
        )
    arrays = _map_arrays(path, entries, start)
    checksum = arrays.pop(CHECKSUM, None)
    if checksum is None or checksum.shape != (32,):
        raise damage_error(path, "no checksum")
    return TensorFile(path, header, arrays, checksum.tobytes().hex())


def open_derived(path: Path, kind: str, version: int) -> TensorFile:
    """Opens an array file that can be made anew; its bytes are checked if that takes little time.

    Files of up to 64 MB are read whole: altered bytes would give other answers without a word.
    Larger ones are a matter of `lagotto hub verify`.

    Raises HubError as `open_tensors`, and if the bytes do not give the checksum.
    """
    file = open_tensors(path, kind, version)
    if path.stat().st_size <= _CHECKED_BYTES and not is_intact(path):
        raise HubError(f"{path} was altered: its bytes do not give its checksum")
    return file


def is_intact(path: Path) -> bool:
    """True if the bytes of an array file still give its checksum; reads the whole file.

    A missing file is not intact. Raises HubError if the system does not let the file be read.
    """
    digest = hashlib.sha256()
    try:
        left = path.stat().st_size - _CHECKSUM_BYTES
        with path.open("rb") as file:
            while left > 0:
                part = file.read(min(left, _READ_BYTES))
                if not part:
                    return False
                digest.update(part)
                left -= len(part)
            return file.read() == digest.digest()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreadable(path, error, HubError) from error


def header_text(file: TensorFile, key: str) -> str:
    """The text under a key of the header; raises HubError if there is none."""
    value = file.header.get(key)
    if not isinstance(value, str):
        raise damage_error(file.path, f"its header has no {key!r}")
    return value


def check_readable(path: Path) -> None:
    """Raises HubError if a file is missing or the system does not let it be read."""
    try:
        with path.open("rb"):
            pass
    except (FileNotFoundError, IsADirectoryError) as error:
        raise HubError(f"there is no {path}; run lagotto hub add again to make it") from error
    except OSError as error:
        raise unreadable(path, error, HubError) from error


def damage_error(path: Path, reason: str) -> HubError:
    """The error for a file that is not of its form; its checksum is read to tell why."""
    line = " ".join(reason.split())
    if path.stat().st_size > _CHECKSUM_BYTES and is_intact(path):
        return HubError(
            f"{path} is as it was written, but this Lagotto cannot read it ({line}); upgrade with: "
            "pip install --upgrade lagotto"
        )
    return HubError(f"{path} is damaged ({line}); remove it and run lagotto hub add again")


def _prefix(header: JsonObject, layout: TensorLayout) -> tuple[bytes, dict[str, int]]:
    """The first bytes of the file (length, header, padding), and the offset of each array."""
    entries: dict[str, JsonValue] = {
        "__metadata__": {METADATA_KEY: canonical_json(header).decode()}
    }
    offsets: dict[str, int] = {}
    end = 0
    order = sorted(layout, key=lambda name: -np.dtype(_DTYPES[layout[name][0]]).itemsize)
    for name in [*order, CHECKSUM]:
        dtype, shape = layout.get(name, ("U8", (32,)))
        size = np.dtype(_DTYPES[dtype]).itemsize * math.prod(shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        offsets[name] = end
        end += size
    text = canonical_json(entries)
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    prefix = len(text).to_bytes(8, "little") + text
    return prefix, {name: len(prefix) + offset for name, offset in offsets.items()}


def _reserve(descriptor: int, size: int) -> None:
    """Reserves the space on disk: a mapped write to a full disk would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def _read_prefix(path: Path) -> tuple[dict[str, Any], int]:
    """The entries of the tensors, and the offset of the data."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(length))
    entries.pop("__metadata__", None)
    return entries, 8 + length


def _identity(descriptor: int) -> tuple[int, int]:
    state = os.fstat(descriptor)
    return state.st_dev, state.st_ino


def _map_arrays(path: Path, entries: Mapping[str, Any], start: int) -> dict[str, Array]:
    try:
        with path.open("rb") as file:
            memory = MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
            memory.path, memory.identity = path, _identity(file.fileno())
        return {
            name: np.ndarray(
                tuple(entry["shape"]),
                _DTYPES[entry["dtype"]],
                buffer=memory,
                offset=start + entry["data_offsets"][0],
            )
            for name, entry in entries.items()
        }
    except OSError as error:
        raise unreadable(path, error, HubError) from error
    except (KeyError, ValueError, TypeError) as error:
        raise damage_error(path, str(error)) from error
