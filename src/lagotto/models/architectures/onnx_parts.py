"""Operators and weights come in; the bytes of a part of an ONNX graph go out.

Protobuf merges a message that appears twice and appends its lists. So a model is written as parts
of a graph, one after another, in the order in which they are computed.
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Shaped

from lagotto.core.parsing.protobuf import field_bytes, varint_bytes
from lagotto.models.assembled import EXTERNAL_LOCATION

# Field numbers and values of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_FLOAT, _INT64 = 1, 7
_FLOAT_ATTRIBUTE, _INT_ATTRIBUTE = 1, 2
_EXTERNAL = 1


def graph_part(*fields: bytes) -> bytes:
    """A part of a model's graph."""
    return field_bytes(_MODEL_GRAPH, b"".join(fields))


def operator(kind: str, inputs: Sequence[str], output: str, **attributes: int | float) -> bytes:
    """An operator with one output, for `graph_part`."""
    parts = [field_bytes(1, name.encode()) for name in inputs]
    parts += [field_bytes(2, output.encode()), field_bytes(4, kind.encode())]
    parts += [field_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
    return field_bytes(_GRAPH_NODE, b"".join(parts))


def external_weight(name: str, values: Shaped[np.ndarray, "..."]) -> bytes:
    """The declaration of a weight that is handed to the engine by its name, for `graph_part`."""
    kind = _INT64 if values.dtype.kind == "i" else _FLOAT
    location = field_bytes(1, b"location") + field_bytes(2, EXTERNAL_LOCATION.encode())
    parts = [_number(1, size) for size in values.shape]
    parts += [_number(2, kind), field_bytes(8, name.encode()), field_bytes(13, location)]
    return field_bytes(_GRAPH_INITIALIZER, b"".join((*parts, _number(14, _EXTERNAL))))


def graph_input(name: str, shape: Iterable[int | str]) -> bytes:
    """The declaration of a float32 input, for `graph_part`; a text stands for an open size."""
    return field_bytes(_GRAPH_INPUT, _value(name, shape))


def graph_output(name: str, shape: Iterable[int | str]) -> bytes:
    """The declaration of a float32 output, for `graph_part`; a text stands for an open size."""
    return field_bytes(_GRAPH_OUTPUT, _value(name, shape))


def _value(name: str, shape: Iterable[int | str]) -> bytes:
    sizes = b"".join(
        field_bytes(1, field_bytes(2, size.encode()) if isinstance(size, str) else _number(1, size))
        for size in shape
    )
    tensor = _number(1, _FLOAT) + field_bytes(2, sizes)
    return field_bytes(1, name.encode()) + field_bytes(2, field_bytes(1, tensor))


def _attribute(name: str, value: int | float) -> bytes:
    if isinstance(value, int):
        typed = _number(3, value) + _number(20, _INT_ATTRIBUTE)
    else:
        typed = varint_bytes(2 << 3 | 5) + struct.pack("<f", value)
        typed += _number(20, _FLOAT_ATTRIBUTE)
    return field_bytes(1, name.encode()) + typed


def _number(field: int, value: int) -> bytes:
    return varint_bytes(field << 3) + varint_bytes(value)
