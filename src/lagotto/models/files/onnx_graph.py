"""Bytes of an ONNX file come in; its operators, constants, outputs and external files go out."""

import struct
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.parsing.not_downloaded import HEAD_BYTES, what_lies_at
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
_ATTRIBUTE_NAME, _ATTRIBUTE_TENSOR, _ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS = 1, 5, 8, 9
_TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_INTEGERS = 2, 4, 5
_TENSOR_NAME, _TENSOR_RAW = 8, 9
_SCALAR_FORMATS = {1: "<f", 2: "<B", 3: "<b", 4: "<H", 5: "<h", 6: "<i", 10: "<e", 11: "<d"}
_NAMING = {
    "ZipMap": ("classlabels_strings", "classlabels_int64s"),
    "LabelEncoder": ("values_strings", "keys_int64s"),
}
"""Operators that put names to classes, with the attributes of the names and the numbers."""

_BFLOAT16 = 16
_MAX_NAMES = 200_000
_DATA_LISTED = 5


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """The main graph.

    `producers` maps a tensor to the operator that computes it, `consumers` to the first operator
    that uses it. `tensors` maps a constant to its bytes. `class_names` are those in a ZipMap or a
    LabelEncoder; a ZipMap that has only numbers gives them as texts. `bfloat16` has the outputs of
    that type, which numpy does not have.
    """

    reader: WireReader
    producers: dict[str, Node]
    consumers: dict[str, Node]
    tensors: dict[str, Span]
    outputs: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    bfloat16: set[str] = field(default_factory=set)

    def constant(self, name: str) -> float | None:
        """The value of a constant that is a single number; None for any other tensor."""
        return self._scalar(name)

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
                    return float(_signed(values[0]))
        form = _SCALAR_FORMATS.get(kind)
        if form is None or packed is None or len(packed) != struct.calcsize(form):
            return None
        return float(struct.unpack(form, packed)[0])


def read_onnx_graph(data: Buffer) -> OnnxGraph:
    """The graph of an ONNX file's bytes; raises ModelError if they are not one."""
    reader = WireReader(data, ModelError)
    graph = OnnxGraph(reader, {}, {}, {}, ())
    outputs: list[str] = []
    naming: dict[str, tuple[str, ...]] = {}
    has_graph = False
    for number, wire, start, end in reader.fields((0, len(data))):
        if number == _MODEL_GRAPH and wire == LENGTH:
            has_graph = True
            outputs += _read_graph(graph, naming, (start, end))
    if not has_graph or not outputs:
        raise ModelError(
            "not an ONNX file: it holds no graph with outputs; download or export the model again"
        )
    names = naming.get("ZipMap") or naming.get("LabelEncoder") or ()
    return replace(graph, outputs=tuple(outputs), class_names=names)


def with_onnx_output(data: bytes, *tensors: str) -> bytes:
    """The same model with `tensors` as additional graph outputs.

    Protobuf merges a message that appears twice and appends its lists. So it is enough to append a
    second graph field that holds only the outputs.
    """
    outputs = (field_bytes(_GRAPH_OUTPUT, field_bytes(1, name.encode())) for name in tensors)
    return data + field_bytes(_MODEL_GRAPH, b"".join(outputs))


def with_forward_slashes(data: bytes, survey: OnnxSurvey) -> bytes:
    """The same model; in the names of its external files, a backslash is a slash."""
    if not survey.backslashes:
        return data
    changed = bytearray(data)
    for start, end in survey.backslashes:
        changed[start:end] = changed[start:end].replace(b"\\", b"/")
    return bytes(changed)


def external_files(survey: OnnxSurvey, folder: Path) -> tuple[Path, ...]:
    """The files in `folder` that hold the external data of a model, sorted.

    A backslash in a name separates folders, as Windows writes it.

    Raises ModelError for a file that is missing, shorter than the model needs or outside `folder`,
    and for a name that onnxruntime would read as an address in its own memory.
    """
    files = []
    for name, needed in sorted(survey.external_bytes.items()):
        if MEMORY_MARK in name:
            raise ModelError(f"external data file is {name!r}, which stands for memory, not a file")
        file = inside(
            folder,
            name,
            "external data file",
            partial(_data_beside, folder, needed),
        )
        _check_data_size(file, needed)
        files.append(file)
    return tuple(sorted(files))


