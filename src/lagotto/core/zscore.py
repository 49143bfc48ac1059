"""Raw scores come in; scores in standard deviations above a mean go out, so that they compare.

Every z-score of the package is one of these, but for two that keep an arithmetic of their own
because its results are stored: descriptors (hub/descriptors/standardize.py) and the embeddings that
completion starts from (hub/completion/factorization.py).
"""

import numpy as np
from jaxtyping import Float, Float32, Int64

ROUNDING = np.float32(1e-6)
"""Standard deviations of float32 scores up to this are rounding: the scores are equal."""

_LEAST_SPREAD = 1e-9
"""The same for standard deviations in float64."""

ROUNDINGS = 4
"""Steps of the last digit of the largest score that a spread of rounding has at most."""


def moments(
    scores: Float32[np.ndarray, "names logits"], axis: int
) -> Float32[np.ndarray, "2 others"]:
    """Mean and standard deviation along an axis, in float32; one for a spread that is rounding.

    What is measured of background words is stored, so its float32 sums stay as they are.
    """
    spread = scores.std(axis=axis)
    rounding = _rounding(scores, axis).squeeze(axis).astype(np.float32)
    return np.stack([scores.mean(axis=axis), np.where(spread > rounding, spread, np.float32(1))])


def float64_moments(
    scores: Float[np.ndarray, "rows columns"], axis: int
) -> tuple[Float32[np.ndarray, "_ _"], Float32[np.ndarray, "_ _"]]:
    """Mean and standard deviation, summed in float64 along an axis that stays; as `moments`.

    Scores that are equal but for the rounding of their own type have a spread of one: what they
    differ by is another on each machine.
    """
    mean = scores.mean(axis=axis, keepdims=True, dtype=np.float64)
    spread = scores.std(axis=axis, keepdims=True, dtype=np.float64)
    spread = np.where(spread > _rounding(scores, axis), spread, 1.0)
    return mean.astype(np.float32), spread.astype(np.float32)


def relative_rounding(scores: Float[np.ndarray, "*any"], axis: int) -> Float[np.ndarray, "*same"]:
    """The standard deviation, along an axis that stays, that rounding alone gives at most."""
    largest = np.abs(scores).max(axis=axis, keepdims=True, initial=0.0).astype(np.float64)
    return np.asarray(ROUNDINGS * float(np.finfo(scores.dtype).eps) * largest)


def without_rounding(
    scores: Float32[np.ndarray, "rows columns"],
) -> Float32[np.ndarray, "rows columns"]:
    """The scores, in which a row that differs by no more than rounding is the same everywhere.

    >>> without_rounding(np.array([[7.0, 7.000001], [1.0, 3.0]], np.float32)).tolist()
    [[7.0, 7.0], [1.0, 3.0]]
    """
    spread = scores.std(axis=1, keepdims=True, dtype=np.float64)
    return np.where(spread > relative_rounding(scores, axis=1), scores, scores[:, :1])


def _rounding(scores: Float[np.ndarray, "*any"], axis: int) -> Float[np.ndarray, "*same"]:
    """The same for scores whose usual size is about one: there a tiny spread is rounding, too."""
    least = float(ROUNDING) if scores.dtype == np.float32 else _LEAST_SPREAD
    return np.asarray(np.maximum(relative_rounding(scores, axis), least))


def sample_moments(scores: Float32[np.ndarray, " sample"]) -> tuple[np.float32, np.float32]:
    """Mean and standard deviation of a sample of one query's scores; 0 and 1 of an empty one.

    Of equal scores the deviation is 1, too.
    """
    if not len(scores):
        return np.float32(0), np.float32(1)
    wide = scores.astype(np.float64)
    spread = float(wide.std())
    return np.float32(wide.mean()), np.float32(spread if spread > _rounding(scores, 0)[0] else 1)


def zscore(
    scores: Float32[np.ndarray, "rows columns"],
    mean: Float32[np.ndarray, "*any"],
    spread: Float32[np.ndarray, "*any"],
) -> Float32[np.ndarray, "rows columns"]:
    """Scores by known moments, which broadcast against them."""
    return np.asarray((scores - mean) / spread, dtype=np.float32)


def zscore_rows(values: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    """Each row minus its mean, over its population standard deviation; zeros for a row that is
    constant but for the rounding of its type.

    The arithmetic is that of the values: give float64 where the last digits matter.

    >>> zscore_rows(np.array([[1.0, 3.0], [5.0, 5.0]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    differs = spread > relative_rounding(values, axis=1)
    return np.asarray(np.divide(centred, spread, out=np.zeros_like(centred), where=differs))


def zscore_by_sample(
    scores: Float[np.ndarray, "queries logits"], sample: Int64[np.ndarray, " sample"]
) -> Float32[np.ndarray, "queries logits"]:
    """Each query's scores by the moments of some of its logits, in float64; zeros for no sample.

    Of a query whose scores are equal there, only the mean is taken off.
    """
    if not len(sample):
        return np.zeros(scores.shape, np.float32)
    known = scores[:, sample].astype(np.float64)
    spread = known.std(axis=1, keepdims=True)
    spread = np.where(spread > _rounding(scores[:, sample], 1), spread, 1.0)
    standard = (scores - known.mean(axis=1, keepdims=True)) / spread
    return np.asarray(standard, dtype=np.float32)
