"""Names × outputs fits → the share of each output's belief that each name gets, all at once.

An output has one unit of belief to give; a name has room for about one unit, because most models
have a concept once. So a name that fits many outputs is left to those that have nothing better
(entropic optimal transport by Sinkhorn's scaling, one side an inequality). One output a name is
not forced: what no name fits goes to nobody.
"""

import numpy as np
from jaxtyping import Float32

_TEMPERATURE = 0.25
_NOBODY = 2.5
_ROUNDS = 20


def sinkhorn_assign(
    fits: Float32[np.ndarray, "names logits"],
    *,
    temperature: float = _TEMPERATURE,
    nobody: float = _NOBODY,
) -> Float32[np.ndarray, "names logits"]:
    """Shares of each output, which sum to at most 1 over the names; what is missing is nobody's.

    `nobody` is the fit of the answer "no name of this vocabulary", in standard deviations.
    """
    highest = np.maximum(fits.max(axis=0), nobody)
    kernel = np.exp((fits - highest) / temperature)
    none = np.exp((nobody - highest) / temperature)
    room = np.ones(len(fits), np.float32)
    for _ in range(_ROUNDS):
        weight = 1.0 / (room @ kernel + none)
        room = 1.0 / np.maximum(kernel @ weight, 1.0)
    weight = 1.0 / (room @ kernel + none)
    kernel *= room[:, None]
    kernel *= weight
    return np.asarray(kernel, dtype=np.float32)
