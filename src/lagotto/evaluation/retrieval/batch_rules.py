"""Concepts and plain descriptors come in; every logit's score by a search rule goes out.

This is the batch reference of the rules: what a search does block by block is done here on whole
arrays, and the search (hub/search/rerank.py) is tested against it. The default rule is described in
docs/explanation/search.md, the paper's in ProbeLog, section 3.2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.zscore import zscore_by_sample
from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.rank_blend import blend
from lagotto.hub.index.scoring import (
    SEARCH_CONFIG,
    RuleName,
    combine_scores,
    noise_threshold,
    sample_columns,
)
from lagotto.hub.query.probe_weights import (
    ProbeSpace,
    text_weights,
    top_k_weights,
)
from lagotto.hub.query.vectors import standardize_query, top_k_probes
from lagotto.hub.text.matching import Named, name_scores

BatchScores: TypeAlias = Float32[np.ndarray, "queries logits"]
BatchRule: TypeAlias = Callable[
    [ProbeSpace, Float32[np.ndarray, "queries dim"], Float32[np.ndarray, "probes logits"]],
    BatchScores,
]


@dataclass(frozen=True, slots=True)
class NamedRows:
    """For each concept of a batch the logits whose labels match it.

    `firsts` are the first columns of the models.
    """

    rows: Sequence[Named]
    firsts: Int64[np.ndarray, " models"]


@dataclass(frozen=True, slots=True)
class RawScores:
    """What the default rule joins, before it is standardized over a hub.

    `plain` and `blended` are weighted sums of plain and of blended descriptors; `directions` are
    dot products of the logits' directions with those of the concepts.
    """

    plain: Float32[np.ndarray, "queries logits"]
    blended: Float32[np.ndarray, "queries logits"]
    directions: Float32[np.ndarray, "queries logits"]


def raw_scores(
    weights: Float32[np.ndarray, "queries probes"],
    directions: Float32[np.ndarray, "queries dim"],
    matrix: Float32[np.ndarray, "dim probes"],
    standardized: Float32[np.ndarray, "probes logits"],
) -> RawScores:
    """The raw scores of logits by the default rule.

    Args:
        weights: The weights of each concept's top k probes.
        directions: Where each concept lies in the encoder's space, less the background's mean.
        matrix: The projector of the probes.
        standardized: Descriptors; an invalid one is all zeros.
    """
    blended = blend(standardized)
    logit_directions = project(matrix, blended)
    return RawScores(weights @ standardized, weights @ blended, directions @ logit_directions.T)


def default_scores(
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    standardized: Float32[np.ndarray, "probes logits"],
    k: int = SEARCH_CONFIG.k,
    names: NamedRows | None = None,
) -> BatchScores:
    """Scores of logits for concepts in words, by the default rule; higher is better.

    Logits that are no candidates keep their order, below all candidates.

    Args:
        space: The probes and the background words in the encoder's space.
        concepts: Unit embeddings of the concepts' prompts.
        standardized: Descriptors; an invalid one is all zeros.
        k: How many probes decide.
        names: The logits whose labels match; without them behaviour alone decides.
    """
    weights = top_k_weights(text_weights(space, concepts), k)
    directions = concepts - space.background_mean
    raw = raw_scores(weights, directions, projector(space.probes), standardized)
    return score_candidates(raw, names)


def score_candidates(raw: RawScores, names: NamedRows | None = None) -> BatchScores:
    """Scores by the default rule from raw ones; candidates are the best by plain descriptors.

    A column of zeros in `raw.plain` is an invalid logit.
    """
    logits = raw.plain.shape[1]
    sample = sample_columns(np.arange(logits))
    first = zscore_by_sample(raw.plain, sample)
    total = combine_scores(raw.blended, raw.directions, sample)
    if names is not None:
        threshold = noise_threshold(int(raw.plain.any(axis=0).sum()))
        for row, final, named in zip(first, total, names.rows, strict=True):
            if len(named.columns):
                bonus = name_scores(named, row, names.firsts, threshold)
                row[named.columns] += bonus
                final[named.columns] += bonus
    count = SEARCH_CONFIG.candidates
    if logits <= count:
        return np.asarray(total)
    best = np.argpartition(-first, count, axis=1)[:, :count]
    scores = first - np.float32(1e4)
    np.put_along_axis(scores, best, np.take_along_axis(total, best, axis=1), axis=1)
    return scores


def paper_scores(
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    standardized: Float32[np.ndarray, "probes logits"],
    k: int = SEARCH_CONFIG.k,
) -> BatchScores:
    """Minus the paper's distance: Euclidean over the query's top k probes."""
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
        probes = top_k_probes(values, k)
        difference = standardized[probes] - values[probes, None]
        squares: Float64[np.ndarray, " logits"] = np.einsum("pl,pl->l", difference, difference)
        scores[row] = -np.sqrt(squares)
    return scores
