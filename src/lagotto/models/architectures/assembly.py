"""A skeleton and tensors come in; an ONNX model and the weights that it names go out."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Shaped

from lagotto.models.architectures.onnx_parts import (
    external_weight,
    graph_input,
    graph_output,
    graph_part,
)
from lagotto.models.architectures.skeletons import PICTURE, SCORES, Skeleton

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
    """The same numbers as float32, or as int64 if they are whole; no copy where they already are.
    """
    wanted = np.int64 if values.dtype.kind in "iub" else np.float32
    return np.ascontiguousarray(values, wanted).reshape(values.shape)
