"""Stage 5 of hub search: raw scores → scores in standard deviations, so that they compare."""

import numpy as np
from jaxtyping import Float32

ROUNDING = np.float32(1e-6)
"""Spreads up to this are those of equal numbers."""


def moments(
    scores: Float32[np.ndarray, "names logits"], axis: int
) -> Float32[np.ndarray, "2 others"]:
    """Mean and spread along an axis; a spread that is but rounding becomes one."""
    spread = scores.std(axis=axis)
    return np.stack([scores.mean(axis=axis), np.where(spread > ROUNDING, spread, 1)])


def zscore(
    scores: Float32[np.ndarray, "rows columns"],
    mean: Float32[np.ndarray, "*any"],
    spread: Float32[np.ndarray, "*any"],
) -> Float32[np.ndarray, "rows columns"]:
    """Scores in standard deviations above a mean."""
    return np.asarray((scores - mean) / spread, dtype=np.float32)
