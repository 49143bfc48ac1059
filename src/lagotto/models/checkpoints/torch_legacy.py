"""A file of torch before 1.6, pickles with the storages after them, comes in; both go out."""

from dataclasses import replace
from mmap import mmap

import numpy as np
from jaxtyping import UInt8

from lagotto.models.checkpoints.pickles.inert import Record, Storage, UnreadableError, Value
from lagotto.models.checkpoints.pickles.torch_objects import TorchBuilder
from lagotto.models.checkpoints.pickles.unpickling import unpickle
from lagotto.models.checkpoints.tensor_values import NUMPY_TYPES, PickledFile

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
MAX_STORAGES = 100_000
MAX_INNER = 4_096
MAX_INNER_OPERATIONS = 1_000
"""Of a storage that lies in a pickle as bytes; it has about 60."""

_COUNT_BYTES = 8
_AGAIN = "download or save it again"
_UNITS = {"qint8": 1, "quint8": 1, "qint32": 4, "float8_e4m3fn": 1, "float8_e5m2": 1}


class LegacyStorages:
    """The storages after the pickles of an old file, read from the mapped file."""

    def __init__(self, data: mmap | bytes, spans: dict[str, tuple[int, int]], swapped: bool):
        self.swapped = swapped
        self._data = data
        self._spans = spans

    def size_of(self, key: str) -> int:
        """How many bytes a storage has."""
        if key not in self._spans:
            raise UnreadableError(f"its storage {key[:40]!a} is not in the file; {_AGAIN}")
        return self._spans[key][1]

    def read(self, key: str) -> UInt8[np.ndarray, " bytes"]:
        """Its bytes, those of the file itself."""
        start, size = self._spans[key]
        return np.frombuffer(self._data, np.uint8, size, start)


class InnerStorages:
    """The storages of a pickle that has them in it as bytes, each a small file of its own.

    `pickle.dump(model)` writes such, where torch.save would keep them beside the pickle.
    """

    swapped = False

    def __init__(self) -> None:
        self._values: dict[str, UInt8[np.ndarray, " bytes"]] = {}

    def add(self, data: bytes) -> Storage:
        """The storage in some bytes, kept under a key of its own."""
        inner = _read(data, TorchBuilder(), MAX_INNER_OPERATIONS)
        if not isinstance(inner.value, Storage) or inner.storages.swapped:
            raise UnreadableError("its pickle has a pickle in it that is no storage of torch")
        if len(self._values) >= MAX_INNER:
            raise UnreadableError(f"its pickle has more than {MAX_INNER:,} storages in it")
        key = str(len(self._values))
        self._values[key] = inner.storages.read(inner.value.key)
        return replace(inner.value, key=key)

    def size_of(self, key: str) -> int:
        """How many bytes a storage has."""
        return self._values[key].size

    def read(self, key: str) -> UInt8[np.ndarray, " bytes"]:
        """Its bytes."""
        return self._values[key]


def read_pickles(data: mmap | bytes) -> PickledFile:
    """The values and storages of a file that begins with a pickle.

    A pickle of Python, without storages beside it, is read as well: its container is "pickle".

    Raises:
        UnreadableError: It is damaged, or of another version.
    """
    storages = InnerStorages()
    pickled = _read(data, TorchBuilder(storages.add), None)
    return replace(pickled, storages=storages) if pickled.container == "pickle" else pickled


def _read(data: mmap | bytes, builder: TorchBuilder, most: int | None) -> PickledFile:
    first, place = unpickle(data, builder, 0, most)
    if first != MAGIC or isinstance(first, bool):
        return PickledFile("pickle", first, LegacyStorages(data, {}, False))
    version, place = unpickle(data, builder, place, most)
    if version != VERSION:
        raise UnreadableError(
            f"its format has version {_shown(version)}; {VERSION} is read: save it with "
            "torch.save of torch 2"
        )
    system, place = unpickle(data, builder, place, most)
    value, place = unpickle(data, builder, place, most)
    keys, place = unpickle(data, builder, place, most)
    swapped = _is_big_endian(system)
    spans = _spans(data, builder, keys, place, swapped)
    return PickledFile("torch legacy", value, LegacyStorages(data, spans, swapped))


def _shown(version: Value) -> str:
    return str(version) if isinstance(version, int) and version < VERSION * 1000 else "unknown"


def _is_big_endian(system: Value) -> bool:
    return isinstance(system, Record) and system.entries().get("little_endian") is False


def _spans(
    data: mmap | bytes, builder: TorchBuilder, keys: Value, place: int, swapped: bool
) -> dict[str, tuple[int, int]]:
    """Where each storage begins and how many bytes it has; its count of values stands before it."""
    names = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    if not isinstance(keys, list) or len(names) != len(keys) or len(keys) > MAX_STORAGES:
        raise UnreadableError(f"its list of storages is damaged; {_AGAIN}")
    spans: dict[str, tuple[int, int]] = {}
    for key in names:
        storage = builder.storages.get(key)
        if storage is None or key in spans:
            raise UnreadableError(f"its list of storages is damaged; {_AGAIN}")
        count_bytes = data[place : place + _COUNT_BYTES]
        count = int.from_bytes(count_bytes, "big" if swapped else "little")
        place += _COUNT_BYTES
        known = NUMPY_TYPES.get(storage.dtype)
        unit = np.dtype(known).itemsize if known else _UNITS.get(storage.dtype, 1)
        size = count * unit
        if len(count_bytes) < _COUNT_BYTES or place + size > len(data):
            raise UnreadableError(
                f"its storage {key[:40]!a} says it has {count:,} values, of which the file lacks "
                f"some: it is cut short; {_AGAIN}"
            )
        spans[key] = (place, size)
        place += size
    return spans
