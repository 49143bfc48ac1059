"""Bytes of a TFLite file come in; its tensors, operators and outputs go out."""

import math
import struct
from dataclasses import dataclass

from lagotto.core.errors import ModelError
from lagotto.models.files.activation import Node
from lagotto.models.files.flatbuffer import (
    FlatTable,
    damaged,
    root_table,
)
from lagotto.models.files.tensors import Quantization

# Slots of the TFLite schema, by table; a test compares them with the schema.
_MODEL_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_CODE_DEPRECATED, _CODE_CUSTOM, _CODE_BUILTIN = 0, 1, 3
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OUTPUTS, _GRAPH_OPERATORS = 0, 1, 2, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 1, 2, 3
_TENSOR_QUANTIZATION, _TENSOR_SIGNATURE = 4, 7
_QUANTIZATION_SCALE, _QUANTIZATION_ZERO = 2, 3
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2
_CUSTOM = 32
_FLOAT_BYTES = 4
_MAX_RANK = 64
MAX_TENSOR_ELEMENTS = 2**31
"""Elements of one tensor at most, as declared; a larger one exceeds the memory of a worker."""

# ONNX names of the operators that may end a classifier, and of those that make up its layers.
_NAMES = {
    0: "Add",
    2: "Concat",
    3: "Conv",
    4: "Conv",
    9: "Gemm",
    6: "DequantizeLinear",
    14: "Sigmoid",
    18: "Mul",
    22: "Reshape",
    25: "Softmax",
    36: "Gather",
    39: "Transpose",
    41: "Sub",
    42: "Div",
    43: "Squeeze",
    45: "Slice",
    47: "Exp",
    48: "TopK",
    50: "LogSoftmax",
    53: "Cast",
    56: "ArgMax",
    65: "Slice",
    70: "Unsqueeze",
    73: "Log",
    74: "ReduceSum",
    82: "ReduceMax",
    114: "QuantizeLinear",
    116: "Round",
}
_COMES_WITH = {"TFLite_Detection_PostProcess": "DetectionPostProcess"}
"""Custom operators that every interpreter has."""

_DTYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    5: "string",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float64",
}


