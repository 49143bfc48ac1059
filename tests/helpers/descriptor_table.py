"""Descriptors as a block holds them, beside the exact ones that they were made of."""

import numpy as np


def make_table(seed: int, probes: int, logits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact descriptors, their int8 values and their steps; every ninth logit is flawed."""
    rng = np.random.default_rng(seed)
    exact = rng.normal(size=(probes, logits)).astype(np.float32)
    exact[:, ::9] = 0
    steps = np.abs(exact).max(axis=0) / np.float32(127)
    values = np.rint(exact / np.where(steps > 0, steps, 1)).astype(np.int8)
    return exact, values, steps
