"""Tiny linear classifiers written as ONNX and TFLite files, and what they must answer in numpy."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as tfl
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH, CLASSES = 6, 4, 5
STEP = 1 / 256  # of quantised probabilities
LOGIT_STEP, LOGIT_ZERO = 0.05, -3  # of quantised logits

_ONNX_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
}
_SCALED = {
    "0..255": lambda pixels: pixels,
    "0..1": lambda pixels: pixels / 255,
    "-1..1": lambda pixels: pixels / 127.5 - 1,
}


@dataclass(frozen=True)
class Form:
    """One way in which a published classifier may be written."""

    framework: str = "onnx"
    layout: str = "NCHW"
    channels: str = "RGB"
    dtype: str = "float32"
    scale: str = "0..1"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    batch: int | None = None
    ending: str = "none"
    opset: int = 17

    @property
    def suffix(self) -> str:
        return f".{self.framework}"

    @property
    def depth(self) -> int:
        return 1 if self.channels == "L" else 3

    @property
    def input_quantisation(self) -> tuple[float, int]:
        """Scale and zero point such that the integers of an input stand for scaled pixels."""
        step, zero = {"0..255": (1.0, 0), "0..1": (1 / 255, 0), "-1..1": (2 / 255, 127)}[self.scale]
        return step, zero - (128 if self.dtype == "int8" else 0)

    @property
    def shape(self) -> list[Any]:
        batch = "n" if self.batch is None else self.batch
        size = [HEIGHT, WIDTH]
        return [batch, *size, self.depth] if self.layout == "NHWC" else [batch, self.depth, *size]

    @property
    def output(self) -> str:
        return {"none": "logits", "sigmoid": "sigmoid"}.get(self.ending, "softmax")


def pictures(form: Form, count: int, seed: int = 1) -> np.ndarray:
    """uint8 pictures as `spec.input.pixels` of the form asks for them."""
    shape = (count, HEIGHT, WIDTH, form.depth)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def weights(form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Features x classes in the order of the form's tensor, and the bias."""
    rng = np.random.default_rng(7)
    features = HEIGHT * WIDTH * form.depth
    matrix = rng.normal(0, 1, (features, CLASSES)) / np.sqrt(features)
    if form.scale == "0..255":
        matrix = matrix / 100
    return matrix.astype(np.float32), rng.normal(0, 0.5, CLASSES).astype(np.float32)


def expected_logits(form: Form, pixels: np.ndarray) -> np.ndarray:
    """The logits by plain arithmetic in float64, independent of the code under test."""
    real = _SCALED[form.scale](pixels.astype(np.float64))
    if form.channels == "BGR":
        real = np.stack([real[..., 2], real[..., 1], real[..., 0]], axis=-1)
    real = (real - np.array(form.mean or 0.0)) / np.array(form.std or 1.0)
    if form.layout == "NCHW":
        real = np.moveaxis(real, -1, 1)
    matrix, bias = weights(form)
    return real.reshape(len(pixels), -1) @ matrix.astype(np.float64) + bias


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def description(form: Form) -> dict[str, Any]:
    """The model.json that tells what the file cannot."""
    said = {"channels": form.channels, "scale": form.scale}
    said |= {"mean": list(form.mean)} if form.mean else {}
    said |= {"std": list(form.std)} if form.std else {}
    return {"input": said, "output": form.output}


