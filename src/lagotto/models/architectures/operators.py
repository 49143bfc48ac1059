"""A graph of Lagotto's own comes in; its operators, with their settings, go out."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lagotto.core.errors import ModelError
from lagotto.core.parsing.protobuf import LENGTH, VARINT, Span, WireReader

LayerSetting: TypeAlias = int | float | tuple[int, ...]

DEFAULT_EPSILON = 1e-5
"""That of a normalization which names none."""

# Field numbers of onnx.proto, by message.
_GRAPH, _NODE, _INPUT, _OUTPUT, _OP, _ATTRIBUTE = 7, 1, 1, 2, 4, 5
_NAME, _FLOAT, _INTEGER, _INTEGERS = 1, 2, 3, 8


@dataclass(frozen=True, slots=True)
class SkeletonOperator:
    """An operator of a skeleton: its tensors, and those of its attributes that are numbers."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, LayerSetting]

    @property
    def epsilon(self) -> float:
        """The epsilon of a normalization."""
        value = self.settings.get("epsilon", DEFAULT_EPSILON)
        return float(value) if isinstance(value, int | float) else DEFAULT_EPSILON


def read_operators(data: bytes) -> Iterator[SkeletonOperator]:
    """The operators of a graph, which is one of Lagotto's own, in the order of the graph."""
    reader = WireReader(data, ModelError)
    for graph in _inside(reader, (0, len(data)), _GRAPH):
        for node in _inside(reader, graph, _NODE):
            settings = dict(
                setting
                for attribute in _inside(reader, node, _ATTRIBUTE)
                if (setting := _setting(reader, attribute)) is not None
            )
            (kind,) = _texts(reader, node, _OP)
            yield SkeletonOperator(
                kind,
                tuple(_texts(reader, node, _INPUT)),
                tuple(_texts(reader, node, _OUTPUT)),
                settings,
            )


def _texts(reader: WireReader, span: Span, wanted: int) -> Iterator[str]:
    for start, end in _inside(reader, span, wanted):
        yield reader.text((start, end))


def _inside(reader: WireReader, span: Span, wanted: int) -> Iterator[Span]:
    for number, wire, start, end in reader.fields(span):
        if number == wanted and wire == LENGTH:
            yield start, end


def _setting(reader: WireReader, attribute: Span) -> tuple[str, LayerSetting] | None:
    name = ""
    value: int | float | None = None
    numbers: list[int] = []
    for number, wire, start, end in reader.fields(attribute):
        if number == _NAME and wire == LENGTH:
            name = reader.text((start, end))
        elif number == _FLOAT and wire != VARINT:
            value = float(struct.unpack("<f", reader.data[start:end])[0])
        elif number == _INTEGER and wire == VARINT:
            value = start
        elif number == _INTEGERS:
            numbers += reader.varints((start, end)) if wire == LENGTH else [start]
    if numbers:
        return name, tuple(numbers)
    return None if value is None else (name, value)
