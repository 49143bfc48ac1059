"""An HDF5 file that nobody vouches for comes in; its attributes and arrays go out, within bounds.

Only what a file holds itself is read: links to other files or to other places, data kept in other
files, virtual arrays and filters that are not built into HDF5 are refused by name.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from jaxtyping import Shaped

from lagotto.core.errors import ModelError, reason
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.keras.files.global_heaps import check_heaps

MAX_OBJECTS = 20_000
"""Four times as many as the largest network of keras.applications has."""

MAX_GROUP_DEPTH = 64
MAX_EXPANSION = 64
"""Bytes of all arrays at most, for each byte of the file: weights of zeros can be compressed."""

_FREE_BYTES = 1 << 20
_MAX_ATTRIBUTE_BYTES = 32 << 20
_MAX_NAMES = 100_000
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_KINDS = "fiub"
_SHOWN = 80

# h5py raises these for a damaged file, wherever it meets the damage.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError)


@dataclass(frozen=True, slots=True)
class Hdf5Tree:
    """What lies in a file: the paths of its groups, and its arrays by their paths.

    No object stays open, since closing a file takes time for each of them.
    """

    file: Any
    arrays: dict[str, StoredTensor]
    groups: frozenset[str]

    def text(self, group: str, name: str) -> str | None:
        """An attribute that is a text; None if there is none."""
        value = self._attribute(group, name)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return value if isinstance(value, str) else None

    def names(self, group: str, name: str) -> tuple[str, ...] | None:
        """An attribute that is a list of texts, or several `name0`, `name1`, ... that are one."""
        parts = [self._attribute(group, name)]
        if parts[0] is None:
            parts = []
            while (part := self._attribute(group, f"{name}{len(parts)}")) is not None:
                parts.append(part)
                if len(parts) > _MAX_NAMES:
                    raise ModelError(f"{name} has over {_MAX_NAMES} parts")
            if not parts:
                return None
        found: list[str] = []
        for part in parts:
            found += [_decoded(item) for item in np.asarray(part).ravel().tolist()]
        return tuple(found)

    def _attribute(self, group: str, name: str) -> Any:
        """The value of an attribute, refused before it is read if it is too large."""
        if group not in self.groups:
            return None
        with _reading(f"attribute {name!r}"):
            holder = self.file[group or "/"]
            if name not in holder.attrs:
                return None
            identifier = holder.attrs.get_id(name)
            count = int(np.prod(identifier.shape, dtype=np.float64))
            size = count * max(identifier.dtype.itemsize, 1)
            if size > _MAX_ATTRIBUTE_BYTES or count > _MAX_NAMES:
                raise ModelError(
                    f"attribute {name[:_SHOWN]!r} declares {size} bytes; it is damaged"
                )
            return holder.attrs[name]


def _decoded(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@contextmanager
def open_hdf5(source: Path | bytes, what: str, length: int) -> Iterator[Hdf5Tree]:
    """A file, surveyed before anything of it is used.

    Args:
        source: The file, or its bytes.
        what: Names it in messages.
        length: The number of its bytes.

    Raises:
        ModelError: It is no HDF5 file, damaged, larger than it seems, or reaches out of itself.
    """
    check_heaps(source, what)
    stream: Path | BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        file = h5py.File(stream, "r", locking=False)
    except _DAMAGE as error:
        raise ModelError(
            f"{what} is no whole HDF5 file ({reason(error)[:120]}); download or save it again"
        ) from error
    try:
        yield _survey(file, length)
    finally:
        file.close()


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turns what h5py raises for a damaged file into one line."""
    try:
        yield
    except ModelError:
        raise
    except _DAMAGE as error:
        raise ModelError(
            f"{what[:_SHOWN]} of the HDF5 file is damaged ({reason(error)[:120]}); "
            "download or save it again"
        ) from error


