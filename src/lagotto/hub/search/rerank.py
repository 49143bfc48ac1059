"""A query and a logit index come in; the best logits by either rule, with their scores, go out.

The paper's rule ranks by distance on the query's top k probes, exact over all logits. The default
rule weighs these probes, chooses candidates by weighted sums of plain descriptors, and ranks the
candidates by their blended descriptors and their directions (docs/explanation/search.md). Its batch
reference is evaluation/retrieval/batch_rules.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from lagotto.core.vectors import quiet_product
from lagotto.core.zscore import zscore_by_sample
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.partial import partial_distances
from lagotto.hub.index.scoring import SEARCH_CONFIG, noise_threshold
from lagotto.hub.index.topk import (
    error_bounds,
    rerank,
    top_k_logits,
    within_reach,
)
from lagotto.hub.kernels.dispatch import scan_distances
from lagotto.hub.query.boolean import (
    SINGLE,
    Expression,
    join_scores,
)
from lagotto.hub.query.probe_weights import top_k_weights
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.search.first_stage import (
    LabelBonus,
    WeightedSums,
    label_bonus,
    weighted_sums,
)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Columns of the logit index, best first, with their scores; higher is better.

    `sample_scores` are the scores of the index's sample, which say what is usual in this hub.
    `bonuses` are what published labels added to the scores of a single concept: behaviour is judged
    without them. `sample_sums` are the raw sums of a single concept on the sample, of blended
    descriptors and of directions.
    """

    columns: Int64[np.ndarray, " top"]
    scores: Float64[np.ndarray, " top"]
    sample_scores: Float64[np.ndarray, " sample"]
    bonuses: Float64[np.ndarray, " top"]
    sample_sums: Float32[np.ndarray, "2 sample"] | None = None


@dataclass(frozen=True, slots=True)
class HitRequest:
    """How many of the best logits, which columns to leave out, and whether to cover every model.

    `excluded` is the query itself, where it is a logit of the hub. `hidden` are the columns of
    models that are not to be shown.
    """

    top: int
    excluded: int | None = None
    by_model: bool = False
    hidden: tuple[slice, ...] = ()

    def leave_out(self, values: Float[np.ndarray, " logits"], worst: float) -> None:
        """Gives the columns that are left out a value that no hit has."""
        if self.excluded is not None:
            values[self.excluded] = worst
        for columns in self.hidden:
            values[columns] = worst


def rank_by_distance(
    logit_index: LogitIndex,
    probes: Int64[np.ndarray, " k"],
    values: Float32[np.ndarray, " probes"],
    request: HitRequest,
) -> Ranked:
    """The nearest logits by the paper's rule, as a full sort of exact distances has them.

    Args:
        logit_index: The logits.
        probes: The probes that decide.
        values: The query's value on every probe.
        request: How many logits, and which not.
    """
    query = values[probes]
    logit_index.read_ahead(probes)
    scanned = scan_distances(logit_index.tables, probes, query, ends=logit_index.ends)
    steps = logit_index.steps
    exact_already = np.full(steps.size if logit_index.partial_models else 0, np.nan)
    if logit_index.partial_models:
        steps = steps.copy()
        for model in logit_index.partial_models:
            distances = partial_distances(model, values, len(probes), logit_index.read)
            scanned[model.columns], steps[model.columns] = distances, 0  # no rounding to allow for
            exact_already[model.columns] = distances
    request.leave_out(scanned, np.inf)

    widest = logit_index.widest_steps()
    near = within_reach(scanned, steps, widest, len(probes), request.top)

    def exact(positions: Int64[np.ndarray, " positions"]) -> Float64[np.ndarray, " positions"]:
        columns = near[positions]
        distances = logit_index.distances(columns, probes, query)
        if not exact_already.size:
            return distances
        return np.where(np.isnan(exact_already[columns]), distances, exact_already[columns])

    bounds = error_bounds(scanned[near], steps[near], len(probes))
    positions, distances = rerank(scanned[near], bounds, exact, request.top)
    sample_scores = -scanned[logit_index.sample].astype(np.float64)
    return Ranked(near[positions], -distances, sample_scores, np.zeros(len(positions)))


