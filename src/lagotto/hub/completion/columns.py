"""Between responses and their completion: a model's logits as columns of comparable scale.

What a model's outputs have in common on a probe (a shift that a softmax does not feel) is one
column of its own; the others are the logits without it. Each is standardised over what was seen.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.hub.descriptors.standardize import measure_moments, standardize_columns

_ROUNDING = 1e-2


@dataclass(frozen=True, slots=True)
class SeenColumns:
    """Standardised columns of a model on the probes that it saw (ascending)."""

    seen: Int64[np.ndarray, " seen"]
    values: Float32[np.ndarray, "seen columns"]


@dataclass(frozen=True, slots=True)
class ColumnScale:
    """How columns become logits again: those of `usable` logits, then what they have in common."""

    usable: Int64[np.ndarray, " usable"]
    logits: int
    mean: Float64[np.ndarray, " columns"]
    std: Float64[np.ndarray, " columns"]


def to_columns(
    responses: Float32[np.ndarray, "seen logits"], seen: Int64[np.ndarray, " seen"]
) -> tuple[SeenColumns, ColumnScale]:
    """Columns of a model's raw responses, and the way back; flawed logits are left out.

    The last column is the mean over the logits. Where a column is constant it is zero.
    """
    usable = np.flatnonzero([not flaw for flaw in measure_moments(responses).flaw])
    wide = responses[:, usable].astype(np.float64)
    common = wide.mean(axis=1) if usable.size else np.zeros(len(responses))
    columns = np.column_stack([wide - common[:, None], common])
    columns[:, -1] = _unless_rounding(common, columns[:, :-1])
    moments = measure_moments(columns)
    values = standardize_columns(columns, moments.mean, moments.std)
    # A constant column has mean 0 in its moments; it comes back as it was.
    mean = np.where(moments.std > 0, moments.mean, columns.mean(axis=0))
    scale = ColumnScale(usable.astype(np.int64), responses.shape[1], mean, moments.std)
    return SeenColumns(seen, values), scale


def to_responses(
    columns: Float32[np.ndarray, "probes columns"], scale: ColumnScale
) -> Float32[np.ndarray, "probes logits"]:
    """Raw responses of columns, seen or predicted; NaN for flawed logits."""
    wide = columns.astype(np.float64) * scale.std + scale.mean
    responses = np.full((len(columns), scale.logits), np.nan, dtype=np.float32)
    responses[:, scale.usable] = wide[:, :-1] + wide[:, -1:]
    return responses


def _unless_rounding(
    common: Float64[np.ndarray, " seen"], centred: Float64[np.ndarray, "seen usable"]
) -> Float64[np.ndarray, " seen"]:
    """What logits have in common, or its mean where it moves a hundred times less than they do."""
    if centred.size and common.std() < _ROUNDING * np.median(centred.std(axis=0)):
        return np.full_like(common, common.mean())
    return common
