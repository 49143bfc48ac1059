"""Random descriptors as a block holds them, beside the exact ones that they were made from."""

import numpy as np

from lagotto.hub.descriptors.quantize import quantize


def make_table(seed: int, probes: int, logits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact descriptors, their int8 values and their steps; every ninth logit is invalid."""
    rng = np.random.default_rng(seed)
    exact = rng.normal(size=(probes, logits)).astype(np.float32)
    exact[:, ::9] = 0
    return exact, *quantize(exact)
