"""Every search rule on arrays: many concepts × plain descriptors → scores, higher is better.

What a search does block by block is done here on whole arrays, for evaluation. The default rule is
described in docs/search.md, the paper's in ProbeLog, section 3.2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.rank_blend import blend
from lagotto.hub.index.scoring import (
    CANDIDATES,
    DEFAULT_K,
    DIRECTION_WEIGHT,
    RuleName,
    noise_threshold,
    sample_columns,
    standard_scores,
)
from lagotto.hub.query.probe_weights import (
    ProbeSpace,
    surest,
    text_weights,
)
from lagotto.hub.query.vectors import standardize_query, surest_probes
from lagotto.hub.text.matching import Named, name_scores

BatchScores: TypeAlias = Float32[np.ndarray, "queries logits"]
BatchRule: TypeAlias = Callable[
    [ProbeSpace, Float32[np.ndarray, "queries dim"], Float32[np.ndarray, "probes logits"]],
    BatchScores,
]


@dataclass(frozen=True, slots=True)
class NamedRows:
    """For each concept of a batch the logits that are called so; `firsts` are the models' first
    columns.
    """

    rows: Sequence[Named]
    firsts: Int64[np.ndarray, " models"]


def default_scores(
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    standardized: Float32[np.ndarray, "probes logits"],
    k: int = DEFAULT_K,
    names: NamedRows | None = None,
) -> BatchScores:
    """Scores of logits for concepts in words, by the default rule; higher is better.

    `concepts` are unit embeddings of prompts, `standardized` descriptors (an invalid one is all 0).
    Without `names` by behaviour alone. Logits that are no candidates keep their order, below all
    candidates.
    """
    weights = np.stack([surest(row, k) for row in text_weights(space, concepts)])
    raised = blend(standardized)
    directions = project(projector(space.probes), raised)
    along = (concepts - space.background_mean) @ directions.T
    return with_directions(weights @ standardized, weights @ raised, along, names)


def with_directions(
    sums: Float32[np.ndarray, "queries logits"],
    raised: Float32[np.ndarray, "queries logits"],
    along: Float32[np.ndarray, "queries logits"],
    names: NamedRows | None = None,
) -> BatchScores:
    """Scores of the candidates by `sums`: their blended sums and what their directions say.

    `sums` and `raised` are weighted sums of plain and of blended descriptors. A column of zeros is
    a flawed logit.
    """
    sample = sample_columns(np.arange(sums.shape[1]))
    first = standard_scores(sums, sample)
    total = standard_scores(raised, sample)
    total += np.float32(DIRECTION_WEIGHT) * standard_scores(along, sample)
    if names is not None:
        threshold = noise_threshold(int(sums.any(axis=0).sum()))
        for row, final, named in zip(first, total, names.rows, strict=True):
            if len(named.columns):
                told = name_scores(named, row, names.firsts, threshold)
                row[named.columns] += told
                final[named.columns] += told
    if sums.shape[1] <= CANDIDATES:
        return np.asarray(total)
    best = np.argpartition(-first, CANDIDATES, axis=1)[:, :CANDIDATES]
    scores = first - np.float32(1e4)
    np.put_along_axis(scores, best, np.take_along_axis(total, best, axis=1), axis=1)
    return scores


def paper_scores(
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    standardized: Float32[np.ndarray, "probes logits"],
    k: int = DEFAULT_K,
) -> BatchScores:
    """Minus the paper's distance: Euclidean over the query's k surest probes."""
    return _minus_distances(space, concepts, standardized, k)


def full_query_scores(
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    standardized: Float32[np.ndarray, "probes logits"],
) -> BatchScores:
    """Minus the Euclidean distance over all probes: the paper's baseline "Full Query"."""
    return _minus_distances(space, concepts, standardized, standardized.shape[0])


RULES: Mapping[RuleName, BatchRule] = {
    "default": default_scores,
    "paper": paper_scores,
    "full-query": full_query_scores,
}


def _minus_distances(
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    standardized: Float32[np.ndarray, "probes logits"],
    k: int,
) -> BatchScores:
    scores = np.empty((len(concepts), standardized.shape[1]), np.float32)
    for row, concept in enumerate(concepts):
        values = standardize_query(space.probes @ concept)
        probes = surest_probes(values, k)
        difference = standardized[probes] - values[probes, None]
        squares: Float64[np.ndarray, " logits"] = np.einsum("pl,pl->l", difference, difference)
        scores[row] = -np.sqrt(squares)
    return scores
