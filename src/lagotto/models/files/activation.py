"""A graph comes in; the softmax or sigmoid that it ends in goes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

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
        *("Dropout", "QuantizeLinear", "DequantizeLinear", "Log", "Clip", "Round"),
    }
)
# Operators that select or reorder values: the classes before them are not those after them.
_SELECTING = frozenset({"Slice", "Gather", "GatherElements", "Split"})
_MAX_STEPS = 64
_MAX_HEADS = 16

Constant = Callable[[str], float | None]
"""The value of a tensor that is one constant number; None for any other tensor."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operator: its ONNX name, and the names of its input and output tensors."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Activation:
    """The final activation: its kind, its input tensor `feed`, and its operator.

    What lies between the activation and the published output is in the other fields. `same_classes`
    is False if classes are selected, reordered or put together there, so that `feed` does not hold
    the logits of the published classes. The published values are the probabilities times `gain`. If
    they are rounded there, `step` is the distance of two neighbours as probabilities, else 0.
    `is_log` is True if they are logs of the probabilities.
    """

    kind: OutputKind
    feed: str
    node: Node
    same_classes: bool = True
    gain: float = 1.0
    step: float = 0.0
    is_log: bool = False


@dataclass(frozen=True, slots=True)
class _Passed:
    """What a walk back from an output has passed so far."""

    same_classes: bool = True
    gain: float = 1.0
    rounded_at: float = 0.0
    is_log: bool = False

    def over(self, node: Node) -> "_Passed":
        """The same after one more operator."""
        if node.op == "Round":
            return replace(self, rounded_at=self.gain)
        return replace(self, is_log=self.is_log or node.op == "Log")

    def ending_in(self, activation: Activation) -> Activation:
        """The activation with what lies between it and the output."""
        gain = self.gain * activation.gain
        return replace(
            activation,
            same_classes=self.same_classes and activation.same_classes,
            gain=gain,
            step=max(self.rounded_at / gain, activation.step),
            is_log=self.is_log or activation.is_log,
        )


def _no_constant(name: str) -> None:
    return None


def find_activation(
    producers: Mapping[str, Node], output: str, constant: Constant = _no_constant
) -> Activation | None:
    """Walks back from an output to its activation; of several in a row, the first is returned.

    The walk passes operators that keep every class, such as a reshape, and until it meets an
    activation also those that select, reorder, round or scale the probabilities: a slice, a
    concatenation of heads, a multiplication by 100. Any other operator ends it.

    Args:
        producers: Maps each tensor to the operator that computes it.
        output: The tensor to start from.
        constant: The value of a tensor that is one constant number.

    Returns:
        The activation; None if there is none.
    """
    return _find(producers, output, constant, True)


def _find(
    producers: Mapping[str, Node], output: str, constant: Constant, with_heads: bool
) -> Activation | None:
    """As `find_activation`. Heads within heads are not followed, so that the walk stays short."""
    passed = _Passed()
    name = output
    for _ in range(_MAX_STEPS):
        node = producers.get(name)
        if node is None or not node.inputs:
            return None
        activation = _activation(producers, node)
        if activation is not None:
            return passed.ending_in(_first_in_row(producers, activation))
        if node.op == "Concat":
            heads = _heads(producers, node, constant) if with_heads else None
            return None if heads is None else passed.ending_in(heads)
        if node.op in _PASSING:
            passed = passed.over(node)
        elif node.op in _SELECTING:
            passed = replace(passed, same_classes=False)
        elif (scaled := _scaled(node, constant)) is not None:
            factor, source = scaled
            passed, name = replace(passed, gain=passed.gain * factor), source
            continue
        else:
            return None
        name = node.inputs[0]
    return None


def _first_in_row(producers: Mapping[str, Node], last: Activation) -> Activation:
    """Of activations that follow each other, with shapes changed in between, the first."""
    result = replace(last, is_log=last.node.op == "LogSoftmax")
    name = last.feed
    for _ in range(_MAX_STEPS):
        node = producers.get(name)
        if node is None or not node.inputs:
            break
        activation = _activation(producers, node)
        if activation is not None:
            result, name = replace(activation, is_log=result.is_log), activation.feed
        elif node.op in _PASSING:
            name = node.inputs[0]
        else:
            break
    return result


def _heads(producers: Mapping[str, Node], node: Node, constant: Constant) -> Activation | None:
    """The activation of heads that are put together; None unless all have the same one."""
    if not 1 <= len(node.inputs) <= _MAX_HEADS:
        return None
    heads = [_find(producers, name, constant, False) for name in node.inputs]
    first = heads[0]
    if first is None:
        return None
    for head in heads:
        if head is None or (head.kind, head.gain, head.is_log) != (
            first.kind,
            first.gain,
            first.is_log,
        ):
            return None
    return replace(first, same_classes=False)


def _scaled(node: Node, constant: Constant) -> tuple[float, str] | None:
    """(factor, other input) of a product with, or a quotient by, a positive constant number."""
    if len(node.inputs) != 2 or node.op not in ("Mul", "Div"):
        return None
    left, right = node.inputs
    value = constant(right)
    if value is not None and 0 < value < float("inf"):
        return (value if node.op == "Mul" else 1 / value), left
    value = constant(left) if node.op == "Mul" else None
    if value is not None and 0 < value < float("inf"):
        return value, right
    return None


def _activation(producers: Mapping[str, Node], node: Node) -> Activation | None:
    if node.op in _ENDINGS:
        return Activation(_ENDINGS[node.op], node.inputs[0], node)
    if node.op == "Exp":  # a softmax in two steps
        before = producers.get(node.inputs[0])
        if before is not None and before.op == "LogSoftmax" and before.inputs:
            return Activation("softmax", before.inputs[0], node)
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
