"""Names and shapes of tensors come in; the same numbers every time go out, as a trained net has."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

GAIN = 2.0


def seeded_weights(
    shapes: Mapping[str, tuple[int, ...]], seed: int = 0
) -> dict[str, Float32[np.ndarray, "..."]]:
    """Weights that about keep the variance of activations, norms near 1, variances above 0."""
    drawn = np.random.default_rng(seed)
    return {name: _values(name, shape, drawn) for name, shape in shapes.items()}


def _values(
    name: str, shape: tuple[int, ...], drawn: np.random.Generator
) -> Float32[np.ndarray, "..."]:
    last = name.rpartition(".")[2]
    if last == "running_var":
        return (drawn.random(shape) + 0.5).astype(np.float32)
    if len(shape) >= 2:
        scale = min(1.0, math.sqrt(GAIN / max(1, math.prod(shape[1:]))))
        return (drawn.standard_normal(shape) * scale).astype(np.float32)
    if last in ("weight", "gamma", "scale", "alpha"):
        return (drawn.random(shape) * 0.5 + 0.75).astype(np.float32)
    return (drawn.standard_normal(shape) * 0.1).astype(np.float32)
