"""Bytes of an ONNX file come in; its operators, constants, outputs and external files go out."""

import struct
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.parsing.onnx_survey import MEMORY_MARK, OnnxSurvey
from lagotto.core.parsing.protobuf import (
    LENGTH,
    VARINT,
    Buffer,
    Span,
    WireReader,
    field_bytes,
)
from lagotto.models.files.activation import Node
from lagotto.models.files.tensors import Quantization
from lagotto.models.files.weights import inside

# Field numbers of onnx.proto, by message.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_TENSOR = 5
_TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_INTEGERS = 2, 4, 5
_TENSOR_NAME, _TENSOR_RAW = 8, 9
_SCALAR_FORMATS = {1: "<f", 2: "<B", 3: "<b", 4: "<H", 5: "<h", 6: "<i"}


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """The main graph.

    `producers` maps a tensor to the operator that computes it, `consumers` to the first operator
    that uses it. `tensors` maps a constant to its bytes.
    """

    reader: WireReader
    producers: dict[str, Node]
    consumers: dict[str, Node]
    tensors: dict[str, Span]
    outputs: tuple[str, ...]

    def quantization(self, scale: str, zero_point: str | None) -> Quantization | None:
        """The quantization in two constant scalars; None if one is no scalar or the scale is not
        positive."""
        factor = self._scalar(scale)
        zero = self._scalar(zero_point) if zero_point else 0.0
        if factor is None or zero is None or not 0 < factor < float("inf"):
            return None
        return Quantization(factor, int(zero))

    def _scalar(self, name: str) -> float | None:
        span = self.tensors.get(name)
        if span is None:
            return None
        kind, packed = 0, None
        for number, wire, start, end in self.reader.fields(span):
            if number == _TENSOR_TYPE and wire == VARINT:
                kind = start
            elif number in (_TENSOR_RAW, _TENSOR_FLOATS) and wire != VARINT:
                packed = bytes(self.reader.data[start:end])
            elif number == _TENSOR_INTEGERS:
                several = self.reader.varints((start, end)) if wire == LENGTH else iter([start])
                values = list(islice(several, 2))
                if len(values) == 1:
                    signed = values[0] - (1 << 64) if values[0] >> 63 else values[0]
                    return float(signed)
        form = _SCALAR_FORMATS.get(kind)
        if form is None or packed is None or len(packed) != struct.calcsize(form):
            return None
        return float(struct.unpack(form, packed)[0])


def read_onnx_graph(data: Buffer) -> OnnxGraph:
    """The graph of an ONNX file's bytes; raises ModelError if they are not one."""
    reader = WireReader(data, ModelError)
    graph = OnnxGraph(reader, {}, {}, {}, ())
    outputs: list[str] = []
    has_graph = False
    for number, wire, start, end in reader.fields((0, len(data))):
        if number == _MODEL_GRAPH and wire == LENGTH:
            has_graph = True
            outputs += _read_graph(graph, (start, end))
    if not has_graph or not outputs:
        raise ModelError(
            "not an ONNX file: it holds no graph with outputs; download or export the model again"
        )
    return OnnxGraph(reader, graph.producers, graph.consumers, graph.tensors, tuple(outputs))


def with_onnx_output(data: bytes, *tensors: str) -> bytes:
    """The same model with `tensors` as additional graph outputs.

    Protobuf merges a message that appears twice and appends its lists. So it is enough to append a
    second graph field that holds only the outputs.
    """
    outputs = (field_bytes(_GRAPH_OUTPUT, field_bytes(1, name.encode())) for name in tensors)
    return data + field_bytes(_MODEL_GRAPH, b"".join(outputs))


def external_files(survey: OnnxSurvey, folder: Path) -> tuple[Path, ...]:
    """The files in `folder` that hold the external data of a model, sorted.

    Raises ModelError for a file that is missing or outside `folder`, and for a name that
    onnxruntime would read as an address in its own memory.
    """
    for name in survey.external:
        if MEMORY_MARK in name:
            raise ModelError(f"external data file is {name!r}, which stands for memory, not a file")
    return tuple(sorted(inside(folder, name, "external data file") for name in survey.external))


def _read_graph(graph: OnnxGraph, span: Span) -> list[str]:
    """Adds the nodes and constants in `span` to `graph`; returns the names of its outputs."""
    reader = graph.reader
    outputs = []
    for number, wire, start, end in reader.fields(span):
        if wire != LENGTH:
            continue
        if number == _GRAPH_NODE:
            _read_node(graph, (start, end))
        elif number == _GRAPH_INITIALIZER:
            graph.tensors[_text_field(reader, (start, end), _TENSOR_NAME)] = (start, end)
        elif number == _GRAPH_OUTPUT:
            outputs.append(_text_field(reader, (start, end), 1))
    return outputs


def _read_node(graph: OnnxGraph, span: Span) -> None:
    reader = graph.reader
    operator, inputs, outputs = "", [], []
    attributes: list[Span] = []
    for number, wire, start, end in reader.fields(span):
        if wire != LENGTH:
            continue
        if number == _NODE_INPUT:
            inputs.append(reader.text((start, end)))
        elif number == _NODE_OUTPUT:
            outputs.append(reader.text((start, end)))
        elif number == _NODE_OP:
            operator = reader.text((start, end))
        elif number == _NODE_ATTRIBUTE:
            attributes.append((start, end))
    node = Node(operator, tuple(inputs), tuple(outputs))
    graph.producers.update(dict.fromkeys(outputs, node))
    for name in inputs:
        graph.consumers.setdefault(name, node)
    if operator == "Constant" and outputs:
        for attribute in attributes:
            for number, wire, start, end in reader.fields(attribute):
                if number == _ATTRIBUTE_TENSOR and wire == LENGTH:
                    graph.tensors[outputs[0]] = (start, end)


def _text_field(reader: WireReader, span: Span, field: int) -> str:
    for number, wire, start, end in reader.fields(span):
        if number == field and wire == LENGTH:
            return reader.text((start, end))
    return ""
