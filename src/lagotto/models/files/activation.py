"""A graph comes in; the softmax or sigmoid that it ends in goes out."""

from collections.abc import Mapping
from dataclasses import dataclass

from lagotto.core.types import OutputKind

_ENDINGS: dict[str, OutputKind] = {
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "QLinearSoftmax": "softmax",
    "Sigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
}
# Operators that keep every value, or change it in a way that keeps the order of the classes.
_PASSING = frozenset(
    {
        *("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"),
        *("Dropout", "QuantizeLinear", "DequantizeLinear", "Log", "Clip"),
    }
)
_MAX_STEPS = 64


@dataclass(frozen=True, slots=True)
class Node:
    """An operator: its ONNX name, and the names of its input and output tensors."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Activation:
    """The final activation: its kind, its input tensor `feed`, and its operator."""

    kind: OutputKind
    feed: str
    node: Node


def find_activation(producers: Mapping[str, Node], output: str) -> Activation | None:
    """Walks back from an output to its activation; of several in a row, the first is returned.

    `producers` maps each tensor to the operator that computes it. The walk passes only operators
    that keep every class, such as a reshape; any other operator ends it. Returns None if there is
    no activation.
    """
    result = None
    name = output
    for _ in range(_MAX_STEPS):
        node = producers.get(name)
        if node is None or not node.inputs:
            return result
        activation = _activation(producers, node)
        if activation is not None:
            result = activation
            name = activation.feed
        elif node.op in _PASSING:
            name = node.inputs[0]
        else:
            return result
    return result


def _activation(producers: Mapping[str, Node], node: Node) -> Activation | None:
    if node.op in _ENDINGS:
        return Activation(_ENDINGS[node.op], node.inputs[0], node)
    if node.op == "Div" and len(node.inputs) == 2:
        return _spelled_out_softmax(producers, node)
    return None


def _spelled_out_softmax(producers: Mapping[str, Node], node: Node) -> Activation | None:
    """The softmax in exp(x) / sum(exp(x)); x may be the logits minus their maximum."""
    above, below = (producers.get(name) for name in node.inputs)
    if above is None or below is None or (above.op, below.op) != ("Exp", "ReduceSum"):
        return None
    if below.inputs[:1] != node.inputs[:1] or not above.inputs:
        return None
    feed = above.inputs[0]
    shifted = producers.get(feed)
    if shifted is not None and shifted.op == "Sub" and len(shifted.inputs) == 2:
        largest = producers.get(shifted.inputs[1])
        is_shift = largest is not None and largest.op == "ReduceMax"
        if is_shift and largest is not None and largest.inputs[:1] == shifted.inputs[:1]:
            feed = shifted.inputs[0]
    return Activation("softmax", feed, node)
