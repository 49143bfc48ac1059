"""The constants of the search rules, and scores on one scale over a hub."""

import math
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float, Float32, Int64

RuleName: TypeAlias = Literal["default", "paper", "full-query"]
RULE_NAMES: tuple[RuleName, ...] = get_args(RuleName)

DEFAULT_K = 50
"""Probes that decide a query."""

DIRECTION_WEIGHT = 0.5
"""Weight of the direction's standardised score beside that of the blended descriptors."""

CANDIDATES = 512
"""Logits, best by their plain descriptors, whose blended ones and direction are asked."""

SAMPLE_LOGITS = 1024
"""Logits, evenly spaced, from which a score's mean and spread over the hub are taken."""


def standard_scores(
    scores: Float[np.ndarray, "queries logits"], sample: Int64[np.ndarray, " sample"]
) -> Float32[np.ndarray, "queries logits"]:
    """Each query's scores minus their mean, over their standard deviation, over a sample."""
    if not len(sample):
        return np.zeros(scores.shape, np.float32)
    chosen = scores[:, sample].astype(np.float64)
    spread = np.maximum(chosen.std(axis=1, keepdims=True), 1e-9)
    standard = (scores - chosen.mean(axis=1, keepdims=True)) / spread
    return np.asarray(standard, dtype=np.float32)


def sample_columns(usable: Int64[np.ndarray, " logits"]) -> Int64[np.ndarray, " sample"]:
    """At most SAMPLE of the usable logits, evenly spaced; all of fewer."""
    if len(usable) <= SAMPLE_LOGITS:
        return usable
    places = np.linspace(0, len(usable) - 1, SAMPLE_LOGITS).round().astype(np.int64)
    return np.asarray(usable[places])


def noise_threshold(logits: int) -> float:
    """What the best of so many scores reaches by accident, about: sqrt(2 ln n)."""
    return math.sqrt(2.0 * math.log(max(2, logits)))
