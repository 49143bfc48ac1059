"""An inert value comes in; the plain value of JSON that it stands for goes out, within bounds."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lagotto.core.types import JsonValue
from lagotto.models.checkpoints.pickles.inert import GlobalName, InertTensor, Record, Value

_MAX_DEPTH = 8
MAX_TEXT = 10_000
_LARGEST = 1 << 53
_LIST_STATES = 5  # of a pickled numpy array: version, shape, dtype, order, values


class NotPlainError(Exception):
    """A value is no plain data, or there is more of it than is read."""


class PlainReader:
    """Reads inert values as plain ones; all its answers together have at most `most` parts."""

    def __init__(self, most: int, numbers: Callable[[InertTensor], list[float]]) -> None:
        self._left = most
        self._numbers = numbers

    def read(self, value: Value, depth: int = 0) -> JsonValue:
        """The plain value; raises NotPlainError if there is none."""
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise NotPlainError
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int | float):
            return _number(value)
        if isinstance(value, list | tuple):
            return [self.read(item, depth + 1) for item in value]
        if isinstance(value, InertTensor):
            return [_number(number) for number in self._numbers(value)]
        if isinstance(value, GlobalName):
            return value.name
        if isinstance(value, Record):
            return self._record(value, depth)
        raise NotPlainError

    def _record(self, record: Record, depth: int) -> JsonValue:
        if record.name in _ARRAYS:
            return self.read(_array(record), depth + 1)
        if record.name in _SCALARS:
            return self.read(_scalar(record), depth + 1)
        if record.name == "torch.device":
            return self.read(record.arguments[0] if record.arguments else None, depth + 1)
        if record.name.startswith("omegaconf."):
            held = record.attributes()
            inner = held.get("_content", held.get("_val"))
            return self.read(inner, depth + 1)
        if record.items and not record.pairs:
            return [self.read(item, depth + 1) for item in record.items]
        if not record.is_dict and not record.pairs and not record.states:
            return self._enumerated(record, depth)
        return self._object(record, depth)

    def _enumerated(self, record: Record, depth: int) -> JsonValue:
        """The value of a member of an enumeration, which is pickled as a call with it."""
        if len(record.arguments) == 1 and isinstance(record.arguments[0], str | int):
            return self.read(record.arguments[0], depth + 1)
        raise NotPlainError

    def _object(self, record: Record, depth: int) -> JsonValue:
        """A dict; of another class that holds settings, its public attributes."""
        pairs = list(record.pairs) or list(record.attributes().items())
        plain: dict[str, JsonValue] = {}
        for key, value in pairs:
            name = _key(key)
            if name is None or (not record.is_dict and name.startswith("_")):
                self._left -= 1
                continue
            try:
                plain[name] = self.read(value, depth + 1)
            except NotPlainError:
                if self._left < 0:
                    raise
        if pairs and not plain:
            raise NotPlainError
        return plain


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise NotPlainError
    return value.encode("utf-8", "replace").decode()


def _number(value: int | float) -> JsonValue:
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise NotPlainError
        return value
    if not math.isfinite(value):
        raise NotPlainError
    return value


def _key(key: Value) -> str | None:
    """A key as JSON writes it."""
    if isinstance(key, str) and len(key) < MAX_TEXT:
        return _text(key)
    if isinstance(key, int) and not isinstance(key, bool) and abs(key) < _LARGEST:
        return str(key)
    if isinstance(key, Record) and key.name in _SCALARS:
        try:
            number = _scalar(key)
        except NotPlainError:
            return None
        return str(number) if isinstance(number, int) else None
    return None


# ------------------------------------------------------------------------------------- numpy

_ARRAYS = frozenset(
    {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray"}
)
_SCALARS = frozenset({"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"})
_KINDS = "iufbUS"


def _dtype(value: Value) -> np.dtype[Any]:
    """The type of numbers or texts that a pickled dtype names."""
    if not isinstance(value, Record) or value.name != "numpy.dtype" or not value.arguments:
        raise NotPlainError
    name = value.arguments[0]
    swapped = any(
        isinstance(state, tuple) and len(state) > 1 and state[1] == ">" for state in value.states
    )
    if not isinstance(name, str) or len(name) > 8 or name[:1] not in _KINDS:
        raise NotPlainError
    try:
        return np.dtype(name).newbyteorder(">" if swapped else "<")
    except (TypeError, ValueError) as error:
        raise NotPlainError from error


def _array(record: Record) -> list[Value]:
    """The items of a small pickled array, in C order, flat."""
    state = record.states[0] if record.states else None
    if not isinstance(state, tuple) or len(state) != _LIST_STATES:
        raise NotPlainError
    values = state[4]
    if isinstance(values, list):  # an array of objects
        return values
    return _items(_dtype(state[2]), values)


def _scalar(record: Record) -> Value:
    match record.arguments:
        case (dtype, bytes() as data):
            items = _items(_dtype(dtype), data)
            return items[0] if len(items) == 1 else None
    raise NotPlainError


def _items(dtype: np.dtype[Any], data: Value) -> list[Value]:
    if not isinstance(data, bytes) or not dtype.itemsize or len(data) % dtype.itemsize:
        raise NotPlainError
    if len(data) > _MAX_ARRAY_BYTES:
        raise NotPlainError
    try:
        items: list[Value] = np.frombuffer(data, dtype).tolist()
    except (ValueError, UnicodeDecodeError) as error:
        raise NotPlainError from error
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in items]


_MAX_ARRAY_BYTES = 8 << 20
