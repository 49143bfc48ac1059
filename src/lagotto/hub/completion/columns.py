"""A model's raw responses come in; columns of comparable scale go out, and the way back.

A softmax does not feel a shift that all outputs of a model share, so the logits are split: one
column holds the mean of the logits on each probe, the others hold the logits without that mean.
Each column is standardized over the probes that the model saw.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.hub.descriptors.standardize import measure_moments, standardize_columns

_ROUNDING = 1e-2


@dataclass(frozen=True, slots=True)
class SeenColumns:
    """A model's standardized columns on the probes that it saw.

    `probes` are the indices of those probes in ascending order; row i of `values` is on
    probe `probes[i]`.
    """

    probes: Int64[np.ndarray, " seen"]
    values: Float32[np.ndarray, "seen columns"]


@dataclass(frozen=True, slots=True)
class ColumnScale:
    """What turns columns into logits again.

    `usable` are the logits that have a column, of `logits` in all. `mean` and `std` have one entry
    a column; the last column is the mean of the logits.
    """

    usable: Int64[np.ndarray, " usable"]
    logits: int
    mean: Float64[np.ndarray, " columns"]
    std: Float64[np.ndarray, " columns"]


def to_columns(
    responses: Float32[np.ndarray, "seen logits"], probes: Int64[np.ndarray, " seen"]
) -> tuple[SeenColumns, ColumnScale]:
    """Standardizes a model's raw responses for the completion; `to_responses` undoes it.

    Args:
        responses: Raw logits on the probes that the model saw.
        probes: The indices of those probes, ascending.

    Returns:
        The columns and their scale. Invalid logits (constant, not finite) have no column. The last
        column is the mean over the usable logits. A constant column is zero.
    """
    usable = np.flatnonzero([not reason for reason in measure_moments(responses).invalid])
    wide = responses[:, usable].astype(np.float64)
    common = wide.mean(axis=1) if usable.size else np.zeros(len(responses))
    columns = np.column_stack([wide - common[:, None], common])
    columns[:, -1] = _flat_if_rounding(common, columns[:, :-1])
    moments = measure_moments(columns)
    values = standardize_columns(columns, moments.mean, moments.std)
    # A constant column has mean 0 in its moments; its own mean brings it back as it was.
    mean = np.where(moments.std > 0, moments.mean, columns.mean(axis=0))
    scale = ColumnScale(usable.astype(np.int64), responses.shape[1], mean, moments.std)
    return SeenColumns(probes, values), scale


def to_responses(
    columns: Float32[np.ndarray, "probes columns"], scale: ColumnScale
) -> Float32[np.ndarray, "probes logits"]:
    """Raw responses of columns, observed or predicted; NaN for invalid logits."""
    wide = columns.astype(np.float64) * scale.std + scale.mean
    responses = np.full((len(columns), scale.logits), np.nan, dtype=np.float32)
    responses[:, scale.usable] = wide[:, :-1] + wide[:, -1:]
    return responses


def _flat_if_rounding(
    common: Float64[np.ndarray, " seen"], centered: Float64[np.ndarray, "seen usable"]
) -> Float64[np.ndarray, " seen"]:
    """The mean of the logits; a constant where it varies a hundred times less than they do."""
    if centered.size and common.std() < _ROUNDING * np.median(centered.std(axis=0)):
        return np.full_like(common, common.mean())
    return common
