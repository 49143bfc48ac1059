"""A query and a low-rank index come in; candidates, ranked by their exact scores, go out.

The index gives an approximate score of every logit. The best logits are scored again from their
descriptors, as if all logits had been scanned: scores are exact, and the only error is a logit that
is missing. Which queries the index serves: docs/how-to/large-hubs.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.errors import UsageError
from lagotto.core.zscore import sample_moments
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.low_rank import LowRankIndex
from lagotto.hub.index.partial import partial_distances
from lagotto.hub.index.scoring import SEARCH_CONFIG, noise_threshold
from lagotto.hub.index.topk import (
    error_bounds,
    rerank,
    top_k_logits,
)
from lagotto.hub.kernels.dispatch import scan_distances, scan_sums
from lagotto.hub.query.boolean import Expression
from lagotto.hub.query.probe_weights import top_k_weights
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.search.rerank import (
    HitRequest,
    Ranked,
    candidate_count,
    choose_candidates,
    join_concepts,
    rank_candidates,
)


def usable_index(
    logit_index: LogitIndex, concepts: Sequence[ConceptQuery], k: int
) -> tuple[LowRankIndex | None, tuple[str, ...]]:
    """The low-rank index that serves a query, if any, and what the user has to know about that.

    Args:
        logit_index: The logits, with or without an index.
        concepts: The concepts of a query by the default rule; none for a query by distance.
        k: How many probes decide.
    """
    approximation = logit_index.approximation
    if approximation is None:
        return None, ()
    refusal = _refusal(logit_index, concepts, k)
    if refusal:
        return None, (f"all logits were scanned: {refusal}",) if approximation.required else ()
    index = approximation.index
    if index is None:
        return None, () if concepts else (approximation.unusable,)
    config = SEARCH_CONFIG
    candidates = config.index_candidates * config.candidates if concepts else config.nearest
    large = logit_index.steps.size >= config.index_pays_logits * candidates
    pays = large and k >= config.index_pays_probes * index.rank
    return index if pays or approximation.required else None, ()


def select_index(logit_index: LogitIndex, low_rank: bool | None, folder: Path) -> LogitIndex:
    """The logits with their low-rank index as the user wants it.

    Args:
        logit_index: The logits of the hub.
        low_rank: Use the index wherever it can serve (True), never (False), or where it pays.
        folder: The hub, for messages.

    Raises:
        UsageError: The index is required, and the hub has none that is fresh.
    """
    approximation = logit_index.approximation
    if low_rank is None or (not low_rank and approximation is None):
        return logit_index
    if not low_rank:
        return logit_index.with_index(None)
    if approximation is None:
        raise UsageError(f"{folder} has no low-rank index; make one: lagotto hub index {folder}")
    if approximation.index is None:
        raise UsageError(approximation.unusable)
    return logit_index.with_index(replace(approximation, required=True))


def _refusal(logit_index: LogitIndex, concepts: Sequence[ConceptQuery], k: int) -> str:
    """Why an index cannot give this query's scores, or an empty text."""
    if not concepts:
        probes = logit_index.blocks[0].values.shape[0]
        return "" if k == probes else "a low-rank index knows distances on all probes only"
    if any(len(concept.named.columns) for concept in concepts):
        return "a published name is weighed against the other outputs of its model"
    if logit_index.partial_models:
        return "models searched on their seen part are scaled to all others"
    return ""


def approximate_by_distance(
    index: LowRankIndex,
    logit_index: LogitIndex,
    probes: Int64[np.ndarray, " probes"],
    values: Float32[np.ndarray, " probes"],
    request: HitRequest,
) -> Ranked:
    """The nearest of the index's candidates on all probes, ranked as `rank_by_distance` does.

    All descriptors have the same length, so the nearest have the highest dot products. Every logit
    of a partly probed model is measured.

    Args:
        index: The low-rank index.
        logit_index: The logits.
        probes: All probes, in order.
        values: The query's value on every probe.
        request: How many logits, and which not.
    """
    query = values[probes]
    scores = index.scores(values)
    partial = _measure_partial_models(logit_index, values)
    partial_columns = np.concatenate([np.zeros(0, np.int64), *(columns for columns, _ in partial)])
    partial_values = np.concatenate([np.zeros(0), *(distances for _, distances in partial)])
    scores[partial_columns] = -np.inf
    known = dict(zip(partial_columns.tolist(), partial_values.tolist(), strict=True))
    request.leave_out(scores, -np.inf)
    left_out = np.zeros(scores.size)
    request.leave_out(left_out, np.inf)
    partial_values[left_out[partial_columns] > 0] = np.inf
    if request.excluded is not None:
        known[request.excluded] = np.inf
    candidates = top_k_logits(scores, max(SEARCH_CONFIG.nearest, 4 * request.top))
    codes = logit_index.codes(candidates)
    scanned = scan_distances([codes], probes, query)

    def exact(positions: Int64[np.ndarray, " positions"]) -> Float64[np.ndarray, " positions"]:
        return logit_index.distances(candidates[positions], probes, query)

    bounds = error_bounds(scanned, codes[1], len(probes))
    positions, distances = rerank(scanned, bounds, exact, request.top)
    finite = np.isfinite(partial_values)
    columns = np.concatenate([candidates[positions], partial_columns[finite]])
    measured = np.concatenate([distances, partial_values[finite]])
    order = np.lexsort((columns, measured))[: request.top]
    sample_scores = -_sample_distances(logit_index, probes, query, known)
    return Ranked(columns[order], -measured[order], sample_scores, np.zeros(len(order)))


