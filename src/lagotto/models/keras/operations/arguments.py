"""The arguments of a call come in by name; their values, checked, go out."""

import numpy as np
from jaxtyping import Float32

from lagotto.models.keras.call_arguments import Argument, Slice, TensorReference
from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.layer import Layer
from lagotto.models.keras.layers.preprocessing import numbers
from lagotto.models.keras.layers.settings import scalar


def tensor_of(layer: Layer, name: str) -> Tensor:
    """An argument that must be a tensor."""
    value = layer.argument(name)
    if not isinstance(value, TensorReference):
        layer.refuse(f"is called with a constant as {name}")
    return layer.tensors[value]


def constant_of(layer: Layer, value: Argument) -> Float32[np.ndarray, "..."]:
    """A constant argument as an array."""
    array = None if isinstance(value, Slice | TensorReference) else numbers(value)  # type: ignore[arg-type]
    if array is None:
        layer.refuse("is called with a constant that is no array of numbers")
    return array


def whole_of(layer: Layer, name: str, default: int | None = None) -> int | None:
    """An argument that is a whole number; `default` if it is absent."""
    value = layer.argument(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        layer.refuse(f"is called with {name} that is no whole number")
    return value


def wholes_of(layer: Layer, name: str) -> tuple[int, ...] | None:
    """An argument that is whole numbers; a single one is a list of one."""
    value = layer.argument(name)
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    whole = [item for item in items if isinstance(item, int) and not isinstance(item, bool)]
    if len(whole) != len(items):
        layer.refuse(f"is called with {name} that is no list of whole numbers")
    return tuple(whole)


def flag_of(layer: Layer, name: str) -> bool:
    """An argument that is true or false; false if it is absent."""
    value = layer.argument(name)
    if value not in (None, True, False):
        layer.refuse(f"is called with {name} that is neither true nor false")
    return bool(value)


def number_of(layer: Layer, name: str, default: float | None = None) -> float | None:
    """An argument that is a number; `default` if it is absent."""
    value = layer.argument(name)
    if value is None:
        return default
    number = None if isinstance(value, Slice | TensorReference | list) else scalar(value)  # type: ignore[arg-type]
    if number is None:
        layer.refuse(f"is called with {name} that is no number")
    return number
