"""The evidence of pictures that are asked together comes in; log odds that no label fits go out.

One picture does not say how well the encoder knows the labels, nor how many pictures have none.
Several together do. Where their evidence is spread wide, pictures with and without a label lie
apart, and a difference counts for more. How many have no label is estimated too: the prior shift
of Saerens, Latinne and Decaestecker (2002), with a strong pull towards one half, because the share
is told no better by more pictures of a kind that the encoder hardly knows.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from lagotto.zeroshot.rejection.logistic import fit_weights, probability
from lagotto.zeroshot.rejection.store_pictures import StorePictures

LEAST_BATCH = 8
"""Pictures that are judged together, at least; fewer are judged each alone."""

PULL = 0.4
"""Weight of the share one half, twice, against the share that a batch shows.
benchmarks/quality/none_of_these.py"""

CROWDED = 0.1
"""Log odds of none added to what the store says: its pictures show more beside their subject than
pictures of one thing do, and what they show beside it speaks against labels.
benchmarks/quality/none_of_these.py"""

BATCH_LISTS = 500
_LENGTHS = (1, 2, 4, 8, 16, 32)
_MIN_LISTS = 100
_MOST_PICTURES = 40
_RIDGE = 1e-2
_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class BatchCurve:
    """Log odds of none, linear in evidence, log of the number of labels, spread, and their product.

    The spread is the standard deviation of the evidence over the batch, clipped to those of the
    lists of the fit. It was fitted on `lists` lists of nouns; 0 is the package's curve.
    """

    constant: float
    by_evidence: float
    by_log_labels: float
    by_spread: float
    by_spread_evidence: float
    least_spread: float
    most_spread: float
    lists: int = 0

    def log_odds(
        self,
        evidence: Float64[np.ndarray, " pictures"],
        labels: int,
        batch: Float64[np.ndarray, " batch"],
    ) -> Float64[np.ndarray, " pictures"]:
        """The log odds that none of the labels fits, for pictures of a batch.

        Args:
            evidence: The evidence of the pictures.
            labels: How many labels there are.
            batch: The evidence of all pictures of the batch.
        """
        share = _share_of_none(self._even(batch, labels, batch))
        return np.asarray(self._even(evidence, labels, batch) + np.log(share / (1 - share)))

    def _even(
        self,
        evidence: Float64[np.ndarray, " pictures"],
        labels: int,
        batch: Float64[np.ndarray, " batch"],
    ) -> Float64[np.ndarray, " pictures"]:
        """The log odds if half of the pictures had no label."""
        spread = float(np.clip(batch.std(), self.least_spread, self.most_spread))
        slope = self.by_evidence + self.by_spread_evidence * spread
        offset = self.constant + self.by_log_labels * np.log(labels) + self.by_spread * spread
        return np.asarray(slope * evidence + offset + CROWDED)


DEFAULT_BATCH_CURVE = BatchCurve(-1.41, 0.123, 0.254, -0.239, 0.0443, 2.85, 5.66)
"""For a classifier without a store that can be fitted: the curve of 1,239 photos of flickr8k and
COCO with a small general encoder. benchmarks/quality/none_of_these.py"""


def _share_of_none(log_odds: Float64[np.ndarray, " batch"]) -> float:
    """The share of a batch that has no label, by expectation and maximisation, pulled to half."""
    share = 0.5
    for _ in range(_ROUNDS):
        mean = float(probability(log_odds + np.log(share / (1 - share))).mean())
        share = (mean + PULL) / (1 + 2 * PULL)
    return share


def fit_batch_curve(pictures: StorePictures) -> BatchCurve | None:
    """The curve of a store; None if too few lists of its nouns have pictures.

    Of each list half of the nouns are left out. Half of the pictures have most captions name a noun
    that stayed, the others one that was left out, and none that stayed.
    """
    rng = np.random.default_rng(0)
    columns: list[Float64[np.ndarray, "pictures 4"]] = []
    answers, weights = [], []
    for _ in range(3 * BATCH_LISTS):
        if len(columns) == BATCH_LISTS:
            break
        length = int(rng.choice([n for n in _LENGTHS if 2 * n <= len(pictures.nouns)]))
        drawn = pictures.draw_nouns(2 * length, rng)
        labels, left_out = drawn[:length], drawn[length:]
        fits = np.flatnonzero(pictures.showing(labels))
        none = np.flatnonzero(pictures.showing(left_out) & ~pictures.mentioning(labels))
        each = min(len(fits), len(none), _MOST_PICTURES // 2)
        if 2 * each < LEAST_BATCH:
            continue
        chosen = [rng.choice(rows, each, replace=False) for rows in (fits, none)]
        evidence = pictures.evidence(labels, np.concatenate(chosen))
        columns.append(_features(evidence, length))
        answers.append(np.repeat([0.0, 1.0], each))
        weights.append(np.full(2 * each, 1 / each))
    if len(columns) < _MIN_LISTS:
        return None
    features = np.concatenate(columns)
    fitted = fit_weights(features, np.concatenate(answers), np.concatenate(weights), _RIDGE)
    spreads = [float(rows[0, 2]) for rows in columns]
    least, most = (float(np.quantile(spreads, share)) for share in (0.05, 0.95))
    constant, by_evidence, by_log_labels, by_spread, by_product = fitted.tolist()
    if by_evidence + by_product * least <= 0:
        return None
    return BatchCurve(
        constant, by_evidence, by_log_labels, by_spread, by_product, least, most, len(columns)
    )


def _features(
    evidence: Float64[np.ndarray, " pictures"], labels: int
) -> Float64[np.ndarray, "pictures 4"]:
    spread = np.full(len(evidence), evidence.std())
    logs = np.full(len(evidence), np.log(labels))
    return np.stack([evidence, logs, spread, evidence * spread], axis=1)
