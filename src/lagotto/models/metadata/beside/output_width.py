"""A model file comes in; how many classes its outputs may have goes out, without running it."""

import mmap
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.parsing.protobuf import LENGTH, VARINT, Span, WireReader
from lagotto.models.files.tflite_graph import read_tflite_graph
from lagotto.models.files.weights import MAX_WEIGHTS_BYTES
from lagotto.models.reductions.forms import possible_class_counts

# Field numbers of onnx.proto, from the model down to a dimension.
_MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE = 7, 12, 2, 1, 2
_SHAPE_DIMENSION, _DIMENSION_SIZE = 1, 1
_MOST_OUTPUTS = 64


def output_widths(file: Path) -> frozenset[int]:
    """The widths of the outputs of an .onnx or .tflite file; none where they are not declared.

    For a detector or a segmenter they are all numbers of classes that its shapes allow. A file that
    cannot be read has none.
    """
    try:
        if not 0 < file.stat().st_size <= MAX_WEIGHTS_BYTES:
            return frozenset()
        if file.suffix.lower() == ".onnx":
            return _onnx_widths(file)
        if file.suffix.lower() == ".tflite":
            graph = read_tflite_graph(file.read_bytes())
            shapes = [graph.tensors[index].shape for index in graph.outputs[:_MOST_OUTPUTS]]
            return frozenset().union(*map(possible_class_counts, shapes))
    except (OSError, ModelError):
        return frozenset()
    return frozenset()


def _onnx_widths(file: Path) -> frozenset[int]:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = memoryview(data)
        try:
            reader = WireReader(view, ModelError)
            outputs = _inside(reader, [(0, len(view))], _MODEL_GRAPH)
            outputs = _inside(reader, outputs, _GRAPH_OUTPUT)[:_MOST_OUTPUTS]
            widths: set[int] = set()
            for output in outputs:
                shape = _inside(reader, [output], _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE)
                sizes = [_size(reader, span) for span in _inside(reader, shape, _SHAPE_DIMENSION)]
                widths |= possible_class_counts(tuple(sizes))
            return frozenset(widths)
        finally:
            view.release()


def _inside(reader: WireReader, spans: list[Span], *path: int) -> list[Span]:
    """The messages at a path of fields."""
    for number in path:
        spans = [
            (start, end)
            for span in spans
            for field, wire, start, end in reader.fields(span)
            if field == number and wire == LENGTH
        ]
    return spans


def _size(reader: WireReader, dimension: Span) -> int | None:
    for number, wire, value, _ in reader.fields(dimension):
        if number == _DIMENSION_SIZE and wire == VARINT and 0 < value < 1 << 31:
            return value
    return None