def approximate_by_evidence(
    index: LowRankIndex,
    logit_index: LogitIndex,
    concepts: Sequence[ConceptQuery],
    expression: Expression,
    k: int,
    request: HitRequest,
) -> Ranked:
    """The best of the index's candidates by the default rule, ranked as `rank_by_evidence` does.

    Arguments as `rank_by_evidence`.
    """
    threshold = noise_threshold(logit_index.usable)
    weights = [top_k_weights(concept.weights, k) for concept in concepts]
    samples = [_sample_sums(logit_index, top_weights) for top_weights in weights]
    scores = []
    for top_weights, (_, mean, spread) in zip(weights, samples, strict=True):
        approximate = index.scores(top_weights)
        approximate[logit_index.invalid] = 0.0
        approximate -= mean
        approximate /= spread
        scores.append(approximate)
    count = candidate_count(request)
    joined = join_concepts(expression, scores, threshold)
    wide = SEARCH_CONFIG.index_candidates * count
    first = choose_candidates(logit_index, joined, wide, request)
    exact = []
    for approximate, top_weights, (_, mean, spread) in zip(scores, weights, samples, strict=True):
        probes = np.flatnonzero(top_weights)
        codes = logit_index.codes(first, probes)
        sums = scan_sums([codes], np.arange(len(probes)), top_weights[probes])
        exact.append((sums - mean) / spread)
        approximate[first] = exact[-1]
    joined = np.full(logit_index.steps.size, -np.inf, np.float32)
    joined[first] = join_concepts(expression, exact, threshold)
    candidates = choose_candidates(logit_index, joined, count, request)
    sums_and_sample = [
        np.concatenate([concept_scores[candidates], sample])
        for concept_scores, (sample, _, _) in zip(scores, samples, strict=True)
    ]
    no_bonus = [None] * len(concepts)
    return rank_candidates(
        logit_index, concepts, weights, expression, candidates, sums_and_sample, no_bonus
    )


def _measure_partial_models(
    logit_index: LogitIndex, values: Float32[np.ndarray, " probes"]
) -> list[tuple[Int64[np.ndarray, " own"], Float64[np.ndarray, " own"]]]:
    """Columns and distances of each partly probed model."""
    return [
        (
            np.arange(model.columns.start, model.columns.stop),
            partial_distances(model, values, len(values), logit_index.read),
        )
        for model in logit_index.partial_models
    ]


def _sample_distances(
    logit_index: LogitIndex,
    probes: Int64[np.ndarray, " probes"],
    query: Float32[np.ndarray, " probes"],
    known: Mapping[int, float],
) -> Float64[np.ndarray, " sample"]:
    """Distances of the logit index's sample, as a scan has them; `known` ones as they are given."""
    distances = scan_distances([logit_index.sample_codes()], probes, query).astype(np.float64)
    for position, column in enumerate(logit_index.sample.tolist()):
        distances[position] = known.get(column, distances[position])
    return distances


def _sample_sums(
    logit_index: LogitIndex, weights: Float32[np.ndarray, " probes"]
) -> tuple[Float32[np.ndarray, " sample"], np.float32, np.float32]:
    """z-scores of the sums of the logit index's sample, with the moments of the raw sums."""
    probes = np.flatnonzero(weights)
    codes = logit_index.codes(logit_index.sample, probes)
    sums = scan_sums([codes], np.arange(len(probes)), weights[probes])
    mean, spread = sample_moments(sums)
    return (sums - mean) / spread, mean, spread
