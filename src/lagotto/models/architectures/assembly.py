"""A skeleton, a classifier and tensors come in; an ONNX model and its weights go out."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Shaped

from lagotto.models.architectures.activations import SOURCE, Steps
from lagotto.models.architectures.heads import Head
from lagotto.models.architectures.onnx_parts import (
    external_weight,
    graph_input,
    graph_output,
    graph_part,
    operator,
)
from lagotto.models.architectures.operators import read_operators
from lagotto.models.architectures.skeletons import PICTURE, SCORES, Cut, Skeleton

_OWN = "own/"
_OPERATORS = {
    "linear": "Gemm",
    "batch_norm": "BatchNormalization",
    "layer_norm": "LayerNormalization",
}
_INPUTS = {
    "linear": ("weight", "bias"),
    "batch_norm": ("weight", "bias", "running_mean", "running_var"),
    "layer_norm": ("weight", "bias"),
}
_SETTINGS: dict[str, dict[str, int | float]] = {
    "linear": {"transB": 1},
    "batch_norm": {"epsilon": 1e-5},
    "layer_norm": {"epsilon": 1e-5},
}

Weights = dict[str, Shaped[np.ndarray, "..."]]


def filled_graph(
    skeleton: Skeleton, tensors: Mapping[str, Shaped[np.ndarray, "..."]], channels: int
) -> tuple[bytes, Weights]:
    """The network with its own classifier: its bytes, and its weights by name.

    Args:
        skeleton: The graph.
        tensors: The state dict; further tensors are left out.
        channels: The number of channels of its pictures.

    Raises:
        KeyError: A tensor is missing.
    """
    weights = _named(skeleton.weights, tensors)
    return b"".join((*skeleton.parts, _ends(skeleton, weights, channels))), weights


def graph_with_head(
    skeleton: Skeleton,
    cut: Cut,
    tensors: Mapping[str, Shaped[np.ndarray, "..."]],
    head: tuple[Head, Mapping[str, Shaped[np.ndarray, "..."]]],
    channels: int,
) -> tuple[bytes, Weights]:
    """The network with a classifier of the user's own: its bytes, and its weights by name.

    Args:
        skeleton: The graph.
        cut: Where the classifier is put in, one of the two places of the skeleton.
        tensors: The tensors of the architecture.
        head: The classifier, and its tensors by their names in the checkpoint.
        channels: The number of channels of the pictures.
    """
    kept = 1 if cut == skeleton.before_neck else 2
    weights = _named(skeleton.weights[:kept], tensors)
    operators, own = head_part(head[0], head[1], cut.tensor)
    ends = _ends(skeleton, {**weights, **own}, channels)
    return b"".join((*skeleton.parts[:kept], operators, ends)), {**weights, **own}


def head_part(
    head: Head, tensors: Mapping[str, Shaped[np.ndarray, "..."]], source: str
) -> tuple[bytes, Weights]:
    """The operators of a classifier, and its weights.

    Args:
        head: The classifier.
        tensors: Its tensors by their names in the checkpoint.
        source: The tensor of the graph that it takes.
    """
    weights: Weights = {}
    operators = []
    for at, layer in enumerate(head.layers):
        result = SCORES if at == len(head.layers) - 1 else f"{_OWN}{at}"
        if layer.kind == "activation":
            made, constants = _activation_part(layer.steps, source, result)
            operators += made
            weights |= constants
            source = result
            continue
        inputs = [source]
        for part in _INPUTS[layer.kind]:
            if part != "bias" or layer.has_bias:
                values = as_float32(tensors[f"{layer.path}.{part}" if layer.path else part])
                flat = layer.kind == "linear" and part == "weight"
                inputs.append(f"{_OWN}{layer.path}.{part}")
                weights[inputs[-1]] = values.reshape(values.shape[:2]) if flat else values
        kind = _OPERATORS[layer.kind]
        operators.append(operator(kind, inputs, result, **_SETTINGS[layer.kind]))
        source = result
    return graph_part(*operators), weights


def trained_spreads(
    skeleton: Skeleton, weights: Mapping[str, Shaped[np.ndarray, "..."]]
) -> dict[str, Float32[np.ndarray, " _"]]:
    """The standard deviations of the channels after each batch normalization, as it was trained.

    A normalization divides by the deviation that it saw in training, its epsilon included, and
    multiplies with its weight.

    Args:
        skeleton: The graph.
        weights: Its weights by name.

    Returns:
        The deviations by the name of the tensor, in the order of the graph.
    """
    spreads = {}
    for item in read_operators(skeleton.parts[0]):
        if item.kind == "BatchNormalization" and all(name in weights for name in item.inputs[1:]):
            gain, _, _, variance = (weights[name] for name in item.inputs[1:])
            kept = np.sqrt(variance / (variance + np.float32(item.epsilon)))
            spreads[item.outputs[0]] = np.abs(gain) * kept
    return spreads


def _activation_part(steps: Steps, source: str, result: str) -> tuple[list[bytes], Weights]:
    """The operators of an activation, and the constants that they use."""
    constants: Weights = {}
    operators, before = [], source
    for at, step in enumerate(steps):
        inputs: list[str] = []
        for value in step.inputs:
            if isinstance(value, float):
                inputs.append(f"{result}/{at}/{len(inputs)}")
                constants[inputs[-1]] = np.array([value], np.float32)
            else:
                inputs.append(source if value == SOURCE else before)
        output = result if at == len(steps) - 1 else f"{result}/{at}"
        operators.append(operator(step.operator, inputs, output, **dict(step.attributes)))
        before = output
    return operators, constants


def _named(
    names: Sequence[Sequence[str]], tensors: Mapping[str, Shaped[np.ndarray, "..."]]
) -> Weights:
    return {name: as_float32(tensors[name]) for several in names for name in several}


def _ends(skeleton: Skeleton, weights: Weights, channels: int) -> bytes:
    """The declarations of the input, the output and the weights."""
    height, width = ("height", "width") if skeleton.is_open else skeleton.size
    shape = ("batch" if skeleton.batch is None else skeleton.batch, channels, height, width)
    declared = [external_weight(name, value) for name, value in weights.items()]
    return graph_part(
        graph_input(PICTURE, shape), *declared, graph_output(SCORES, (shape[0], "classes"))
    )


def as_float32(values: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """The numbers as float32, or as int64 if they are whole; no copy where they already are."""
    wanted = np.int64 if values.dtype.kind in "iub" else np.float32
    return np.ascontiguousarray(values, wanted).reshape(values.shape)