def write_model(form: Form, folder: Path, described: bool = True) -> Path:
    """The model file, with its model.json beside it if asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"model{form.suffix}"
    file.write_bytes(onnx_bytes(form) if form.framework == "onnx" else tflite_bytes(form))
    if described:
        (folder / "model.json").write_text(json.dumps(description(form)))
    return file


# ------------------------------------------------------------------------------------------ ONNX


def onnx_bytes(form: Form) -> bytes:
    matrix, bias = weights(form)
    arrays = {"W": matrix, "b": bias}
    nodes = [*_onnx_start(form, arrays), helper.make_node("Gemm", ["flat", "W", "b"], ["scores"])]
    kind = TensorProto.FLOAT
    if form.ending != "none":
        kind = _onnx_ending(form, nodes, arrays)
    batch = form.shape[0]
    output = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("picture", _ONNX_TYPES[form.dtype], form.shape)],
        [helper.make_tensor_value_info(output, kind, [batch, CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", form.opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def _onnx_start(form: Form, arrays: dict[str, np.ndarray]) -> list[Any]:
    """From the picture tensor to "flat": float32 features."""
    if form.dtype in ("uint8", "int8") and form.scale != "0..255":
        step, zero = form.input_quantisation
        arrays["x_scale"] = np.float32(step)
        arrays["x_zero"] = np.array(zero, form.dtype)
        first = helper.make_node("DequantizeLinear", ["picture", "x_scale", "x_zero"], ["real"])
    else:
        first = helper.make_node("Cast", ["picture"], ["real"], to=TensorProto.FLOAT)
    steps = [first]
    if form.dtype == "int8" and form.scale == "0..255":  # the model's own meaning of int8
        arrays["shift"] = np.float32(128)
        steps.append(helper.make_node("Add", ["real", "shift"], ["shifted"]))
    return [*steps, helper.make_node("Flatten", [steps[-1].output[0]], ["flat"])]


def _onnx_ending(form: Form, nodes: list[Any], arrays: dict[str, np.ndarray]) -> int:
    """Adds what follows the scores; gives the type of the output."""
    simple = {"softmax": "Softmax", "sigmoid": "Sigmoid", "log_softmax": "LogSoftmax"}
    if form.ending in simple:
        nodes.append(helper.make_node(simple[form.ending], ["scores"], ["probabilities"]))
        return int(TensorProto.FLOAT)
    if form.ending == "spelled_out":
        axes = {"axes": [1], "keepdims": 1}
        arrays["one"] = np.array([1], np.int64)
        nodes += [
            helper.make_node("ReduceMax", ["scores"], ["top"], **axes),
            helper.make_node("Sub", ["scores", "top"], ["lower"]),
            helper.make_node("Exp", ["lower"], ["powers"]),
            helper.make_node("ReduceSum", ["powers", "one"], ["total"], keepdims=1),
            helper.make_node("Div", ["powers", "total"], ["probabilities"]),
        ]
        return int(TensorProto.FLOAT)
    if form.ending == "quantised_softmax":  # float softmax, then uint8
        arrays |= {"p_scale": np.float32(STEP), "p_zero": np.uint8(0)}
        nodes += [
            helper.make_node("Softmax", ["scores"], ["probabilities"]),
            helper.make_node("Identity", ["probabilities"], ["same"]),
            helper.make_node("QuantizeLinear", ["same", "p_scale", "p_zero"], ["bytes"]),
        ]
        return int(TensorProto.UINT8)
    if form.ending == "integer_softmax":  # all in int8, as quantisation tools write it
        arrays |= {"l_scale": np.float32(LOGIT_STEP), "l_zero": np.int8(LOGIT_ZERO)}
        arrays |= {"p_scale": np.float32(STEP), "p_zero": np.int8(-128)}
        scales = ["l_scale", "l_zero", "p_scale", "p_zero"]
        nodes += [
            helper.make_node("QuantizeLinear", ["scores", "l_scale", "l_zero"], ["q"]),
            helper.make_node(
                "QLinearSoftmax",
                ["q", *scales],
                ["qp"],
                domain="com.microsoft",
                axis=1,
                opset=form.opset,
            ),
            helper.make_node("DequantizeLinear", ["qp", "p_scale", "p_zero"], ["probabilities"]),
        ]
        return int(TensorProto.FLOAT)
    if form.ending == "hidden_softmax":  # a softmax that the walk back cannot reach
        nodes += [
            helper.make_node("Softmax", ["scores"], ["probabilities"]),
            helper.make_node("Abs", ["probabilities"], ["same"]),
        ]
        return int(TensorProto.FLOAT)
    raise ValueError(form.ending)


def resave(file: Path, change: Any) -> None:
    """Loads an ONNX file, lets `change(model)` alter it, and writes it back."""
    model = onnx.load(file)
    change(model)
    onnx.save(model, file)


# ---------------------------------------------------------------------------------------- TFLite

_TFL_TYPES = {
    "float32": tfl.TensorType.FLOAT32,
    "uint8": tfl.TensorType.UINT8,
    "int8": tfl.TensorType.INT8,
    "int16": tfl.TensorType.INT16,
    "int32": tfl.TensorType.INT32,
    "int64": tfl.TensorType.INT64,
}


class TfliteWriter:
    """Collects tensors and operators, and packs them into the bytes of a .tflite file."""

    def __init__(self) -> None:
        self.model = tfl.ModelT()
        self.model.version = 3
        self.model.buffers = [tfl.BufferT()]
        self.model.operatorCodes = []
        self.graph = tfl.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        name: str,
        shape: list[int],
        dtype: str,
        quantisation: tuple[float, int] | None = None,
        data: np.ndarray | None = None,
    ) -> int:
        entry = tfl.TensorT()
        entry.name, entry.shape, entry.type = name.encode(), shape, _TFL_TYPES[dtype]
        entry.buffer = 0
        if quantisation is not None:
            entry.quantization = tfl.QuantizationParametersT()
            entry.quantization.scale = [quantisation[0]]
            entry.quantization.zeroPoint = [quantisation[1]]
        if data is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            entry.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(entry)
        return len(self.graph.tensors) - 1

    def operator(
        self,
        code: int,
        inputs: list[int],
        outputs: list[int],
        options: tuple[int, Any] | None = None,
        custom: str | None = None,
    ) -> None:
        entry = tfl.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
        entry.version = 1
        entry.customCode = custom.encode() if custom else None
        self.model.operatorCodes.append(entry)
        step = tfl.OperatorT()
        step.opcodeIndex = len(self.model.operatorCodes) - 1
        step.inputs, step.outputs = inputs, outputs
        if options is not None:
            step.builtinOptionsType, step.builtinOptions = options
        self.graph.operators.append(step)

    def pack(self, inputs: list[int], outputs: list[int]) -> bytes:
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def tflite_bytes(form: Form) -> bytes:
    return _tflite_float(form) if form.dtype == "float32" else _tflite_quantised(form)


def _tflite_float(form: Form) -> bytes:
    writer = TfliteWriter()
    matrix, bias = weights(form)
    batch = form.batch or 1
    picture = writer.tensor("picture", [batch, *form.shape[1:]], "float32")
    inner = writer.tensor(
        "W", [CLASSES, len(matrix)], "float32", data=np.ascontiguousarray(matrix.T)
    )
    offset = writer.tensor("b", [CLASSES], "float32", data=bias)
    scores = writer.tensor("scores", [batch, CLASSES], "float32")
    _fully_connected(writer, [picture, inner, offset], scores)
    last = scores
    if form.ending in ("softmax", "sigmoid"):
        last = writer.tensor("probabilities", [batch, CLASSES], "float32")
        _final(writer, form.ending, scores, last)
    elif form.ending == "hidden_softmax":
        inside = writer.tensor("probabilities", [batch, CLASSES], "float32")
        _final(writer, "softmax", scores, inside)
        last = writer.tensor("same", [batch, CLASSES], "float32")
        writer.operator(tfl.BuiltinOperator.ABS, [inside], [last])
    return writer.pack([picture], [last])


def _tflite_quantised(form: Form) -> bytes:
    """uint8 or int8 in and out, int8 within, as converters write it."""
    writer = TfliteWriter()
    matrix, bias = weights(form)
    step, zero = form.input_quantisation
    shape = [form.batch or 1, *form.shape[1:]]
    picture = writer.tensor("picture", shape, form.dtype, (step, zero))
    features, rows = picture, [form.batch or 1, CLASSES]
    if form.dtype == "uint8":
        features = writer.tensor("features", shape, "int8", (step, zero - 128))
        writer.operator(tfl.BuiltinOperator.QUANTIZE, [picture], [features])
    w_step = float(np.abs(matrix).max() / 127)
    integers = np.rint(matrix.T / w_step).astype(np.int8)
    offsets = np.rint(bias / (w_step * step)).astype(np.int32)
    inner = writer.tensor("W", [CLASSES, len(matrix)], "int8", (w_step, 0), integers)
    offset = writer.tensor("b", [CLASSES], "int32", (w_step * step, 0), offsets)
    scores = writer.tensor("scores", rows, "int8", (LOGIT_STEP, LOGIT_ZERO))
    _fully_connected(writer, [features, inner, offset], scores)
    last = scores
    if form.ending in ("softmax", "sigmoid"):
        last = writer.tensor("probabilities", rows, "int8", (STEP, -128))
        _final(writer, form.ending, scores, last)
        if form.dtype == "uint8":
            published = writer.tensor("published", rows, "uint8", (STEP, 0))
            writer.operator(tfl.BuiltinOperator.QUANTIZE, [last], [published])
            last = published
    return writer.pack([picture], [last])


def _fully_connected(writer: TfliteWriter, inputs: list[int], output: int) -> None:
    options = tfl.FullyConnectedOptionsT()
    kind = tfl.BuiltinOptions.FullyConnectedOptions
    writer.operator(tfl.BuiltinOperator.FULLY_CONNECTED, inputs, [output], (kind, options))


def _final(writer: TfliteWriter, ending: str, scores: int, output: int) -> None:
    if ending == "sigmoid":
        writer.operator(tfl.BuiltinOperator.LOGISTIC, [scores], [output])
        return
    options = tfl.SoftmaxOptionsT()
    options.beta = 1.0
    kind = tfl.BuiltinOptions.SoftmaxOptions
    writer.operator(tfl.BuiltinOperator.SOFTMAX, [scores], [output], (kind, options))