def rank_by_evidence(
    logit_index: LogitIndex,
    concepts: Sequence[ConceptQuery],
    expression: Expression,
    k: int,
    request: HitRequest,
) -> Ranked:
    """The best logits by the default rule.

    Every logit is scored by the weighted sum of its descriptor over each concept's top k probes and
    by its label. The best candidates are scored again by their blended descriptors and directions.

    Args:
        logit_index: The logits.
        concepts: The concepts of the query.
        expression: How they are joined.
        k: How many probes decide for each concept.
        request: How many logits, and which not; with `by_model` the best logit of every model is
            a candidate too.
    """
    threshold = noise_threshold(logit_index.usable)
    weights = [top_k_weights(concept.weights, k) for concept in concepts]
    sums = [
        weighted_sums(logit_index, concept.weights, top_weights)
        for concept, top_weights in zip(concepts, weights, strict=True)
    ]
    bonuses = [
        label_bonus(logit_index, concept.named, concept_sums, threshold)
        for concept, concept_sums in zip(concepts, sums, strict=True)
    ]
    first_scores = _first_scores(expression, sums, bonuses, threshold)
    candidates = choose_candidates(logit_index, first_scores, candidate_count(request), request)
    columns = np.concatenate([candidates, logit_index.sample])
    return rank_candidates(
        logit_index,
        concepts,
        weights,
        expression,
        candidates,
        [concept_sums.candidate_scores(candidates) for concept_sums in sums],
        [None if bonus is None else bonus.at(columns) for bonus in bonuses],
    )


def _first_scores(
    expression: Expression,
    sums: Sequence[WeightedSums],
    bonuses: Sequence[LabelBonus | None],
    threshold: float,
) -> Float32[np.ndarray, " logits"]:
    """What candidates are chosen by: scores for the whole query, or anything that sorts the same.

    For a single concept without a bonus it is the array of raw sums itself, which is overwritten.
    """
    if expression != SINGLE:
        scores = [concept_sums.scores(concept_sums.raw) for concept_sums in sums]
        for concept_scores, bonus in zip(scores, bonuses, strict=True):
            if bonus is not None:
                concept_scores[bonus.columns] += bonus.added
        return join_concepts(expression, scores, threshold)
    if bonuses[0] is None:
        return sums[0].raw
    adjusted = sums[0].raw.copy()
    adjusted[bonuses[0].columns] += bonuses[0].added * sums[0].spread
    return adjusted


def candidate_count(request: HitRequest) -> int:
    """How many logits, best by their weighted sums and labels, are scored in full."""
    return max(SEARCH_CONFIG.candidates, 4 * request.top)


def join_concepts(
    expression: Expression, scores: Sequence[Float32[np.ndarray, " logits"]], threshold: float
) -> Float32[np.ndarray, " logits"]:
    """Scores for the whole query from those of each concept; one concept keeps its own."""
    if expression == SINGLE:  # not turned into probabilities and back: that would cost digits
        return scores[0].copy()
    return join_scores(expression, np.stack(scores), threshold).astype(np.float32)


def rank_candidates(
    logit_index: LogitIndex,
    concepts: Sequence[ConceptQuery],
    weights: Sequence[Float32[np.ndarray, " probes"]],
    expression: Expression,
    candidates: Int64[np.ndarray, " candidates"],
    sums: Sequence[Float32[np.ndarray, " candidates_and_sample"]],
    bonuses: Sequence[Float32[np.ndarray, " candidates_and_sample"] | None],
) -> Ranked:
    """Candidates, best first, by their blended descriptors, their directions and their labels.

    Args:
        logit_index: The logits.
        concepts: The concepts of the query.
        weights: The weights of each concept's top k probes.
        expression: How the concepts are joined.
        candidates: The columns to rank.
        sums: Each concept's z-scores by plain descriptors, of the candidates and then the sample.
        bonuses: What labels add there; None for nothing.
    """
    scores, sample_sums = [], None
    for concept, top_weights, plain, bonus in zip(concepts, weights, sums, bonuses, strict=True):
        score, sample_sums = _full_scores(logit_index, concept, top_weights, candidates, plain)
        scores.append(score if bonus is None else score + bonus)
    threshold = noise_threshold(logit_index.usable)
    total = join_concepts(expression, scores, threshold).astype(np.float64)
    best = total[: len(candidates)]
    order = np.lexsort((candidates, -best))
    added = np.zeros(len(total)) if bonuses[-1] is None else bonuses[-1].astype(np.float64)
    sample_scores = total[len(candidates) :]
    return Ranked(candidates[order], best[order], sample_scores, added[order], sample_sums)


