"""A storage with an offset, sizes and strides comes in; a tensor that fits its bytes goes out."""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped, UInt8

from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.checkpoints.pickles.inert import (
    InertTensor,
    UnreadableError,
    UnreadTensor,
    Value,
)

NUMPY_TYPES = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "bfloat16": "u2",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint64": "u8",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
    "bool": "u1",
    "complex64": "c8",
    "complex128": "c16",
}
"""Types that are read, by their name in torch; bfloat16 and bool are converted after."""

MAX_SMALL = 16
"""Elements of a tensor that is read as a setting, such as a mean of three channels."""

MAX_AXES = 32
MAX_ELEMENTS = 1 << 31
MAX_REPEATED = 1 << 24
"""Elements of a tensor that has more of them than its storage: `expand` saves such."""


@runtime_checkable
class Storages(Protocol):
    """The bytes of the storages of a file. `swapped`: its numbers are big-endian."""

    swapped: bool

    def size_of(self, key: str) -> int:
        """How many bytes a storage has; raises UnreadableError if it is not in the file."""

    def read(self, key: str) -> UInt8[np.ndarray, " bytes"]:
        """Its bytes, read-only; ModelError if they are damaged."""


@dataclass(frozen=True, slots=True)
class PickledFile:
    """A file whose pickle was read as inert values.

    Args:
        container: The form of the file, for example "torch zip".
        value: The value of its pickle, in which tensors name storages.
        storages: The bytes of these.
    """

    container: str
    value: Value
    storages: Storages


@dataclass(frozen=True, slots=True)
class _Cut:
    """Which values of a storage a tensor has, in elements."""

    key: str
    dtype: str
    start: int
    extent: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def store_tensor(name: str, tensor: InertTensor | UnreadTensor, storages: Storages) -> StoredTensor:
    """The tensor of a file, with its sizes checked against the bytes that are there.

    Raises:
        UnreadableError: It is of a type that is not read, or reaches beyond its storage.
    """
    if isinstance(tensor, UnreadTensor):
        raise UnreadableError(
            f"its {name!a} is {tensor.kind}, which is not read; save plain float tensors, or "
            "export the model to ONNX"
        )
    cut = _checked(name, tensor, storages)
    return StoredTensor(cut.dtype, cut.shape, lambda: _read(cut, storages))


def small_numbers(tensor: InertTensor, storages: Storages) -> list[float]:
    """The values of a tensor of a few real numbers; none if it is anything else."""
    try:
        stored = store_tensor("a setting", tensor, storages)
    except UnreadableError:
        return []
    if math.prod(stored.shape) > MAX_SMALL or stored.dtype.startswith("complex"):
        return []
    try:
        return [float(number) for number in stored.read().ravel()]
    except ModelError:
        return []


def _checked(name: str, tensor: InertTensor, storages: Storages) -> _Cut:
    dtype, storage = tensor.dtype, tensor.storage
    if dtype not in NUMPY_TYPES:
        raise UnreadableError(
            f"its {name!a} has the type {dtype[:40]!a}, which is not read; save it as float32 or "
            "float16, or export the model to ONNX"
        )
    if storage.location == "meta":
        raise UnreadableError(
            f"its {name!a} is on the meta device, without values; save the model with its weights"
        )
    shape, strides = _sizes(tensor.shape), _sizes(tensor.strides)
    offset = _sizes((tensor.offset,))
    if shape is None or strides is None or offset is None or len(shape) != len(strides):
        raise UnreadableError(f"its {name!a} has sizes or strides that are no tensor's")
    size = storages.size_of(storage.key)
    unit = np.dtype(NUMPY_TYPES[dtype]).itemsize
    unit_of_storage = np.dtype(NUMPY_TYPES[storage.dtype]).itemsize if storage.dtype else 1
    elements = math.prod(shape)
    extent = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    extent = extent if elements else 0
    start = storage.start * unit_of_storage // unit + offset[0]
    if (start + extent) * unit > size or elements > MAX_ELEMENTS:
        raise UnreadableError(
            f"its {name!a} reaches beyond its storage of {size:,} bytes; download or save it again"
        )
    if elements > max(extent, MAX_REPEATED):
        raise UnreadableError(
            f"its {name!a} repeats {extent:,} values {elements:,} times; save it with .contiguous()"
        )
    return _Cut(storage.key, dtype, start, extent, shape, strides)


def _sizes(values: Value) -> tuple[int, ...] | None:
    """Whole numbers that are not negative; None if they are anything else."""
    if not isinstance(values, tuple | list) or len(values) > MAX_AXES:
        return None
    whole = [item for item in values if isinstance(item, int) and not isinstance(item, bool)]
    if len(whole) != len(values) or not all(0 <= item <= MAX_ELEMENTS << 5 for item in whole):
        return None
    return tuple(whole)


def _read(cut: _Cut, storages: Storages) -> Shaped[np.ndarray, "..."]:
    dtype = np.dtype(NUMPY_TYPES[cut.dtype]).newbyteorder(">" if storages.swapped else "<")
    unit = dtype.itemsize
    data = storages.read(cut.key)[cut.start * unit : (cut.start + cut.extent) * unit]
    flat: np.ndarray[Any, Any] = data.view(dtype)
    steps = [step * unit for step in cut.strides]
    values = np.lib.stride_tricks.as_strided(flat, cut.shape, steps, writeable=False)
    return in_memory(values, cut.dtype)


def in_memory(values: Shaped[np.ndarray, "..."], dtype: str) -> Shaped[np.ndarray, "..."]:
    """Stored values in C order, aligned, in the order of this machine; those of the file if so.

    Args:
        values: The values as they are stored; bfloat16 as uint16, bool as uint8.
        dtype: Their type in torch.
    """
    if dtype == "bool":
        return np.ascontiguousarray(values != 0).reshape(values.shape)
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("=")).reshape(values.shape)
    if dtype == "bfloat16":
        return (plain.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return plain if plain.flags.aligned else plain.copy()
