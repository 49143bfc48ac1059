"""A dataclass with arrays comes in; equality and a hash by value go out.

Python compares the fields of a dataclass as tuples, which fails for arrays.
"""

from dataclasses import fields
from typing import Any

import numpy as np


class ComparedByValue:
    """Equality and hash for a frozen dataclass with array fields; declare it with `eq=False`.

    Two instances are equal if they are of one class and every compared field is: arrays by shape,
    dtype and values, where a NaN equals a NaN.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(_key(self) == _key(other))

    def __hash__(self) -> int:
        return hash(_key(self))


def _key(value: Any) -> Any:
    """A hashable value that is equal for equal values."""
    if isinstance(value, np.ndarray):
        real = value + 0.0 if value.dtype.kind == "f" else value  # -0.0 equals 0.0
        return value.shape, value.dtype.str, np.ascontiguousarray(real).tobytes()
    if isinstance(value, ComparedByValue):
        compared = [field.name for field in fields(value) if field.compare]  # type: ignore[arg-type]
        return type(value), tuple(_key(getattr(value, name)) for name in compared)
    return tuple(_key(item) for item in value) if isinstance(value, tuple) else value
