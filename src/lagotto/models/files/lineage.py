"""A graph comes in; which tensor is computed from which others, and by which layers, goes out."""

from collections.abc import Mapping

from lagotto.models.files.activation import Node, find_activation
from lagotto.models.files.tensors import ClassHint

WITH_WEIGHTS = frozenset(
    {
        *("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv"),
        *("Gemm", "QGemm", "FusedGemm", "MatMul", "QLinearMatMul", "MatMulInteger", "FusedMatMul"),
    }
)
"""ONNX names of the operators that multiply by weights: the layers of a network."""

SELECTING_BOXES: dict[str, ClassHint] = {
    "NonMaxSuppression": "first",
    "DetectionPostProcess": "last",
}
"""Operators that keep the best boxes; their second input has all scores, with classes there."""

_MAX_PARTS = 8
_SAME_VALUES = frozenset(
    {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout"}
)
_MAX_STEPS = 64


def layers_before(producers: Mapping[str, Node], tensor: str) -> frozenset[str]:
    """The layers that a tensor is computed by, each under the name of its first output."""
    return frozenset(
        node.outputs[0]
        for node in _nodes_before(producers, tensor, frozenset())
        if node.op in WITH_WEIGHTS
    )


def is_computed_from(producers: Mapping[str, Node], tensor: str, source: str) -> bool:
    """Whether a tensor is computed from `source` by operators other than layers."""
    nodes = _nodes_before(producers, tensor, WITH_WEIGHTS)
    return tensor == source or any(
        source in node.inputs for node in nodes if node.op not in WITH_WEIGHTS
    )


def places_of_scores(
    producers: Mapping[str, Node], output: str, is_readable: bool = True
) -> tuple[tuple[str, str], ...]:
    """The tensors in which the scores of an output may be, the likeliest first.

    Each comes with the operator after it; the output itself comes with none. A map from names to
    scores (ZipMap) and the best few scores of a picture (TopK) have all scores in the input of
    their operator. So have the winner of a softmax or sigmoid, and its score (ArgMax, ReduceMax).
    If the type of the output is not readable, the input of its Cast comes last.
    """
    places = [(output, "")]
    node = producers.get(output)
    if not is_readable and node is not None and node.op == "Cast" and node.inputs:
        places.append((node.inputs[0], "Cast"))
    node = producers.get(same_values_before(producers, output))
    if node is not None and node.inputs:
        before = node.inputs[0]
        is_winner = node.op in ("ArgMax", "ReduceMax")
        if node.op in ("TopK", "ZipMap") or (is_winner and find_activation(producers, before)):
            places.insert(0, (before, node.op))
    return tuple(places)


def places_of_maps(producers: Mapping[str, Node], output: str) -> tuple[tuple[str, str], ...]:
    """The tensors in which the scores of many boxes or pixels of an output may be.

    Each comes with the operator after it. The winning class of each pixel (ArgMax) has all scores
    in the input of its operator. Boxes and scores that are put together have the scores in the one
    part that ends in a sigmoid or softmax.
    """
    node = producers.get(_before_moves(producers, output))
    if node is None or not node.inputs:
        return ()
    if node.op == "ArgMax":
        return ((node.inputs[0], node.op),)
    if node.op != "Concat" or len(node.inputs) > _MAX_PARTS:
        return ()
    ending = [name for name in node.inputs if find_activation(producers, name) is not None]
    return ((ending[0], node.op),) if len(ending) == 1 and len(node.inputs) > 1 else ()


def places_of_detections(producers: Mapping[str, Node]) -> tuple[tuple[str, str], ...]:
    """The scores of all boxes from which operators select the best; each with its operator."""
    nodes = {id(node): node for node in producers.values() if node.op in SELECTING_BOXES}
    return tuple((node.inputs[1], node.op) for node in nodes.values() if len(node.inputs) > 1)


def _before_moves(producers: Mapping[str, Node], tensor: str) -> str:
    """As `same_values_before`, also through operators that move axes."""
    for _ in range(_MAX_STEPS):
        tensor = same_values_before(producers, tensor)
        node = producers.get(tensor)
        if node is None or not node.inputs or node.op != "Transpose":
            break
        tensor = node.inputs[0]
    return tensor


def same_values_before(producers: Mapping[str, Node], tensor: str) -> str:
    """The first tensor of a chain that hands on the same values, in another shape or type."""
    for _ in range(_MAX_STEPS):
        node = producers.get(tensor)
        if node is None or not node.inputs or node.op not in _SAME_VALUES:
            break
        tensor = node.inputs[0]
    return tensor


def tensors_before(producers: Mapping[str, Node], tensor: str) -> frozenset[str]:
    """Every tensor that a tensor is computed from, and the tensor itself."""
    nodes = _nodes_before(producers, tensor, frozenset())
    return frozenset((tensor, *(name for node in nodes for name in node.inputs)))


def _nodes_before(producers: Mapping[str, Node], tensor: str, stops: frozenset[str]) -> list[Node]:
    """The operators before a tensor, each once; not those before an operator of `stops`."""
    found: dict[str, Node] = {}
    pending = [tensor]
    while pending:
        node = producers.get(pending.pop())
        if node is None or not node.outputs or node.outputs[0] in found:
            continue
        found[node.outputs[0]] = node
        if node.op not in stops:
            pending += node.inputs
    return list(found.values())
