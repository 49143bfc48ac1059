"""Fits of names and outputs in, the share of each output that each name gets out.

The shares are entropic optimal transport by Sinkhorn's scaling, with an inequality on one side. An
output has one unit of mass; a name takes about one unit, because most models have a concept once.
So a name that fits many outputs goes to those that fit no other name. No output has to have a name:
mass that fits no name is left over.
"""

import numpy as np
from jaxtyping import Float32

_TEMPERATURE = 0.25
_NONE_FIT = 2.5
_ROUNDS = 20


def sinkhorn_assign(
    fits: Float32[np.ndarray, "names logits"],
    *,
    temperature: float = _TEMPERATURE,
    none_fit: float = _NONE_FIT,
) -> Float32[np.ndarray, "names logits"]:
    """Shares of each output, which sum to at most 1 over the names.

    Args:
        fits: how well names fit outputs, [names, logits], as `fit` gives them.
        temperature: of the softmax over fits, in standard deviations of a fit.
        none_fit: the fit of the answer "no name of this vocabulary", in standard deviations.
    """
    highest = np.maximum(fits.max(axis=0), none_fit)
    kernel = np.exp((fits - highest) / temperature)
    none = np.exp((none_fit - highest) / temperature)
    room = np.ones(len(fits), np.float32)
    for _ in range(_ROUNDS):
        weight = 1.0 / (room @ kernel + none)
        room = 1.0 / np.maximum(kernel @ weight, 1.0)
    weight = 1.0 / (room @ kernel + none)
    kernel *= room[:, None]
    kernel *= weight
    return np.asarray(kernel, dtype=np.float32)
