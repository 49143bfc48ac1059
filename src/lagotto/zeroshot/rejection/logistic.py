"""Features and answers come in; the weights of a logistic regression go out."""

import numpy as np
from jaxtyping import Float64

_STEPS = 60
_FAR = 30.0


def probability(log_odds: Float64[np.ndarray, " rows"]) -> Float64[np.ndarray, " rows"]:
    """The probabilities of some log odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -_FAR, _FAR))))


def fit_weights(
    features: Float64[np.ndarray, "rows features"],
    answers: Float64[np.ndarray, " rows"],
    weights: Float64[np.ndarray, " rows"],
    ridge: float,
) -> Float64[np.ndarray, " features_plus_1"]:
    """The constant and the weights of highest likelihood, by Newton's method.

    Args:
        features: The features of each row.
        answers: 1 or 0 for each row.
        weights: How much each row counts.
        ridge: Penalty on the squared weights of standardised features, a row on average.
    """
    mean = features.mean(axis=0)
    spread = np.maximum(features.std(axis=0), 1e-9)
    x = np.concatenate([np.ones((len(features), 1)), (features - mean) / spread], axis=1)
    share = weights / weights.sum()
    penalty = np.full(x.shape[1], ridge)
    penalty[0] = ridge / 10  # keeps the constant finite where all answers agree
    found = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = probability(x @ found)
        gradient = x.T @ (share * (p - answers)) + penalty * found
        hessian = (x * (share * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        found = found - step
        if float(np.abs(step).max()) < 1e-9:
            break
    slopes = found[1:] / spread
    return np.concatenate([[found[0] - slopes @ mean], slopes])
