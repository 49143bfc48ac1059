"""Layer 3: probabilities and what came true → how far they can be believed.

Also the two fits that make probabilities of scores: logistic regression, and a monotone table.
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
    """rows @ weights + bias is the log odds."""

    weights: Float64[np.ndarray, " columns"]
    bias: float

    def odds(self, rows: Float[np.ndarray, "rows columns"]) -> Float64[np.ndarray, " rows"]:
        """Log odds of each row."""
        return np.asarray(rows @ self.weights + self.bias, dtype=np.float64)


def fit_logistic(
    rows: Float[np.ndarray, "rows columns"],
    true: Bool[np.ndarray, " rows"],
    *,
    penalty: float = 10.0,
) -> Logistic:
    """Logistic regression by Newton's method; `penalty` is on standardised weights."""
    wide = rows.astype(np.float64)
    mean, std = wide.mean(axis=0), np.maximum(wide.std(axis=0), 1e-9)
    table = np.concatenate([(wide - mean) / std, np.ones((len(wide), 1))], axis=1)
    ridge = np.full(table.shape[1], penalty)
    ridge[-1] = 1e-6
    theta = np.zeros(table.shape[1])
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-table @ theta))
        slope = table.T @ (chance - true) + ridge * theta
        curvature = (table * (chance * (1.0 - chance))[:, None]).T @ table + np.diag(ridge)
        step = np.linalg.solve(curvature, slope)
        theta -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = theta[:-1] / std
    return Logistic(weights, float(theta[-1] - mean @ weights))


def fit_isotonic(
    scores: Float[np.ndarray, " samples"], true: Bool[np.ndarray, " samples"], knots: int = 20
) -> tuple[Float64[np.ndarray, " knots"], Float64[np.ndarray, " knots"]]:
    """A rising table of scores to shares: pooled in equal groups, then made monotone.

    Samples are first averaged in `knots` groups of equal size by score, so that no value rests on a
    handful; groups that fall are pooled (pool adjacent violators). Linear between knots.
    """
    order = np.argsort(scores, kind="stable")
    groups = [part for part in np.array_split(order, knots) if len(part)]
    blocks: list[tuple[float, float, int]] = []
    for part in groups:
        blocks.append((float(scores[part].mean()), float(true[part].mean()), len(part)))
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            (x1, y1, n1), (x2, y2, n2) = blocks[-2:]
            total = n1 + n2
            blocks[-2:] = [((x1 * n1 + x2 * n2) / total, (y1 * n1 + y2 * n2) / total, total)]
    places, shares, _ = (np.array(column, dtype=np.float64) for column in zip(*blocks, strict=True))
    return places, shares