def _survey(file: Any, length: int) -> Hdf5Tree:
    """All objects of a file. A group that is reached twice is refused: it may be a loop."""
    arrays: dict[str, StoredTensor] = {}
    groups = {""}
    seen: set[tuple[int, int]] = set()
    objects, total, allowed = 0, 0, length * MAX_EXPANSION + _FREE_BYTES
    pending = [("", file, 0)]
    with _reading("a group"):
        while pending:
            path, group, depth = pending.pop()
            objects += len(group)
            if objects > MAX_OBJECTS:
                raise ModelError(f"the HDF5 file has over {MAX_OBJECTS:,} objects")
            for name, item in _members(group, path):
                inner = f"{path}/{name}" if path else name
                if isinstance(item, h5py.Group):
                    _check_once(item, inner, seen)
                    if depth >= MAX_GROUP_DEPTH:
                        raise ModelError(f"the HDF5 file has groups over {MAX_GROUP_DEPTH} deep")
                    groups.add(inner)
                    pending.append((inner, item, depth + 1))
                elif isinstance(item, h5py.Dataset):
                    stored, size = _array(file, item, inner)
                    total += size
                    if total > allowed:
                        raise ModelError(
                            f"the arrays of the HDF5 file take over {allowed} bytes, and the file "
                            f"has {length}; it is damaged or made to fill the memory"
                        )
                    arrays[inner] = stored
                else:
                    raise ModelError(f"{inner[:_SHOWN]!r} in the HDF5 file is no group or array")
    return Hdf5Tree(file, arrays, frozenset(groups))


def _members(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name in group:
        if isinstance(name, bytes):  # h5py gives what is no text as it is
            raise ModelError(f"{path[:_SHOWN]!r} in the HDF5 file holds a name that is no UTF-8")
        kind = group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type
        inner = f"{path}/{name}"[:_SHOWN]
        if kind == h5py.h5l.TYPE_EXTERNAL:
            raise ModelError(f"{inner!r} in the HDF5 file is a link to another file; it is refused")
        if kind != h5py.h5l.TYPE_HARD:
            raise ModelError(f"{inner!r} in the HDF5 file is a soft link; it is refused")
        yield name, group[name]


def _check_once(group: Any, path: str, seen: set[tuple[int, int]]) -> None:
    information = h5py.h5o.get_info(group.id)
    key = (int(information.fileno), int(information.addr))
    if key in seen:
        raise ModelError(
            f"group {path[:_SHOWN]!r} of the HDF5 file lies at two places; it is refused"
        )
    seen.add(key)


def _array(file: Any, dataset: Any, path: str) -> tuple[StoredTensor, int]:
    """An array that is not read yet, and the bytes that it takes."""
    shown = f"array {path[:_SHOWN]!r} of the HDF5 file"
    settings = dataset.id.get_create_plist()
    if settings.get_external_count():
        raise ModelError(f"{shown} has its data in another file; it is refused")
    if settings.get_layout() == h5py.h5d.VIRTUAL:
        raise ModelError(f"{shown} is put together of others (virtual); it is refused")
    if dataset.shape is None or dataset.dtype.kind not in _KINDS or dataset.dtype.subdtype:
        return StoredTensor(str(dataset.dtype)[:_SHOWN], (), _unreadable(shown)), 0
    for index in range(settings.get_nfilters()):
        code = settings.get_filter(index)[0]
        if code not in _FILTERS:
            raise ModelError(
                f"{shown} needs the filter {code}, which is not built in; save it anew"
            )
    shape = tuple(int(size) for size in dataset.shape)
    size = int(np.prod(shape, dtype=np.float64)) * int(dataset.dtype.itemsize)
    name = dataset.dtype.newbyteorder("=").name

    def read() -> Shaped[np.ndarray, "..."]:
        with _reading(shown):
            return np.asarray(file[path][()]).astype(name, copy=False)

    return StoredTensor(name, shape, read), size


def _unreadable(what: str) -> Any:
    def read() -> Shaped[np.ndarray, "..."]:
        raise ModelError(f"{what} holds no numbers")

    return read