def _check_data_size(file: Path, needed: int) -> None:
    size = file.stat().st_size
    if size >= needed:
        return
    instead = what_lies_at(file) if size < HEAD_BYTES else None
    if instead is None:
        instead = f"cut short ({size} bytes); download it again"
    raise ModelError(
        f"external data file {file.name!r}, of which {needed} bytes are needed, is {instead}"
    )


def _data_beside(folder: Path, needed: int) -> str:
    """What a message can say of a missing data file: the files that may be the one, renamed."""
    try:
        entries = sorted(islice(folder.iterdir(), 1000))
        sizes = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    except OSError:
        return "download it beside the model"
    fitting = [
        f"{name[:80]!a} ({size} bytes)"
        for name, size in sizes.items()
        if size >= max(needed, 1) and not name.lower().endswith((".onnx", ".json", ".txt"))
    ]
    if not fitting:
        return f"download it beside the model ({needed} bytes are needed)"
    return (
        f"beside the model lies {', '.join(fitting[:_DATA_LISTED])}: if that is the file, give it "
        "the name that the model asks for"
    )


def _read_graph(graph: OnnxGraph, naming: dict[str, tuple[str, ...]], span: Span) -> list[str]:
    """Adds what is in `span` to `graph` and `naming`; returns the names of its outputs."""
    reader = graph.reader
    outputs = []
    for number, wire, start, end in reader.fields(span):
        if wire != LENGTH:
            continue
        if number == _GRAPH_NODE:
            _read_node(graph, naming, (start, end))
        elif number == _GRAPH_INITIALIZER:
            graph.tensors[_text_field(reader, (start, end), _TENSOR_NAME)] = (start, end)
        elif number == _GRAPH_OUTPUT:
            outputs.append(_text_field(reader, (start, end), 1))
            if _element_type(reader, (start, end)) == _BFLOAT16:
                graph.bfloat16.add(outputs[-1])
    return outputs


def _element_type(reader: WireReader, value: Span) -> int:
    """The type of an output's elements (ValueInfoProto: type = 2; tensor = 1; elem_type = 1)."""
    spans = [value]
    for inner in (2, 1):
        spans = [
            (start, end)
            for span in spans
            for number, wire, start, end in reader.fields(span)
            if number == inner and wire == LENGTH
        ]
    types = [
        start
        for span in spans
        for number, wire, start, _ in reader.fields(span)
        if number == 1 and wire == VARINT
    ]
    return types[-1] if types else 0


def _read_node(graph: OnnxGraph, naming: dict[str, tuple[str, ...]], span: Span) -> None:
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
    if operator in _NAMING and operator not in naming:
        naming[operator] = _class_names(reader, operator, attributes)
    if operator == "Constant" and outputs:
        for attribute in attributes:
            for number, wire, start, end in reader.fields(attribute):
                if number == _ATTRIBUTE_TENSOR and wire == LENGTH:
                    graph.tensors[outputs[0]] = (start, end)


def _signed(value: int) -> int:
    """The number that a varint of 64 bits stands for."""
    return value - (1 << 64) if value >> 63 else value


def _class_names(reader: WireReader, operator: str, attributes: list[Span]) -> tuple[str, ...]:
    """The names that an operator puts to classes 0, 1, ...; empty if it has none or skips some."""
    texts: dict[str, list[str]] = {}
    numbers: dict[str, list[int]] = {}
    for attribute in attributes:
        name = _text_field(reader, attribute, _ATTRIBUTE_NAME)
        for number, wire, start, end in reader.fields(attribute):
            if number == _ATTRIBUTE_STRINGS and wire == LENGTH:
                texts.setdefault(name, []).append(reader.text((start, end)))
            elif number == _ATTRIBUTE_INTS:
                several = reader.varints((start, end)) if wire == LENGTH else iter([start])
                numbers.setdefault(name, []).extend(islice(several, _MAX_NAMES))
    of_names, of_numbers = _NAMING[operator]
    names, positions = texts.get(of_names, []), numbers.get(of_numbers, [])
    is_plain = positions == list(range(len(positions)))
    if operator == "LabelEncoder":
        by_position = dict(zip(positions, names, strict=False))
        in_order = tuple(by_position.get(position, "") for position in range(len(names)))
        return in_order if len(positions) == len(names) and all(in_order) else ()
    if names:
        return tuple(names)
    return () if is_plain else tuple(str(_signed(position)) for position in positions)


def _text_field(reader: WireReader, span: Span, field: int) -> str:
    for number, wire, start, end in reader.fields(span):
        if number == field and wire == LENGTH:
            return reader.text((start, end))
    return ""
