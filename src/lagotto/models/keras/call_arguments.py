"""The `inbound_nodes` of a layer come in; its calls, each with all of its arguments, go out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonValue

CONSTANT_LAYER = "_CONSTANT_VALUE"
"""The name of a layer by which Keras 2 says that the first argument of a call is a constant."""

ELLIPSIS = "Ellipsis"
"""Stands for the three dots in `x[..., 0]`."""

_TENSOR, _SLICE, _ELLIPSIS = "__keras_tensor__", "__slice__", "__ellipsis__"
_NAME_SHOWN = 60


@dataclass(frozen=True, slots=True)
class TensorReference:
    """One of the results of a call of a layer."""

    layer: str
    call: int
    result: int


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of an axis; its bounds are whole numbers or None."""

    start: JsonValue
    stop: JsonValue
    step: JsonValue


Argument: TypeAlias = "TensorReference | Slice | list[Argument] | dict[str, Argument] | JsonValue"
"""A value handed to a layer: results of others, constants, lists of both."""


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call, by position and by name."""

    positional: tuple[Argument, ...]
    named: Mapping[str, Argument] = field(default_factory=dict)

    def references(self) -> Iterator[TensorReference]:
        """Everything that the call needs from other layers, in order."""
        for argument in (*self.positional, *self.named.values()):
            yield from references_in(argument)


def references_in(argument: Argument) -> Iterator[TensorReference]:
    """The references in an argument, in order."""
    if isinstance(argument, TensorReference):
        yield argument
    elif isinstance(argument, list):
        for item in argument:
            yield from references_in(item)
    elif isinstance(argument, dict):
        for item in argument.values():
            yield from references_in(item)


def parse_calls(raw: JsonValue, layer: str) -> tuple[Call, ...]:
    """The calls in the `inbound_nodes` of a layer; ModelError if they have no known form."""
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise _unknown(layer)
    return tuple(_call(item, layer) for item in raw)


def references(raw: JsonValue) -> tuple[TensorReference, ...]:
    """The references in `input_layers` or `output_layers`, however nested; () if there are none."""
    if _is_reference(raw):
        return (_reference(raw),)
    if isinstance(raw, dict):
        raw = list(raw.values())
    if not isinstance(raw, list):
        return ()
    return tuple(found for item in raw for found in references(item))


def _call(raw: JsonValue, layer: str) -> Call:
    if isinstance(raw, dict):  # Keras 3
        positional, named = raw.get("args", []), raw.get("kwargs", {})
        if not isinstance(positional, list) or not isinstance(named, dict):
            raise _unknown(layer)
        return Call(
            tuple(_modern(item) for item in positional),
            {key: _modern(value) for key, value in named.items()},
        )
    if not isinstance(raw, list):
        raise _unknown(layer)
    if raw and isinstance(raw[0], str):  # the arguments of one call, the first of them a tensor
        raw = [raw]
    firsts: list[Argument] = []
    named_arguments: dict[str, Argument] = {}
    for item in raw:
        if not isinstance(item, list) or len(item) not in (3, 4) or not isinstance(item[0], str):
            raise _unknown(layer)
        firsts.append(item[2] if item[0] == CONSTANT_LAYER else _reference(item))
        named = item[3] if len(item) == 4 else {}
        if not isinstance(named, dict):
            raise _unknown(layer)
        named_arguments |= {key: _listed(value) for key, value in named.items()}
    whole: Argument = firsts[0] if len(firsts) == 1 else firsts
    return Call((whole,), named_arguments)


def _modern(raw: JsonValue) -> Argument:
    if isinstance(raw, list):
        return [_modern(item) for item in raw]
    if not isinstance(raw, dict):
        return raw
    config = raw.get("config")
    kind = raw.get("class_name")
    if kind == _TENSOR and isinstance(config, dict):
        return _reference(config.get("keras_history"))
    if kind == _ELLIPSIS:
        return ELLIPSIS
    if kind == _SLICE and isinstance(config, dict):
        return Slice(config.get("start"), config.get("stop"), config.get("step"))
    return {key: _modern(value) for key, value in raw.items()}


def _listed(raw: JsonValue) -> Argument:
    """A named argument of Keras 2, where a reference is a list like any other."""
    if _is_reference(raw):
        return _reference(raw)
    if isinstance(raw, list):
        return [_listed(item) for item in raw]
    if isinstance(raw, dict) and raw.get("class_name") == _ELLIPSIS:
        return ELLIPSIS
    if isinstance(raw, dict) and set(raw) == {"start", "stop", "step"}:
        return Slice(raw["start"], raw["stop"], raw["step"])
    if isinstance(raw, dict):
        return {key: _listed(value) for key, value in raw.items()}
    return raw


def _is_reference(raw: JsonValue) -> bool:
    return (
        isinstance(raw, list)
        and len(raw) in (3, 4)
        and isinstance(raw[0], str)
        and all(isinstance(item, int) and not isinstance(item, bool) for item in raw[1:3])
    )


def _reference(raw: JsonValue) -> TensorReference:
    if not _is_reference(raw) or not isinstance(raw, list):
        raise ModelError("the configuration refers to a tensor in an unknown form")
    layer, call, result = raw[:3]
    if not isinstance(layer, str) or not isinstance(call, int) or not isinstance(result, int):
        raise ModelError("the configuration refers to a tensor in an unknown form")
    return TensorReference(layer, call, result)


def _unknown(layer: str) -> ModelError:
    return ModelError(
        f"layer {layer[:_NAME_SHOWN]!r} is joined to others in an unknown form (inbound_nodes)"
    )
