"""A pickled module comes in; its parameters and buffers go out, by the names of its state dict."""

from collections.abc import Iterator
from typing import TypeGuard

from lagotto.core.types import JsonObject
from lagotto.models.checkpoints.checkpoint import PlainLayer
from lagotto.models.checkpoints.pickles.inert import (
    AnyTensor,
    InertTensor,
    Record,
    UnreadableError,
    UnreadTensor,
    Value,
)

_MAX_DEPTH = 100
MAX_ATTRIBUTES = 500_000
"""Attributes of all modules; one that stands in several places counts in each."""

MAX_TENSORS = 100_000
_SCRIPT = "__torch__."
_LONGEST_SETTING = 100
_MOST_NUMBERS = 4
QUANTISED = (
    "it is a quantised network of torch, whose packed weights are not read; save the float network "
    "before convert(), or export it to ONNX"
)


def is_module(value: Value) -> TypeGuard[Record]:
    """Whether a value is a pickled torch.nn.Module, or one of TorchScript."""
    if not isinstance(value, Record):
        return False
    if value.name.startswith(_SCRIPT):
        return True
    attributes = value.attributes()
    if ".quantized." in value.name:
        raise UnreadableError(QUANTISED)
    return "_modules" in attributes and ("_parameters" in attributes or "_buffers" in attributes)


def module_tensors(module: Record) -> dict[str, AnyTensor]:
    """The tensors of a module and of those in it, named as its state dict names them.

    Raises:
        UnreadableError: The modules contain each other, or are more than the bounds of this file.
    """
    found: dict[str, AnyTensor] = {}
    waiting: list[tuple[str, Record, int]] = [("", module, 0)]
    count = 0
    while waiting:
        prefix, current, depth = waiting.pop()
        attributes = current.attributes()
        tensors, children = _parts(current, attributes)
        count += 1 + len(attributes) + len(tensors) + len(children)
        if depth > _MAX_DEPTH or count > MAX_ATTRIBUTES or len(found) > MAX_TENSORS:
            raise UnreadableError(
                "its modules contain each other, or are too many; save the state dict alone"
            )
        for name, tensor in tensors:
            found[f"{prefix}{name}"] = tensor
        waiting += [(f"{prefix}{name}.", child, depth + 1) for name, child in reversed(children)]
    return found


def module_layers(module: Value) -> tuple[dict[str, PlainLayer], dict[str, PlainLayer]]:
    """The innermost modules by path: those without tensors, and those with tensors.

    Call it after `module_tensors`, which bounds what a module may contain.
    """
    plain: dict[str, PlainLayer] = {}
    weighted: dict[str, PlainLayer] = {}
    waiting = [("", module)]
    while waiting:
        path, current = waiting.pop()
        if not is_module(current):
            continue
        attributes = current.attributes()
        tensors, children = _parts(current, attributes)
        if path and (tensors or not children):
            found = weighted if tensors else plain
            found[path] = PlainLayer(current.name, _plain_settings(attributes))
        inner = f"{path}." if path else ""
        waiting += [(f"{inner}{name}", child) for name, child in children]
    return plain, weighted


def _plain_settings(attributes: dict[str, Value]) -> JsonObject:
    """The attributes of a layer that are numbers, a few numbers, or short texts."""
    found: JsonObject = {}
    for name, value in attributes.items():
        if isinstance(value, str | bool | int | float):
            if not isinstance(value, str) or len(value) <= _LONGEST_SETTING:
                found[name] = value
        elif isinstance(value, list | tuple) and len(value) <= _MOST_NUMBERS:
            numbers = [item for item in value if isinstance(item, int)]
            if len(numbers) == len(value):
                found[name] = [*numbers]
    return found


def _parts(
    module: Record, attributes: dict[str, Value]
) -> tuple[list[tuple[str, AnyTensor]], list[tuple[str, Record]]]:
    """The tensors of a module itself, and the modules in it."""
    if module.name.startswith(_SCRIPT):
        children = [
            (name, value)
            for name, value in attributes.items()
            if isinstance(value, Record) and value.name.startswith(_SCRIPT)
        ]
        return list(_tensors(attributes)), children
    passing = attributes.get("_non_persistent_buffers_set")
    listed = passing if isinstance(passing, list | tuple) else []
    left_out = {name for name in listed if isinstance(name, str)}
    tensors = [*_tensors(_entries(attributes, "_parameters"))]
    buffers = _tensors(_entries(attributes, "_buffers"))
    tensors += [(name, tensor) for name, tensor in buffers if name not in left_out]
    inner = _entries(attributes, "_modules").items()
    return tensors, [(name, value) for name, value in inner if is_module(value)]


def _entries(attributes: dict[str, Value], name: str) -> dict[str, Value]:
    value = attributes.get(name)
    return value.entries() if isinstance(value, Record) else {}


def _tensors(values: dict[str, Value]) -> Iterator[tuple[str, AnyTensor]]:
    for name, value in values.items():
        if isinstance(value, InertTensor | UnreadTensor):
            yield name, value
