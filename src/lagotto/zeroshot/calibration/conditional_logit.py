"""Fitting how much pieces of evidence weigh: a conditional logit, by Newton's method."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from lagotto.core.vectors import softmax

_STEPS = 40


@dataclass(frozen=True, slots=True)
class ConditionalLogit:
    """Weights of the pieces of evidence, their standard errors, and the mean loss under them."""

    weights: Float64[np.ndarray, " pieces"]
    errors: Float64[np.ndarray, " pieces"]
    loss: float


def fit_conditional_logit(
    evidence: Float[np.ndarray, "tasks options pieces"], groups: Int64[np.ndarray, " tasks"]
) -> ConditionalLogit:
    """The weights under which option 0, the right one, is likeliest over all tasks.

    A task's options have probabilities softmax(evidence @ weights). The problem is convex; a faint
    pull towards zero keeps it so where the evidence is degenerate. Tasks of one group may depend on
    each other: the errors are those of as many independent groups.
    """
    x = evidence.astype(np.float64)
    spread = np.maximum(x.std(axis=(0, 1)), 1e-12)
    x = x / spread
    weights = np.zeros(x.shape[2])
    loss = _loss(x, weights)
    for _ in range(_STEPS):
        slopes, curvature = _derivatives(x, weights)
        step = np.linalg.solve(curvature, slopes.mean(axis=0))
        size = 1.0
        while size > 1e-6 and _loss(x, weights - size * step) > loss:
            size /= 2
        weights = weights - size * step
        before, loss = loss, _loss(x, weights)
        if before - loss < 1e-10:
            break
    slopes, curvature = _derivatives(x, weights)
    sums = np.zeros((int(groups.max()) + 1, x.shape[2]))
    np.add.at(sums, groups, slopes)
    inverse = np.linalg.inv(curvature * len(x))
    variance = np.diag(inverse @ (sums.T @ sums) @ inverse)
    return ConditionalLogit(weights / spread, np.sqrt(np.maximum(variance, 0)) / spread, loss)


def _derivatives(
    x: Float64[np.ndarray, "tasks options pieces"], weights: Float64[np.ndarray, " pieces"]
) -> tuple[Float64[np.ndarray, "tasks pieces"], Float64[np.ndarray, "pieces pieces"]]:
    """Of the loss: each task's slope, and the mean curvature with its faint ridge."""
    p = softmax(x @ weights)
    mean = np.einsum("to,top->tp", p, x)
    second = np.einsum("to,top,toq->pq", p, x, x) - mean.T @ mean
    return mean - x[:, 0], second / len(x) + 1e-6 * np.eye(len(weights))


def _loss(
    x: Float64[np.ndarray, "tasks options pieces"], weights: Float64[np.ndarray, " pieces"]
) -> float:
    """Mean of -log(probability of option 0)."""
    scores = x @ weights
    top = scores.max(axis=1)
    return float((np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top - scores[:, 0]).mean())
