"""A tensor and constants come in; the tensor times one plus the other goes out."""

import numpy as np
from jaxtyping import Float32

from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.layer import Layer
from lagotto.models.keras.pixel_range import AS_IT_IS

_EXACT = 1e-12


def scaled(
    layer: Layer,
    tensor: Tensor,
    scale: Float32[np.ndarray, "..."],
    offset: Float32[np.ndarray, "..."],
) -> Tensor:
    """A tensor times `scale` plus `offset`, which spread over it as numpy spreads them.

    If the tensor is the input of the network, scaled and shifted alone, so is the result.
    """
    graph = layer.graph
    before = graph.pixels.get(tensor.name)
    result = tensor
    for op, value, neutral in (("Mul", scale, 1.0), ("Add", offset, 0.0)):
        if (value == neutral).all() and value.size:
            continue
        lying = lay_like(value, result)
        if lying is None:
            result = Tensor(graph.plain(result), result.shape)
            lying = value
        constant = graph.constant(lying.astype(np.float32), f"{layer.name}/{op.lower()}")
        (name,) = graph.operator(op, (result.name, constant), layer.name)
        result = Tensor(name, result.shape, result.is_moved)
    if before is not None:
        by_channel = all(value.size in (1, tensor.shape[-1]) for value in (scale, offset))
        if by_channel:
            wide = [value.astype(np.float64).reshape(-1) for value in (scale, offset)]
            graph.pixels[result.name] = before.then(*wide)
        else:
            graph.seen.append(AS_IT_IS)
    return result


def lay_like(
    value: Float32[np.ndarray, "..."], tensor: Tensor
) -> Float32[np.ndarray, "..."] | None:
    """A constant turned so that it spreads over a tensor as it lies in the graph.

    None if that cannot be: a constant of more axes than the tensor, where these are moved.
    """
    if not tensor.is_moved or value.ndim == 0:
        return value
    if value.ndim > tensor.rank:
        return None
    full = value.reshape((1,) * (tensor.rank - value.ndim) + value.shape)
    return np.moveaxis(full, -1, 1)
