"""Classifiers whose right feed is known: every layer is centered on pictures fed in that way.

Small stacks of 1x1 convolutions with ReLU between them, as a network with its batch normalization
folded into the weights: each layer's values have mean 0 and deviation 1 on `photos`, fed rightly.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as tfl
from onnx import TensorProto, helper, numpy_helper

from model_makers import TfliteWriter

EDGE, CLASSES = 8, 6
WIDTHS = (12, 16, 16, 16, 12)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Truth:
    """How a model was trained to be fed."""

    scale: str = "0..1"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: str = "RGB"
    layout: str = "NCHW"


def photos(count: int = 64, seed: int = 3, edge: int = EDGE) -> np.ndarray:
    """uint8 pictures that are warm, as photographs are: red above green above blue."""
    rng = np.random.default_rng(seed)
    light = rng.normal(115, 45, (count, 1, 1, 1)) + rng.normal(0, 30, (count, edge, edge, 1))
    colour = rng.normal(0, 14, (count, 1, 1, 3)) + rng.normal(0, 8, (count, edge, edge, 3))
    return np.clip(np.rint(light + colour + (24, 2, -24)), 0, 255).astype(np.uint8)


def fed(truth: Truth, pixels: np.ndarray) -> np.ndarray:
    """What the model is given, channels last, by plain arithmetic."""
    real = pixels.astype(np.float64)
    real = {"0..255": real, "0..1": real / 255, "-1..1": real / 127.5 - 1}[truth.scale]
    if truth.channels == "BGR":
        real = real[..., ::-1]
    return (real - np.array(truth.mean or 0.0)) / np.array(truth.std or 1.0)


def layers(truth: Truth, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weights in x out, bias) of each layer, the last one that of the classes."""
    rng = np.random.default_rng(seed)
    values = fed(truth, photos()).reshape(-1, 3)
    made = []
    for width in (*WIDTHS, CLASSES):
        matrix = rng.normal(0, 1, (values.shape[1], width)) / values.std()
        rough = values @ matrix
        matrix, bias = matrix / rough.std(axis=0), -rough.mean(axis=0) / rough.std(axis=0)
        made.append((matrix.astype(np.float32), bias.astype(np.float32)))
        values = np.maximum(values @ matrix + bias, 0)
    return made


def write_onnx(truth: Truth, folder: Path, open_shape: bool = False) -> Path:
    """model.onnx, its output logits; `open_shape` leaves every dimension open."""
    stack = layers(truth)
    arrays, nodes, last = {}, [], "picture"
    if truth.layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [last], ["moved"], perm=[0, 3, 1, 2]))
        last = "moved"
    for number, (matrix, bias) in enumerate(stack[:-1]):
        arrays |= {f"w{number}": matrix.T[:, :, None, None].copy(), f"b{number}": bias}
        nodes += [
            helper.make_node("Conv", [last, f"w{number}", f"b{number}"], [f"conv{number}"]),
            helper.make_node("Relu", [f"conv{number}"], [f"relu{number}"]),
        ]
        last = f"relu{number}"
    arrays |= {"w": stack[-1][0], "b": stack[-1][1]}
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    size = [EDGE, EDGE]
    shape = ["n", *size, 3] if truth.layout == "NHWC" else ["n", 3, *size]
    if open_shape:
        shape = ["n", "c", "h", "w"]
    graph = helper.make_graph(
        nodes,
        "centered",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.onnx"
    onnx.save(model, file)
    return file


def write_tflite(truth: Truth, folder: Path) -> Path:
    """model.tflite, NHWC, its ReLUs fused into every second convolution, ending in a softmax."""
    writer = TfliteWriter()
    picture = last = writer.tensor("picture", [1, EDGE, EDGE, 3], "float32")
    stack = layers(truth)
    for number, (matrix, bias) in enumerate(stack[:-1]):
        kernel = np.ascontiguousarray(matrix.T)[:, None, None, :]
        inputs = [
            last,
            writer.tensor(f"w{number}", list(kernel.shape), "float32", data=kernel),
            writer.tensor(f"b{number}", [len(bias)], "float32", data=bias),
        ]
        fused = number % 2 == 1
        out = writer.tensor(f"conv{number}", [1, EDGE, EDGE, len(bias)], "float32")
        options = tfl.Conv2DOptionsT()
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = int(fused)
        kind = tfl.BuiltinOptions.Conv2DOptions
        writer.operator(tfl.BuiltinOperator.CONV_2D, inputs, [out], (kind, options))
        last = out
        if not fused:
            last = writer.tensor(f"relu{number}", [1, EDGE, EDGE, len(bias)], "float32")
            writer.operator(tfl.BuiltinOperator.RELU, [out], [last])
    axes = writer.tensor("axes", [2], "int32", data=np.array([1, 2], np.int32))
    pooled = writer.tensor("pooled", [1, WIDTHS[-1]], "float32")
    reducer = tfl.ReducerOptionsT()
    writer.operator(
        tfl.BuiltinOperator.MEAN,
        [last, axes],
        [pooled],
        (tfl.BuiltinOptions.ReducerOptions, reducer),
    )
    matrix, bias = stack[-1]
    weights = writer.tensor(
        "w", [CLASSES, len(matrix)], "float32", data=np.ascontiguousarray(matrix.T)
    )
    offset = writer.tensor("b", [CLASSES], "float32", data=bias)
    scores = writer.tensor("scores", [1, CLASSES], "float32")
    options = tfl.FullyConnectedOptionsT()
    writer.operator(
        tfl.BuiltinOperator.FULLY_CONNECTED,
        [pooled, weights, offset],
        [scores],
        (tfl.BuiltinOptions.FullyConnectedOptions, options),
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.tflite"
    file.write_bytes(writer.pack([picture], [scores]))
    return file
