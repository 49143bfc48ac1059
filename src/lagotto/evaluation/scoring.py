"""How queries are compared with responses, as plain functions: what completion is judged by.

A rule takes the queries' cosines with some probes, and gives a function from a model's responses on
the same probes to scores: higher is nearer, NaN where a logit cannot be searched. Scores of
different models are comparable, also where the models saw different probes.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from lagotto.hubsearch.descriptors import standardise

Cosines: TypeAlias = Float32[np.ndarray, "queries probes"]
Scorer: TypeAlias = Callable[
    [Float32[np.ndarray, "probes logits"]], Float32[np.ndarray, "queries logits"]
]
Rule: TypeAlias = Callable[[Cosines], Scorer]

SMOOTH_SCALE = 12.0
PAPER_K = 50


def smooth_rule(cosines: Cosines) -> Scorer:
    """Weights that fall off smoothly with the cosine, over responses centred on the classes."""
    weights = np.exp(SMOOTH_SCALE * (cosines - cosines.max(axis=1, keepdims=True)))
    weights /= weights.sum(axis=1, keepdims=True)

    def scores(
        responses: Float32[np.ndarray, "probes logits"],
    ) -> Float32[np.ndarray, "queries logits"]:
        usable = standardise(responses).usable
        centred = responses[:, usable]
        if centred.shape[1] > 1:
            centred = centred - centred.mean(axis=1, keepdims=True)
        found = np.full((len(weights), len(usable)), np.nan, dtype=np.float32)
        found[:, usable] = weights @ standardise(centred).values
        return found

    return scores


def paper_rule(cosines: Cosines) -> Scorer:
    """Distance over the k = 50 probes on which a query is highest (ProbeLog, section 3.2)."""
    mean, std = cosines.mean(axis=1, keepdims=True), cosines.std(axis=1, keepdims=True)
    queries = (cosines - mean) / np.where(std > 0, std, 1)
    surest = np.argsort(-queries, axis=1, kind="stable")[:, :PAPER_K]
    values = np.take_along_axis(queries, surest, axis=1)

    def scores(
        responses: Float32[np.ndarray, "probes logits"],
    ) -> Float32[np.ndarray, "queries logits"]:
        descriptors = standardise(responses)
        found = np.empty((len(values), responses.shape[1]), dtype=np.float32)
        for place, (probes, query) in enumerate(zip(surest, values, strict=True)):
            away = descriptors.values[probes] - query[:, None]
            found[place] = -np.sqrt(np.einsum("kl,kl->l", away, away))
        found[:, ~descriptors.usable] = np.nan
        return found

    return scores
