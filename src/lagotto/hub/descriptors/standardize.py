"""Raw responses come in; descriptors, comparable across models, go out (ProbeLog, section 3).

A descriptor is a logit's responses minus their mean, over their population standard deviation: the
logit's own scale and offset drop out. The arithmetic is not that of core/zscore.py: blocks store
its results, so it must give the same bits for some columns or rows as for all.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from lagotto.core.types import Descriptors
from lagotto.core.zscore import ROUNDINGS

NOT_FINITE = "not finite"
CONSTANT = "constant"

_COLUMNS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and population standard deviation of each logit over the probes.

    `invalid` is why a logit cannot be used, "" for a usable one; others have mean and std zero.
    """

    mean: Float64[np.ndarray, " logits"]
    std: Float64[np.ndarray, " logits"]
    invalid: tuple[str, ...]


def measure_moments(values: Float[np.ndarray, "probes logits"]) -> Moments:
    """Moments of responses, summed in float64, a few hundred logits in memory at a time.

    A logit is invalid as "not finite" if any response is NaN or infinite, and as "constant" if the
    standard deviation is no more than rounding noise of the largest response.
    """
    logits = values.shape[1]
    mean, std = np.zeros(logits), np.zeros(logits)
    invalid = np.full(logits, "", dtype=object)
    noise = ROUNDINGS * float(np.finfo(values.dtype).eps)
    for first in range(0, logits, _COLUMNS_AT_ONCE):
        part = slice(first, first + _COLUMNS_AT_ONCE)
        wide = values[:, part].astype(np.float64)
        finite = np.isfinite(wide).all(axis=0)
        wide[:, ~finite] = 0.0
        peak = np.abs(wide).max(axis=0)
        centre = wide.mean(axis=0)
        wide -= centre
        spread = np.sqrt(np.square(wide, out=wide).mean(axis=0))
        constant = spread <= noise * peak
        mean[part] = np.where(constant, 0.0, centre)
        std[part] = np.where(constant, 0.0, spread)
        invalid[part] = np.where(finite, np.where(constant, CONSTANT, ""), NOT_FINITE)
    return Moments(mean, std, tuple(invalid.tolist()))


def standardize_columns(
    values: Float[np.ndarray, "rows columns"],
    mean: Float64[np.ndarray, " columns"],
    std: Float64[np.ndarray, " columns"],
) -> Float32[np.ndarray, "rows columns"]:
    """Descriptors of some responses by known moments; zeros for an invalid logit (std zero)."""
    usable = std > 0
    wide = np.where(usable, values, 0.0)
    wide -= mean
    wide /= np.where(usable, std, 1.0)
    return wide.astype(np.float32)


def standardize_answers(
    raw: Float32[np.ndarray, "k columns"],
    mean: Float64[np.ndarray, " columns"],
    std: Float64[np.ndarray, " columns"],
) -> Float32[np.ndarray, "k columns"]:
    """As `standardize_columns`; zero where a response is NaN: the model did not see the probe."""
    exact = standardize_columns(raw, mean, std)
    exact[np.isnan(raw)] = 0
    return exact


def standardize(values: Float[np.ndarray, "probes logits"]) -> Descriptors:
    """Descriptors of a model's responses.

    Args:
        values: Raw responses, one row a probe and one column a logit.

    Returns:
        Descriptors of the same shape; an invalid logit is all zeros and says why.

    Example:
        >>> made = standardize(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> made.values.tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
        >>> made.invalid
        ('', 'constant')
    """
    moments = measure_moments(values)
    result = np.empty(values.shape, dtype=np.float32)
    for first in range(0, values.shape[1], _COLUMNS_AT_ONCE):
        part = slice(first, first + _COLUMNS_AT_ONCE)
        result[:, part] = standardize_columns(
            values[:, part], moments.mean[part], moments.std[part]
        )
    return Descriptors(values=result, invalid=moments.invalid)