def _full_scores(
    logit_index: LogitIndex,
    concept: ConceptQuery,
    weights: Float32[np.ndarray, " probes"],
    candidates: Int64[np.ndarray, " candidates"],
    sums: Float32[np.ndarray, " candidates_and_sample"],
) -> tuple[Float32[np.ndarray, " candidates_and_sample"], Float32[np.ndarray, "2 sample"]]:
    """A concept's scores of the candidates and then of the sample, without labels.

    The second result is the raw sums on the sample, of blended descriptors and of directions, from
    which the scores are made: both are standardized over the sample. Partly probed models keep
    their `sums`, which are of blended descriptors already.
    """
    probes = np.flatnonzero(weights)
    top_weights = weights[probes]
    blended, direction_scores = logit_index.weighted_scores(
        candidates, probes, top_weights, concept.direction
    )
    sample_blended = np.einsum("kc,k->c", logit_index.sample_blended(probes), top_weights)
    sample_directions = quiet_product(logit_index.sample_directions(), concept.direction[:, None])
    sample_sums = np.stack([sample_blended, sample_directions[:, 0]])
    blended = np.concatenate([blended, sample_sums[0]])
    result = sums.copy()
    fully_probed = _fully_probed(logit_index, candidates)
    sample = np.arange(len(candidates), len(blended))
    if fully_probed[sample].any():
        standard = zscore_by_sample(blended[None], sample[fully_probed[sample]])[0]
        result[fully_probed] = standard[fully_probed]
    direction_scores = np.concatenate([direction_scores, sample_sums[1]])
    weight = np.float32(SEARCH_CONFIG.direction_weight)
    result += weight * zscore_by_sample(direction_scores[None], sample)[0]
    return result, sample_sums


def _fully_probed(
    logit_index: LogitIndex, candidates: Int64[np.ndarray, " candidates"]
) -> Bool[np.ndarray, " candidates_and_sample"]:
    """Which of candidates and sample belong to models that are compared on all probes."""
    columns = np.concatenate([candidates, logit_index.sample])
    mask = np.ones(len(columns), dtype=bool)
    for model in logit_index.partial_models:
        mask &= (columns < model.columns.start) | (columns >= model.columns.stop)
    return mask


def choose_candidates(
    logit_index: LogitIndex,
    scores: Float32[np.ndarray, " logits"],
    count: int,
    request: HitRequest,
) -> Int64[np.ndarray, " candidates"]:
    """The best logits in column order, and with `by_model` the best logit of every model.

    Invalid logits and those left out are no candidates: their `scores` become minus infinity.
    """
    scores[logit_index.invalid] = -np.inf
    request.leave_out(scores, -np.inf)
    columns = top_k_logits(scores, count)
    if request.by_model:
        columns = np.union1d(columns, _best_of_models(scores, logit_index.firsts))
    return columns.astype(np.int64)


def _best_of_models(
    scores: Float32[np.ndarray, " logits"], firsts: Int64[np.ndarray, " models"]
) -> Int64[np.ndarray, " best"]:
    """The first column of the best finite score of each model that has one."""
    widths = np.diff(np.append(firsts, len(scores)))
    best = np.maximum.reduceat(scores, firsts)
    columns = np.flatnonzero((scores == np.repeat(best, widths)) & np.isfinite(scores))
    owners = np.searchsorted(firsts, columns, side="right") - 1
    return columns[np.unique(owners, return_index=True)[1]]
