"""An ONNX file comes in; its inputs, outputs, operators and weight files go out.

The file is not loaded: only a few protobuf fields are read, through a memory map. So a graph of any
size takes milliseconds. The field numbers are those of onnx.proto.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lagotto.core.errors import EncoderError
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.parsing.onnx_survey import check_operators, survey_onnx
from lagotto.core.parsing.protobuf import (
    LENGTH,
    VARINT,
    Span,
    WireReader,
)

_DTYPES = {1: "float32", 6: "int32", 7: "int64", 10: "float16", 11: "float64"}


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """An input or output: its numpy type, and its shape; None is an open dimension or rank."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def fixed(self, axis: int) -> int | None:
        """The size along an axis, or None if the graph leaves it open."""
        if self.shape is None or not -len(self.shape) <= axis < len(self.shape):
            return None
        return self.shape[axis]


@dataclass(frozen=True, slots=True)
class GraphHeader:
    """The inputs and outputs of a graph, its operator types, and the weight files that it names."""

    inputs: dict[str, TensorHeader]
    outputs: dict[str, TensorHeader]
    operators: frozenset[str]
    weight_files: tuple[str, ...] = ()

    @property
    def mixes_rows(self) -> bool:
        """True if activations are quantized over the batch, so that rows affect each other."""
        return any(name.startswith("DynamicQuantize") for name in self.operators)


def read_graph_header(file: Path) -> GraphHeader:
    """The header of an ONNX file.

    Raises EncoderError if the file is empty, truncated or no ONNX graph.
    """
    try:
        with (
            file.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return _read_file(data, file)
    except ValueError as error:
        raise _no_graph(file) from error
    except OSError as error:
        raise EncoderError(f"{file}: cannot be read ({error.strerror})") from error


def _read_file(data: mmap.mmap, file: Path) -> GraphHeader:
    try:
        header = _read_model(WireReader(data, EncoderError))
    except EncoderError as error:
        raise _no_graph(file) from error
    if header is None or not header.outputs:
        raise _no_graph(file)
    try:
        survey = survey_onnx(data, EncoderError)
        check_operators(survey, EncoderError)
    except EncoderError as error:
        raise EncoderError(f"{file}: {error}") from error
    return replace(header, weight_files=tuple(sorted(survey.external)))


def _no_graph(file: Path) -> EncoderError:
    instead = what_lies_at(file)
    if instead is not None:
        return EncoderError(f"{file} is {instead}")
    return EncoderError(
        f"{file}: empty, truncated or not an ONNX graph; export or download it again"
    )


def _read_model(reader: WireReader) -> GraphHeader | None:
    """The header of ModelProto (graph = 7, opset_import = 8); None if it lacks one of them."""
    parts = dict(_messages(reader, (0, len(reader.data))))
    return _read_graph(reader, parts[7]) if 7 in parts and 8 in parts else None


def _read_graph(reader: WireReader, graph: Span) -> GraphHeader:
    """GraphProto: node = 1 (op_type = 4), initializer = 5 (name = 8), input = 11, output = 12."""
    inputs: list[TensorHeader] = []
    outputs: list[TensorHeader] = []
    weights: set[str] = set()
    operators: set[str] = set()
    for number, span in _messages(reader, graph):
        if number == 1:
            operators.update(_texts(reader, span, 4))
        elif number == 5:
            weights.update(_texts(reader, span, 8))
        elif number == 11:
            inputs.append(_read_tensor(reader, span))
        elif number == 12:
            outputs.append(_read_tensor(reader, span))
    return GraphHeader(
        inputs={tensor.name: tensor for tensor in inputs if tensor.name not in weights},
        outputs={tensor.name: tensor for tensor in outputs},
        operators=frozenset(operators),
    )


def _read_tensor(reader: WireReader, value: Span) -> TensorHeader:
    """ValueInfoProto: name = 1, type = 2; tensor_type = 1: elem_type = 1, shape = 2; dim = 1."""
    name = next(_texts(reader, value, 1), "")
    dtype, shape = "", None
    for kind in _children(reader, value, 2):
        for tensor in _children(reader, kind, 1):
            dtype = _DTYPES.get(_number(reader, tensor, 1) or 0, "")
            for dims in _children(reader, tensor, 2):
                shape = tuple(_size(reader, dim) for dim in _children(reader, dims, 1))
    return TensorHeader(name, dtype, shape)


def _size(reader: WireReader, dim: Span) -> int | None:
    """Dimension: dim_value = 1; zero, negative (64-bit wrapped) and named sizes are open."""
    size = _number(reader, dim, 1) or 0
    return size if 0 < size < 2**31 else None


def _children(reader: WireReader, message: Span, field: int) -> Iterator[Span]:
    return (span for number, span in _messages(reader, message) if number == field)


def _texts(reader: WireReader, message: Span, field: int) -> Iterator[str]:
    return (reader.text((a, b)) for a, b in _children(reader, message, field))


def _number(reader: WireReader, message: Span, field: int) -> int | None:
    """The value of a varint field."""
    for number, wire, start, _ in reader.fields(message):
        if number == field and wire == VARINT:
            return start
    return None


def _messages(reader: WireReader, message: Span) -> Iterator[tuple[int, Span]]:
    """(field number, span) of the length-delimited fields of a message."""
    for number, wire, start, end in reader.fields(message):
        if wire == LENGTH:
            yield number, (start, end)
