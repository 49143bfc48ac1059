"""Layer 3: probabilities and what came true → how far they can be believed.

Also the fit that makes probabilities of features: logistic regression.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

from lagotto.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions from `low` up to `high`: how many, their mean, and the share that came true."""

    low: float
    high: float
    count: int
    predicted: float
    true: float

    @property
    def gap(self) -> float:
        """How much too confident: predicted less true."""
        return self.predicted - self.true


def reliability(
    predicted: Float[np.ndarray, " samples"], true: Bool[np.ndarray, " samples"], bins: int = 10
) -> tuple[Bin, ...]:
    """Equally wide bins of predictions between 0 and 1; those that hold none are left out."""
    places = np.minimum((predicted * bins).astype(int), bins - 1)
    return tuple(
        Bin(
            place / bins,
            (place + 1) / bins,
            int((places == place).sum()),
            float(predicted[places == place].mean()),
            float(true[places == place].mean()),
        )
        for place in range(bins)
        if (places == place).any()
    )


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Mean absolute gap, each bin by how many it holds (expected calibration error)."""
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.gap) for each in bins) / total


def auroc(scores: Float[np.ndarray, " samples"], true: Bool[np.ndarray, " samples"]) -> float:
    """The chance that a true sample scores higher than a false one; ties count half.

    Raises UsageError unless there are both.
    """
    positives = int(true.sum())
    negatives = len(true) - positives
    if not positives or not negatives:
        raise UsageError("an AUROC needs true and false samples; only one kind was given")
    ranks = mean_ranks(scores)
    return float((ranks[true].sum() - positives * (positives - 1) / 2) / (positives * negatives))


def spearman(first: Float[np.ndarray, " samples"], second: Float[np.ndarray, " samples"]) -> float:
    """The correlation of the ranks; nan where one of them is constant."""
    ranks = np.stack([mean_ranks(first), mean_ranks(second)])
    if (np.ptp(ranks, axis=1) == 0).any():
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def mean_ranks(values: Shaped[np.ndarray, " samples"]) -> Float64[np.ndarray, " samples"]:
    """Places from 0 in ascending order; equal values share their mean place."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[inverse], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Logistic:
    """rows @ weights + bias is the log odds of a share of `ceiling`."""

    weights: Float64[np.ndarray, " columns"]
    bias: float
    ceiling: float

    def __call__(self, rows: Float[np.ndarray, "rows columns"]) -> Float64[np.ndarray, " rows"]:
        """The probability of each row."""
        odds = rows @ self.weights + self.bias
        return np.asarray(self.ceiling / (1.0 + np.exp(-odds)), dtype=np.float64)


def fit_logistic(
    rows: Float[np.ndarray, "rows columns"],
    true: Bool[np.ndarray, " rows"] | Float[np.ndarray, " rows"],
    weights: Float64[np.ndarray, " rows"] | None = None,
    *,
    penalty: float = 10.0,
    ceiling: float = 1.0,
) -> Logistic:
    """Logistic regression by Fisher scoring; `penalty` is on standardised weights.

    `true` may be shares. A row counts as often as `weights` says, once without. No probability is
    above `ceiling`: the share that is true however clear the features are.
    """
    wide = rows.astype(np.float64)
    mean, std = wide.mean(axis=0), np.maximum(wide.std(axis=0), 1e-9)
    table = np.concatenate([(wide - mean) / std, np.ones((len(wide), 1))], axis=1)
    ridge = np.full(table.shape[1], penalty)
    ridge[-1] = 1e-6
    theta = np.zeros(table.shape[1])
    often = np.ones(len(wide)) if weights is None else weights
    for _ in range(100):
        share = 1.0 / (1.0 + np.exp(-table @ theta))
        chance, rise = ceiling * share, ceiling * share * (1.0 - share)
        spread = np.maximum(chance * (1.0 - chance), 1e-12)
        slope = table.T @ (often * rise * (true - chance) / spread) - ridge * theta
        share_of_row = often * np.square(rise) / spread
        curvature = (table * share_of_row[:, None]).T @ table + np.diag(ridge)
        step = np.clip(np.linalg.solve(curvature, slope), -1.0, 1.0)
        theta += step
        if np.abs(step).max() < 1e-8:
            break
    slopes = theta[:-1] / std
    return Logistic(slopes, float(theta[-1] - mean @ slopes), ceiling)
