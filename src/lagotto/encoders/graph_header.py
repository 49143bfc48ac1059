"""What an ONNX file says of itself, read without loading it: inputs, outputs, files, operators.

Only the few protobuf fields needed are walked, in a memory map, so that a graph of any size costs
milliseconds; the tower itself is loaded when it is first run. Field numbers: onnx.proto.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lagotto.core.errors import EncoderError

_Data: TypeAlias = bytes | mmap.mmap
_Span: TypeAlias = tuple[int, int]

_DTYPES = {1: "float32", 6: "int32", 7: "int64", 10: "float16", 11: "float64"}


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """An input or output: numpy name of its type; None marks a dimension or rank not fixed."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def fixed(self, axis: int) -> int | None:
        """The size along an axis, or None where the graph leaves it open."""
        if self.shape is None or not -len(self.shape) <= axis < len(self.shape):
            return None
        return self.shape[axis]


@dataclass(frozen=True, slots=True)
class GraphHeader:
    """A graph's interface, the weight files beside it that it names, and its operator types."""

    inputs: dict[str, TensorHeader]
    outputs: dict[str, TensorHeader]
    weight_files: tuple[str, ...]
    operators: frozenset[str]

    @property
    def mixes_rows(self) -> bool:
        """True where activations are quantised over the whole batch: a row sees its neighbours."""
        return any(name.startswith("DynamicQuantize") for name in self.operators)


def read_graph_header(file: Path) -> GraphHeader:
    """The header of an ONNX file.

    Raises EncoderError where the file is empty, truncated or no ONNX graph.
    """
    try:
        with (
            file.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            header = _read_model(data)
    except (ValueError, IndexError):
        header = None
    except OSError as error:
        raise EncoderError(f"{file}: cannot be read ({error.strerror})") from error
    if header is None or not header.outputs:
        raise EncoderError(
            f"{file}: empty, truncated or not an ONNX graph; export or download it again"
        )
    return header


def _read_model(data: _Data) -> GraphHeader | None:
    """The header of ModelProto (graph = 7, opset_import = 8); None where it lacks one of them."""
    parts = dict(_messages(data, (0, len(data))))
    return _read_graph(data, parts[7]) if 7 in parts and 8 in parts else None


def _read_graph(data: _Data, graph: _Span) -> GraphHeader:
    """GraphProto: node = 1 (op_type = 4), initializer = 5 (name = 8), input = 11, output = 12."""
    inputs: list[TensorHeader] = []
    outputs: list[TensorHeader] = []
    weight_files: set[str] = set()
    weights: set[str] = set()
    operators: set[str] = set()
    for number, span in _messages(data, graph):
        if number == 1:
            operators.update(_texts(data, span, 4))
            weight_files.update(_constant_files(data, span))
        elif number == 5:
            weights.update(_texts(data, span, 8))
            weight_files.update(_tensor_files(data, span))
        elif number == 11:
            inputs.append(_read_tensor(data, span))
        elif number == 12:
            outputs.append(_read_tensor(data, span))
    return GraphHeader(
        inputs={tensor.name: tensor for tensor in inputs if tensor.name not in weights},
        outputs={tensor.name: tensor for tensor in outputs},
        weight_files=tuple(sorted(weight_files)),
        operators=frozenset(operators),
    )


def _constant_files(data: _Data, node: _Span) -> Iterator[str]:
    """Files named by a node's tensor attributes (attribute = 5, t = 5)."""
    for attribute in _children(data, node, 5):
        for tensor in _children(data, attribute, 5):
            yield from _tensor_files(data, tensor)


def _tensor_files(data: _Data, tensor: _Span) -> Iterator[str]:
    """The `location` entries of TensorProto.external_data (13; key = 1, value = 2)."""
    for entry in _children(data, tensor, 13):
        if next(_texts(data, entry, 1), "") == "location":
            yield from _texts(data, entry, 2)


def _read_tensor(data: _Data, value: _Span) -> TensorHeader:
    """ValueInfoProto: name = 1, type = 2; tensor_type = 1: elem_type = 1, shape = 2; dim = 1."""
    name = next(_texts(data, value, 1), "")
    dtype, shape = "", None
    for kind in _children(data, value, 2):
        for tensor in _children(data, kind, 1):
            dtype = _DTYPES.get(_number(data, tensor, 1) or 0, "")
            for dims in _children(data, tensor, 2):
                shape = tuple(_size(data, dim) for dim in _children(data, dims, 1))
    return TensorHeader(name, dtype, shape)


def _size(data: _Data, dim: _Span) -> int | None:
    """Dimension: dim_value = 1; zero, negative (64-bit wrapped) and named sizes are open."""
    size = _number(data, dim, 1) or 0
    return size if 0 < size < 2**31 else None


def _children(data: _Data, message: _Span, wanted: int) -> Iterator[_Span]:
    return (span for number, span in _messages(data, message) if number == wanted)


def _texts(data: _Data, message: _Span, wanted: int) -> Iterator[str]:
    return (bytes(data[a:b]).decode() for a, b in _children(data, message, wanted))


def _number(data: _Data, message: _Span, wanted: int) -> int | None:
    """The value of a varint field."""
    for number, wire, start, _ in _fields(data, message):
        if number == wanted and wire == 0:
            return start
    return None


def _messages(data: _Data, message: _Span) -> Iterator[tuple[int, _Span]]:
    """(field number, span) of the length-delimited fields of a message."""
    for number, wire, start, end in _fields(data, message):
        if wire == 2:
            yield number, (start, end)


def _fields(data: _Data, message: _Span) -> Iterator[tuple[int, int, int, int]]:
    """(field number, wire type, start, end) of each field; a varint has its value as start.

    Raises ValueError where a field does not end within the message.
    """
    at, end = message
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        start = at
        if wire == 0:
            start, at = _varint(data, at)
        elif wire == 1:
            at += 8
        elif wire == 2:
            length, start = _varint(data, at)
            at = start + length
        elif wire == 5:
            at += 4
        else:
            raise ValueError(f"wire type {wire}")
        if at > end:
            raise ValueError("a field runs over its message")
        yield number, wire, start, at


def _varint(data: _Data, at: int) -> tuple[int, int]:
    """A base-128 number and the offset after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
