"""Features of the options of many tasks come in; the weights of the features go out.

The model is a conditional logit (softmax regression over the options of each task), fitted by
Newton's method.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from lagotto.core.vectors import softmax

_STEPS = 40


@dataclass(frozen=True, slots=True)
class ConditionalLogit:
    """Weights of the features, and the mean loss (nats a task)."""

    weights: Float64[np.ndarray, " features"]
    loss: float


def fit_conditional_logit(
    features: Float[np.ndarray, "tasks options features"],
) -> ConditionalLogit:
    """The weights under which option 0, the right one, is likeliest over all tasks.

    The options of a task have probabilities softmax(features @ weights). The loss is convex; a
    small ridge on its Hessian keeps the steps finite if the features are degenerate.

    Args:
        features: The features of each option of each task; option 0 is the right one.
    """
    x = features.astype(np.float64)
    feature_scale = np.maximum(x.std(axis=(0, 1)), 1e-12)
    x = x / feature_scale
    weights = np.zeros(x.shape[2])
    loss = _loss(x, weights)
    for _ in range(_STEPS):
        step = np.linalg.solve(*_hessian_and_gradient(x, weights))
        step_size = 1.0
        while step_size > 1e-6 and _loss(x, weights - step_size * step) > loss:
            step_size /= 2
        weights = weights - step_size * step
        previous_loss, loss = loss, _loss(x, weights)
        if previous_loss - loss < 1e-10:
            break
    return ConditionalLogit(weights / feature_scale, loss)


def _hessian_and_gradient(
    x: Float64[np.ndarray, "tasks options features"], weights: Float64[np.ndarray, " features"]
) -> tuple[Float64[np.ndarray, "features features"], Float64[np.ndarray, " features"]]:
    """The Hessian of the mean loss, with its ridge, and its gradient."""
    p = softmax(x @ weights)
    mean = np.einsum("to,top->tp", p, x)
    second = np.einsum("to,top,toq->pq", p, x, x) - mean.T @ mean
    return second / len(x) + 1e-6 * np.eye(len(weights)), (mean - x[:, 0]).mean(axis=0)


def _loss(
    x: Float64[np.ndarray, "tasks options features"], weights: Float64[np.ndarray, " features"]
) -> float:
    """The mean of -log(probability of option 0)."""
    scores = x @ weights
    top = scores.max(axis=1)
    return float((np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top - scores[:, 0]).mean())
