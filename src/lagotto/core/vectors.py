"""Rows of numbers come in; softmax, entropy, unit rows, small products and the top k go out."""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

_ONE_THREAD = 250_000
"""Multiplications for which OpenBLAS starts no other thread."""


def softmax(logits: Float[np.ndarray, "*rows classes"]) -> Float64[np.ndarray, "*rows classes"]:
    """Probabilities along the last axis; no overflow, whatever the logits."""
    wide: Float64[np.ndarray, "*rows classes"] = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    total: Float64[np.ndarray, "*rows classes"] = powers / powers.sum(axis=-1, keepdims=True)
    return total


def entropy(probabilities: Float[np.ndarray, "*rows classes"]) -> Float64[np.ndarray, "*rows"]:
    """Entropy along the last axis, in nats; 0 log 0 is 0."""
    wide = probabilities.astype(np.float64)
    logs = np.log(wide, out=np.zeros_like(wide), where=wide > 0)
    return np.asarray(-(wide * logs).sum(axis=-1))


def unit_rows(rows: Float[np.ndarray, "*rows dim"]) -> Float32[np.ndarray, "*rows dim"]:
    """The rows made unit length; a row of zeros stays as it is."""
    wide = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    unit = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    return np.asarray(unit.astype(np.float32))


def quiet_product(
    left: Float32[np.ndarray, "rows inner"], right: Float32[np.ndarray, "inner columns"]
) -> Float32[np.ndarray, "rows columns"]:
    """left @ right by this thread alone, some rows at a time.

    For the small products that one query waits for: where other work keeps the cores busy, BLAS's
    own threads take up to a hundred times the product's time to come together.
    """
    if right.shape[1] == 1:
        return np.asarray(np.vecdot(left, right[:, 0])[:, None])
    result = np.empty((len(left), right.shape[1]), np.float32)
    rows = max(1, _ONE_THREAD // max(1, right.size))
    for first in range(0, len(left), rows):
        part = slice(first, first + rows)
        np.matmul(left[part], right, out=result[part])
    return result


def top_k(scores: Float[np.ndarray, "rows columns"], k: int) -> Int64[np.ndarray, "rows top"]:
    """The columns of the k highest scores of each row, highest first.

    This is the package's one top-k, and its tie rule holds everywhere: of equal scores the lowest
    column comes first.

    Args:
        scores: One row a query; finite numbers or minus infinity.
        k: How many columns; all of them where a row has fewer.

    Returns:
        One row of column numbers for each row of scores.

    Example:
        >>> top_k(np.array([[1.0, 3.0, 3.0, 2.0]]), 2).tolist()
        [[1, 2]]
    """
    k = min(k, scores.shape[1])
    if k == 0:
        return np.empty((len(scores), 0), np.int64)
    if 8 * k >= scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)
    columns = scores.shape[1]
    floors = np.partition(scores, columns - k, axis=1)[:, columns - k]
    best = np.empty((len(scores), k), np.int64)
    for row, floor in enumerate(floors):
        high = np.flatnonzero(scores[row] >= floor)
        order = np.argsort(-scores[row, high], kind="stable")[:k]
        best[row] = high[order]
    return best
