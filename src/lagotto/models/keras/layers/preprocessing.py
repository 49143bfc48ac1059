"""A layer that prepares pixels comes in; the scaling that it does goes out."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from lagotto.core.types import JsonValue
from lagotto.models.keras.configuration import LayerConfig
from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.layer import Layer, Variables
from lagotto.models.keras.layers.scaling import scaled
from lagotto.models.keras.layers.settings import scalar

_LEAST_DEVIATION = 1e-7
_MOST_NUMBERS = 1 << 16


def statistics_variables(config: LayerConfig) -> Variables:
    """What a Normalization has learned from data; nothing where its settings have the numbers."""
    if config.settings.get("mean") is not None:
        return Variables()
    return Variables((), ("mean", "variance", "count"))


def write_rescaling(layer: Layer) -> Tensor:
    """Rescaling: times `scale` plus `offset`, a number each or one for each channel."""
    values = []
    for key, default in (("scale", 1.0), ("offset", 0.0)):
        raw = layer.settings.raw(key)
        array = numbers(default if raw is None else raw)
        if array is None or array.size not in (1, layer.input.shape[-1]) or array.ndim > 1:
            layer.settings.refuse(key, "a number, or one for each channel")
        values.append(array)
    return scaled(layer, layer.input, *values)


def write_normalization(layer: Layer) -> Tensor:
    """Normalization by statistics in the weights or in the settings."""
    tensor = layer.input
    axes = kept_axes(layer)
    shape = tuple(layer.known(tensor.shape[axis], "normalized axis") for axis in axes)
    if layer.settings.raw("mean") is None:
        mean, variance = layer.weight("mean", shape), layer.weight("variance", shape)
    else:
        mean, variance = (_given(layer, key, shape) for key in ("mean", "variance"))
    wide = [1] * tensor.rank
    for axis, size in zip(axes, shape, strict=True):
        wide[axis] = size
    mean, variance = mean.reshape(wide), variance.reshape(wide)
    if (variance < 0).any():
        layer.refuse("has a variance below zero")
    deviation = np.maximum(np.sqrt(variance), np.float32(_LEAST_DEVIATION))
    if layer.settings.flag("invert", False):
        return scaled(layer, tensor, deviation, mean)
    return scaled(layer, tensor, 1 / deviation, -mean / deviation)


def kept_axes(layer: Layer) -> tuple[int, ...]:
    """The axes with a mean of their own, counted from 0; () for one mean of all."""
    rank = layer.input.rank
    axes = layer.settings.integers("axis") or ()
    if "axis" not in layer.config.settings:
        axes = (-1,)
    found = sorted({axis % rank for axis in axes if -rank <= axis < rank})
    if 0 in found or len(found) != len(axes):
        layer.settings.refuse("axis", f"axes 1 to {rank - 1} of the input")
    return tuple(found)


def _given(layer: Layer, key: str, shape: tuple[int, ...]) -> Float32[np.ndarray, "..."]:
    """Statistics in the settings, spread over the normalized axes."""
    array = numbers(layer.settings.raw(key))
    if array is None:
        layer.settings.refuse(key, "a number, or one for each channel")
    squeezed = array.reshape(-1) if array.size in (1, *shape[-1:]) else array
    try:
        return np.broadcast_to(squeezed, shape).astype(np.float32)
    except ValueError:
        layer.settings.refuse(key, "a number, or one for each channel")


def numbers(value: JsonValue) -> Float32[np.ndarray, "..."] | None:
    """An array of numbers as Keras writes it: plain, nested lists, or an object; else None."""
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        inner = value["config"]
        value = inner.get("value") if isinstance(inner, dict) else None
    if isinstance(value, list):
        flat = _flat(value)
        if flat is None or len(flat) > _MOST_NUMBERS:
            return None
        try:
            return np.array(value, np.float32)
        except (ValueError, TypeError):
            return None
    number = scalar(value)
    return None if number is None else np.asarray(number, np.float32)


def _flat(values: Sequence[JsonValue]) -> list[float] | None:
    result: list[float] = []
    for value in values:
        several = _flat(value) if isinstance(value, list) else None
        number = scalar(value)
        if several is None and number is None:
            return None
        result += several if several is not None else [number or 0.0]
    return result
