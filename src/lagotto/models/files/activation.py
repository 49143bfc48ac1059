"""The softmax or sigmoid that a graph ends in, found by walking back from its output."""

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
    """One operator, named as in ONNX, and the names of its tensors."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Activation:
    """The final activation: its kind, its operator, and the tensor that feeds it."""

    kind: OutputKind
    feed: str
    node: Node


def find_activation(producers: Mapping[str, Node], output: str) -> Activation | None:
    """The activation that `output` comes from, the first one where several follow each other.

    `producers` maps each tensor to the operator that makes it. Only operators that keep the
    classes apart are walked over; anything else ends the search.
    """
    found = None
    name = output
    for _ in range(_MAX_STEPS):
        node = producers.get(name)
        if node is None or not node.inputs:
            return found
        activation = _activation(producers, node)
        if activation is not None:
            found = activation
            name = activation.feed
        elif node.op in _PASSING:
            name = node.inputs[0]
        else:
            return found
    return found


def _activation(producers: Mapping[str, Node], node: Node) -> Activation | None:
    if node.op in _ENDINGS:
        return Activation(_ENDINGS[node.op], node.inputs[0], node)
    if node.op == "Div" and len(node.inputs) == 2:
        return _spelled_out_softmax(producers, node)
    return None


def _spelled_out_softmax(producers: Mapping[str, Node], node: Node) -> Activation | None:
    """exp(x) / sum(exp(x)), where x may be the logits less their largest."""
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
