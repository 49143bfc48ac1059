"""The numbers by which TFLite files are read are those of the published schema."""

import re
from types import ModuleType
from typing import Any

import pytest

from lagotto.models.files import tflite_graph
from lagotto.models.metadata import tflite as tflite_metadata

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

GRAPH_SLOTS = {
    "_MODEL_CODES": "ModelAddOperatorCodes",
    "_MODEL_SUBGRAPHS": "ModelAddSubgraphs",
    "_MODEL_BUFFERS": "ModelAddBuffers",
    "_CODE_DEPRECATED": "OperatorCodeAddDeprecatedBuiltinCode",
    "_CODE_CUSTOM": "OperatorCodeAddCustomCode",
    "_CODE_BUILTIN": "OperatorCodeAddBuiltinCode",
    "_GRAPH_TENSORS": "SubGraphAddTensors",
    "_GRAPH_INPUTS": "SubGraphAddInputs",
    "_GRAPH_OUTPUTS": "SubGraphAddOutputs",
    "_GRAPH_OPERATORS": "SubGraphAddOperators",
    "_OPERATOR_CODE": "OperatorAddOpcodeIndex",
    "_OPERATOR_INPUTS": "OperatorAddInputs",
    "_OPERATOR_OUTPUTS": "OperatorAddOutputs",
    "_TENSOR_SHAPE": "TensorAddShape",
    "_TENSOR_TYPE": "TensorAddType",
    "_TENSOR_BUFFER": "TensorAddBuffer",
    "_TENSOR_NAME": "TensorAddName",
    "_TENSOR_QUANTIZATION": "TensorAddQuantization",
    "_TENSOR_SIGNATURE": "TensorAddShapeSignature",
    "_QUANTIZATION_SCALE": "QuantizationParametersAddScale",
    "_QUANTIZATION_ZERO": "QuantizationParametersAddZeroPoint",
    "_BUFFER_DATA": "BufferAddData",
    "_BUFFER_OFFSET": "BufferAddOffset",
    "_BUFFER_SIZE": "BufferAddSize",
}
"""Our name for a slot, and the function of the schema that writes to it."""

METADATA_SLOTS = {
    "_MODEL_BUFFERS": "ModelAddBuffers",
    "_MODEL_METADATA": "ModelAddMetadata",
    "_ENTRY_NAME": "MetadataAddName",
    "_ENTRY_BUFFER": "MetadataAddBuffer",
    "_BUFFER_DATA": "BufferAddData",
}
"""Those of the model; the schema of the metadata itself comes with no package that we install."""

OPERATORS = {
    "ADD": "Add",
    "CONCATENATION": "Concat",
    "MUL": "Mul",
    "GATHER": "Gather",
    "STRIDED_SLICE": "Slice",
    "SLICE": "Slice",
    "TOPK_V2": "TopK",
    "ARG_MAX": "ArgMax",
    "ROUND": "Round",
    "CONV_2D": "Conv",
    "DEPTHWISE_CONV_2D": "Conv",
    "FULLY_CONNECTED": "Gemm",
    "DEQUANTIZE": "DequantizeLinear",
    "LOGISTIC": "Sigmoid",
    "RESHAPE": "Reshape",
    "SOFTMAX": "Softmax",
    "TRANSPOSE": "Transpose",
    "SUB": "Sub",
    "DIV": "Div",
    "SQUEEZE": "Squeeze",
    "EXP": "Exp",
    "LOG_SOFTMAX": "LogSoftmax",
    "CAST": "Cast",
    "EXPAND_DIMS": "Unsqueeze",
    "LOG": "Log",
    "SUM": "ReduceSum",
    "REDUCE_MAX": "ReduceMax",
    "QUANTIZE": "QuantizeLinear",
}
"""By the schema's name: the same operator's name in ONNX."""


class SlotRecorder:
    """Stands in for a flatbuffer builder and notes the slot that is written to."""

    def __init__(self) -> None:
        self.slots: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return lambda slot, *values: self.slots.append(slot)


def schema_slot(writer: str) -> int:
    recorder = SlotRecorder()
    getattr(schema, writer)(recorder, 1)
    (slot,) = recorder.slots
    return slot


@pytest.mark.parametrize(
    ("module", "slots"),
    [(tflite_graph, GRAPH_SLOTS), (tflite_metadata, METADATA_SLOTS)],
    ids=["graph", "metadata"],
)
def test_slots_are_those_of_the_schema(module: ModuleType, slots: dict[str, str]) -> None:
    ours = {name: getattr(module, name) for name in slots}
    assert ours == {name: schema_slot(writer) for name, writer in slots.items()}


def test_every_slot_of_the_graph_is_compared() -> None:
    tables = r"_(MODEL|CODE|GRAPH|OPERATOR|TENSOR|QUANTIZATION|BUFFER)_[A-Z]+"
    assert {name for name in vars(tflite_graph) if re.fullmatch(tables, name)} == set(GRAPH_SLOTS)


def test_operators_have_the_numbers_of_the_schema() -> None:
    expected = {getattr(schema.BuiltinOperator, name): onnx for name, onnx in OPERATORS.items()}
    assert expected == tflite_graph._NAMES
    assert schema.BuiltinOperator.CUSTOM == tflite_graph._CUSTOM


def test_types_of_tensors_have_the_numbers_of_the_schema() -> None:
    names = ("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "int8")
    names += ("float64",)
    numbers = {getattr(schema.TensorType, name.upper()): name for name in names}
    assert numbers == tflite_graph._DTYPES
