"""Stage 3 of hub search: Responses → Descriptors, comparable across models (ProbeLog, section 3).

A descriptor is a logit's responses minus their mean, over their population standard deviation:
scale and offset of the logit drop out.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from lagotto.core.types import Descriptors

NOT_FINITE = "not finite"
CONSTANT = "constant"

# A spread of a few roundings of the largest value is noise, not an answer.
_NOISE_ROUNDINGS = 4
_COLUMNS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and population standard deviation of each logit over the probes, and its flaw.

    `flaw` is "" for a usable logit; where it is not, mean and std are zero.
    """

    mean: Float64[np.ndarray, " logits"]
    std: Float64[np.ndarray, " logits"]
    flaw: tuple[str, ...]


def measure_moments(values: Float[np.ndarray, "probes logits"]) -> Moments:
    """Moments of responses, accumulated in float64, a few hundred logits in memory at a time.

    Flaws: "not finite" where any response is NaN or infinite, "constant" where the spread is no
    more than rounding noise of the largest response.
    """
    logits = values.shape[1]
    mean, std = np.zeros(logits), np.zeros(logits)
    flaw = np.full(logits, "", dtype=object)
    noise = _NOISE_ROUNDINGS * float(np.finfo(values.dtype).eps)
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
        flaw[part] = np.where(finite, np.where(constant, CONSTANT, ""), NOT_FINITE)
    return Moments(mean, std, tuple(flaw.tolist()))


def standardize_columns(
    values: Float[np.ndarray, "rows columns"],
    mean: Float64[np.ndarray, " columns"],
    std: Float64[np.ndarray, " columns"],
) -> Float32[np.ndarray, "rows columns"]:
    """Some responses by known moments; a column whose std is zero (flawed) gives zeros."""
    usable = std > 0
    wide = np.where(usable, values, 0.0)
    wide -= mean
    wide /= np.where(usable, std, 1.0)
    return wide.astype(np.float32)


def standardize(values: Float[np.ndarray, "probes logits"]) -> Descriptors:
    """Descriptors of a model's responses.

    >>> import numpy as np
    >>> standardise(np.array([[1.0, 5.0], [3.0, 5.0]])).values.tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    >>> standardise(np.array([[1.0, 5.0], [3.0, 5.0]])).invalid
    ('', 'constant')
    """
    moments = measure_moments(values)
    result = np.empty(values.shape, dtype=np.float32)
    for first in range(0, values.shape[1], _COLUMNS_AT_ONCE):
        part = slice(first, first + _COLUMNS_AT_ONCE)
        result[:, part] = standardize_columns(
            values[:, part], moments.mean[part], moments.std[part]
        )
    return Descriptors(values=result, invalid=moments.flaw)
