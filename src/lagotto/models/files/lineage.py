"""A graph comes in; which tensor is computed from which others, and by which layers, goes out."""

from collections.abc import Mapping

from lagotto.models.files.activation import Node

WITH_WEIGHTS = frozenset(
    {
        *("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv"),
        *("Gemm", "QGemm", "FusedGemm", "MatMul", "QLinearMatMul", "MatMulInteger", "FusedMatMul"),
    }
)
"""ONNX names of the operators that multiply by weights: the layers of a network."""

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


def scores_before(producers: Mapping[str, Node], output: str) -> tuple[str, str]:
    """(tensor, operator): where all scores of an output are, and the operator after them.

    An output of a ZipMap (a map from names to scores) or a TopK (the best few scores of a picture)
    has its scores in the input of that operator. Any other output is returned, with no operator.
    """
    name = same_values_before(producers, output)
    node = producers.get(name)
    if node is not None and node.inputs:
        is_best = node.op == "TopK" and name == node.outputs[0]
        if is_best or node.op == "ZipMap":
            return node.inputs[0], node.op
    return output, ""


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
