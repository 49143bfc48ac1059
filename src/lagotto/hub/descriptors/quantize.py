"""Columns of numbers come in; whole numbers of 8 bits, and the step of each column, go out.

Descriptors, directions and low-rank factors are all stored so: value = step * whole number.
"""

import numpy as np
from jaxtyping import Float32, Int8

LARGEST = 127
"""The largest whole number; -128 is not used, so that a range is symmetric."""


def quantize(
    columns: Float32[np.ndarray, "rows columns"],
) -> tuple[Int8[np.ndarray, "rows columns"], Float32[np.ndarray, " columns"]]:
    """Whole numbers of each column, and its step: its largest magnitude over 127, or zero.

    Args:
        columns: Finite numbers; a column may be all zeros.

    Returns:
        The whole numbers, -127 to 127, and one step a column; a column of zeros has step zero.

    Example:
        >>> values, steps = quantize(np.array([[2.54, 0.0], [-1.27, 0.0]], np.float32))
        >>> values.tolist()
        [[127, 0], [-64, 0]]
    """
    steps = np.abs(columns).max(axis=0) / np.float32(LARGEST)
    return quantize_by(columns, steps), steps


def quantize_by(
    columns: Float32[np.ndarray, "rows columns"], steps: Float32[np.ndarray, " columns"]
) -> Int8[np.ndarray, "rows columns"]:
    """Each value in whole steps of its column, at most 127 of them either way."""
    scaled = np.rint(columns / np.where(steps > 0, steps, np.float32(1)))
    return np.clip(scaled, -LARGEST, LARGEST).astype(np.int8)
