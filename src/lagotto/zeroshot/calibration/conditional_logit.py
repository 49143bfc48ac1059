"""Features of the options of many tasks come in; the weights of the features go out.

The model is a conditional logit (softmax regression over the options of each task), fitted by
Newton's method.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from lagotto.core.vectors import softmax

_STEPS = 40


@dataclass(frozen=True, slots=True)
class ConditionalLogit:
    """Weights of the features, their standard errors, and the mean loss (nats a task)."""

    weights: Float64[np.ndarray, " features"]
    standard_errors: Float64[np.ndarray, " features"]
    loss: float


def fit_conditional_logit(
    features: Float[np.ndarray, "tasks options features"], groups: Int64[np.ndarray, " tasks"]
) -> ConditionalLogit:
    """The weights under which option 0, the right one, is likeliest over all tasks.

    The options of a task have probabilities softmax(features @ weights). The loss is convex; a
    small ridge keeps it strictly convex if the features are degenerate.

    Args:
        features: The features of each option of each task; option 0 is the right one.
        groups: The group of each task. Tasks of one group may depend on each other: the standard
            errors are clustered by group.
    """
    x = features.astype(np.float64)
    feature_scale = np.maximum(x.std(axis=(0, 1)), 1e-12)
    x = x / feature_scale
    weights = np.zeros(x.shape[2])
    loss = _loss(x, weights)
    for _ in range(_STEPS):
        gradients, hessian = _gradients_and_hessian(x, weights)
        step = np.linalg.solve(hessian, gradients.mean(axis=0))
        step_size = 1.0
        while step_size > 1e-6 and _loss(x, weights - step_size * step) > loss:
            step_size /= 2
        weights = weights - step_size * step
        previous_loss, loss = loss, _loss(x, weights)
        if previous_loss - loss < 1e-10:
            break
    gradients, hessian = _gradients_and_hessian(x, weights)
    sums = np.zeros((int(groups.max()) + 1, x.shape[2]))
    np.add.at(sums, groups, gradients)
    inverse = np.linalg.inv(hessian * len(x))
    variance = np.diag(inverse @ (sums.T @ sums) @ inverse)
    standard_errors = np.sqrt(np.maximum(variance, 0)) / feature_scale
    return ConditionalLogit(weights / feature_scale, standard_errors, loss)


def _gradients_and_hessian(
    x: Float64[np.ndarray, "tasks options features"], weights: Float64[np.ndarray, " features"]
) -> tuple[Float64[np.ndarray, "tasks features"], Float64[np.ndarray, "features features"]]:
    """The gradient of the loss on each task, and the mean Hessian with its ridge."""
    p = softmax(x @ weights)
    mean = np.einsum("to,top->tp", p, x)
    second = np.einsum("to,top,toq->pq", p, x, x) - mean.T @ mean
    return mean - x[:, 0], second / len(x) + 1e-6 * np.eye(len(weights))


def _loss(
    x: Float64[np.ndarray, "tasks options features"], weights: Float64[np.ndarray, " features"]
) -> float:
    """The mean of -log(probability of option 0)."""
    scores = x @ weights
    top = scores.max(axis=1)
    return float((np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top - scores[:, 0]).mean())