@dataclass(frozen=True, slots=True)
class TfliteTensor:
    """A tensor as declared; an open dimension is None, a quantization by several scales too."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    quantization: Quantization | None


@dataclass(frozen=True, slots=True)
class TfliteGraph:
    """The main graph. Tensors are identified by index; `producers` uses the index as text.

    `outputs_at` is the byte position of the list of outputs, 4 bytes each. `numbers` has the value
    of each constant of one float, by the index as text.
    """

    tensors: tuple[TfliteTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    producers: dict[str, Node]
    outputs_at: int
    numbers: dict[str, float]


def read_tflite_graph(data: bytes) -> TfliteGraph:
    """Reads the main graph of a TFLite file.

    Raises ModelError if the bytes are no TFLite file, or if one of its graphs uses an operator that
    is not built in or declares a tensor of more than MAX_TENSOR_ELEMENTS.
    """
    if data[4:8] != b"TFL3":
        raise ModelError("not a TFLite file (no TFL3 mark); download or export the model again")
    model = root_table(data)
    graphs = model.tables(_MODEL_SUBGRAPHS)
    if not graphs:
        raise ModelError("the TFLite file holds no graph; export the model again")
    for buffer in model.tables(_MODEL_BUFFERS):
        buffer.vector(_BUFFER_DATA, "B")
        end = buffer.integer(_BUFFER_OFFSET, "Q") + buffer.integer(_BUFFER_SIZE, "Q")
        if end > len(data):
            raise damaged(end)
    codes = [_operator_name(code) for code in model.tables(_MODEL_CODES)]
    for inner in graphs:
        _check_graph(inner, codes)
    graph = graphs[0]
    tensors = tuple(_tensor(tensor) for tensor in graph.tables(_GRAPH_TENSORS))
    inputs = graph.integers(_GRAPH_INPUTS, "i")
    outputs = graph.integers(_GRAPH_OUTPUTS, "i")
    if not outputs or not all(0 <= index < len(tensors) for index in (*inputs, *outputs)):
        raise ModelError("the TFLite graph names tensors that it does not hold; export it again")
    return TfliteGraph(
        tensors=tensors,
        inputs=inputs,
        outputs=outputs,
        producers=_producers(graph, codes, len(tensors)),
        outputs_at=graph.vector(_GRAPH_OUTPUTS, "i")[0],
        numbers=_numbers(model, graph),
    )


def with_tflite_output(data: bytes, graph: TfliteGraph, output: int, tensor: int) -> bytes:
    """The same model with another tensor (an index) as its output number `output`.

    Raises ModelError if these bytes of the file are also used for something else.
    """
    changed = bytearray(data)
    struct.pack_into("<i", changed, graph.outputs_at + 4 * output, tensor)
    after = read_tflite_graph(bytes(changed))
    same = (after.tensors, after.inputs, after.producers) == (
        graph.tensors,
        graph.inputs,
        graph.producers,
    )
    if not same or after.outputs[output] != tensor:
        raise ModelError("the list of outputs is shared with other parts of the TFLite file")
    return bytes(changed)


def _check_graph(graph: FlatTable, codes: list[str]) -> None:
    """Raises ModelError for operators and tensors that are refused, also in loops and branches."""
    for operator in graph.tables(_GRAPH_OPERATORS):
        code = operator.integer(_OPERATOR_CODE, "I")
        if code >= len(codes):
            raise damaged(operator.position)
        if codes[code].startswith("custom "):  # none of those that interpreters come with
            raise ModelError(
                f"the TFLite model needs the {codes[code]}, which is not built in; "
                "export it with built-in operators only (no Flex, Edge TPU or custom ones)"
            )
    for tensor in graph.tables(_GRAPH_TENSORS):
        sizes = [size for size in tensor.integers(_TENSOR_SHAPE, "i") if size > 0]
        if len(sizes) > _MAX_RANK:
            raise ModelError(f"it declares a tensor of over {_MAX_RANK} axes; it is not a model")
        if math.prod(sizes) > MAX_TENSOR_ELEMENTS:
            preview = ", ".join(map(str, sizes[:8])) + (", ..." if len(sizes) > 8 else "")
            raise ModelError(
                f"it declares a tensor of [{preview}]; at most "
                f"{MAX_TENSOR_ELEMENTS:,} elements are loaded"
            )


def _producers(graph: FlatTable, codes: list[str], tensors: int) -> dict[str, Node]:
    producers: dict[str, Node] = {}
    for operator in graph.tables(_GRAPH_OPERATORS):
        inputs = operator.integers(_OPERATOR_INPUTS, "i")
        outputs = operator.integers(_OPERATOR_OUTPUTS, "i")
        if not all(-1 <= index < tensors for index in (*inputs, *outputs)):  # -1: left out
            raise damaged(operator.position)
        node = Node(
            codes[operator.integer(_OPERATOR_CODE, "I")],
            tuple(str(index) for index in inputs),
            tuple(str(index) for index in outputs),
        )
        producers.update(dict.fromkeys(node.outputs, node))
    return producers


def _numbers(model: FlatTable, graph: FlatTable) -> dict[str, float]:
    """The constants that are one float32."""
    buffers = model.tables(_MODEL_BUFFERS)
    numbers = {}
    for index, tensor in enumerate(graph.tables(_GRAPH_TENSORS)):
        buffer = tensor.integer(_TENSOR_BUFFER, "I")
        if tensor.integer(_TENSOR_TYPE, "b") == 0 and 0 < buffer < len(buffers):
            start, length = buffers[buffer].vector(_BUFFER_DATA, "B")
            if length == _FLOAT_BYTES:
                numbers[str(index)] = struct.unpack_from("<f", model.data, start)[0]
    return numbers


def _operator_name(code: FlatTable) -> str:
    # Codes above 127 did not fit in the first field; writers fill either or both.
    number = max(code.integer(_CODE_DEPRECATED, "b"), code.integer(_CODE_BUILTIN, "i"))
    if number == _CUSTOM and code.text(_CODE_CUSTOM) in _COMES_WITH:
        return _COMES_WITH[code.text(_CODE_CUSTOM)]
    if number == _CUSTOM:
        return f"custom operator {code.text(_CODE_CUSTOM)[:80]!r}"
    return _NAMES.get(number, f"builtin {number}")


def _tensor(table: FlatTable) -> TfliteTensor:
    shape = table.integers(_TENSOR_SHAPE, "i")
    signature = table.integers(_TENSOR_SIGNATURE, "i")
    sizes = signature if len(signature) == len(shape) else shape
    kind = table.integer(_TENSOR_TYPE, "b")
    return TfliteTensor(
        name=table.text(_TENSOR_NAME),
        shape=tuple(size if size > 0 else None for size in sizes),
        dtype=_DTYPES.get(kind, f"type {kind}"),
        quantization=_quantization(table.table(_TENSOR_QUANTIZATION)),
    )


def _quantization(table: FlatTable | None) -> Quantization | None:
    if table is None:
        return None
    start, length = table.vector(_QUANTIZATION_SCALE, "f")
    if length != 1 or table.vector(_QUANTIZATION_ZERO, "q")[1] > 1:
        return None
    (scale,) = struct.unpack_from("<f", table.data, start)
    zeros = table.integers(_QUANTIZATION_ZERO, "q")
    return Quantization(scale, zeros[0] if zeros else 0) if 0 < scale < float("inf") else None
