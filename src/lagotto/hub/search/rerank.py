"""Stage 5b of hub search: evidence × descriptor blocks → the best logits, by either rule.

The paper's rule ranks by distance on the query's k surest probes, exact over all logits. The
default rule weighs those probes, and scores the best candidates by their blended descriptors and
their direction in the encoder's space (docs/search.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.core.vectors import quiet_product
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.partial import partial_distances
from lagotto.hub.index.scoring import (
    CANDIDATES,
    DIRECTION_WEIGHT,
    noise_threshold,
    standard_scores,
)
from lagotto.hub.index.topk import (
    error_bounds,
    highest,
    rerank,
    within_reach,
)
from lagotto.hub.kernels.dispatch import scan
from lagotto.hub.query.boolean import (
    SINGLE,
    Expression,
    join_scores,
)
from lagotto.hub.query.probe_weights import surest
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.search.first_stage import (
    LabelBonus,
    WeightedSums,
    label_bonus,
    weighted_sums,
)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Columns of all blocks joined, best first, with their scores; higher is better.

    `chance` has the scores of a sample of all logits, which tell what is usual in this hub; `told`
    is what names added to the scores of a single concept, for behaviour is judged without it; so is
    `usual`, its raw sums on the sample: of blended descriptors, and along its direction.
    """

    columns: Int64[np.ndarray, " found"]
    scores: Float64[np.ndarray, " found"]
    chance: Float64[np.ndarray, " sample"]
    told: Float64[np.ndarray, " found"]
    usual: Float32[np.ndarray, "2 sample"] | None = None


@dataclass(frozen=True, slots=True)
class HitRequest:
    """How many of the best logits, which column not, and whether the best of every model too."""

    top: int
    left_out: int | None = None
    by_model: bool = False


def rank_by_distance(
    logit_index: LogitIndex,
    probes: Int64[np.ndarray, " k"],
    values: Float32[np.ndarray, " probes"],
    wanted: HitRequest,
) -> Ranked:
    """The `top` nearest logits by the paper's rule, as a full sort of exact distances has them."""
    query = values[probes]
    scanned = scan(logit_index.tables, probes, query)
    steps = logit_index.steps
    own = np.full(steps.size if logit_index.parts else 0, np.nan)
    if logit_index.parts:
        steps = steps.copy()
        for part in logit_index.parts:
            away = partial_distances(part, values, len(probes), logit_index.read)
            scanned[part.columns], steps[part.columns] = away, 0  # these are exact already
            own[part.columns] = away
    if wanted.left_out is not None:
        scanned[wanted.left_out] = np.inf

    widest = logit_index.widest_steps()
    near = within_reach(scanned, steps, widest, len(probes), wanted.top)

    def exact(places: Int64[np.ndarray, " places"]) -> Float64[np.ndarray, " places"]:
        chosen = near[places]
        distances = logit_index.distances(chosen, probes, query)
        return np.where(np.isnan(own[chosen]), distances, own[chosen]) if own.size else distances

    bounds = error_bounds(scanned[near], steps[near], len(probes))
    places, distances = rerank(scanned[near], bounds, exact, wanted.top)
    chance = -scanned[logit_index.sample].astype(np.float64)
    return Ranked(near[places], -distances, chance, np.zeros(len(places)))


def rank_by_evidence(
    logit_index: LogitIndex,
    concepts: Sequence[ConceptQuery],
    expression: Expression,
    k: int,
    wanted: HitRequest,
) -> Ranked:
    """The best logits by the default rule; with `by_model`, of each model's best some at least.

    Every logit is scored by the weighted sum of its descriptor over each concept's k surest probes
    and by its name; the best candidates by their blended descriptors and their directions.
    """
    threshold = noise_threshold(logit_index.usable)
    weights = [surest(concept.weights, k) for concept in concepts]
    first = [
        weighted_sums(logit_index, concept.weights, own)
        for concept, own in zip(concepts, weights, strict=True)
    ]
    told = [
        label_bonus(logit_index, concept.named, sums, threshold)
        for concept, sums in zip(concepts, first, strict=True)
    ]
    candidates = choose_candidates(
        logit_index, _joined(expression, first, told, threshold), candidate_count(wanted), wanted
    )
    asked = np.concatenate([candidates, logit_index.sample])
    return rank_candidates(
        logit_index,
        concepts,
        weights,
        expression,
        candidates,
        [sums.asked(candidates) for sums in first],
        [None if each is None else each.at(asked) for each in told],
    )


def _joined(
    expression: Expression,
    first: Sequence[WeightedSums],
    told: Sequence[LabelBonus | None],
    threshold: float,
) -> Float32[np.ndarray, " logits"]:
    """What all logits are chosen by: scores for the whole query, or anything of their order.

    Of a single concept without names it is the sums themselves, which are used up.
    """
    if expression != SINGLE:
        scores = [sums.scores(sums.raw) for sums in first]
        for own, names in zip(scores, told, strict=True):
            if names is not None:
                own[names.columns] += names.added
        return join_sums(expression, scores, threshold)
    if told[0] is None:
        return first[0].raw
    raised = first[0].raw.copy()
    raised[told[0].columns] += told[0].added * first[0].spread
    return raised


def candidate_count(wanted: HitRequest) -> int:
    """How many logits, best by their weighted sums and names, are scored in full."""
    return max(CANDIDATES, 4 * wanted.top)


def join_sums(
    expression: Expression, sums: Sequence[Float32[np.ndarray, " logits"]], threshold: float
) -> Float32[np.ndarray, " logits"]:
    """Scores for the whole query from those for each concept."""
    if expression == SINGLE:  # the scores themselves, not turned into truth and back
        return sums[0].copy()
    return join_scores(expression, np.stack(sums), threshold).astype(np.float32)


def rank_candidates(
    logit_index: LogitIndex,
    concepts: Sequence[ConceptQuery],
    weights: Sequence[Float32[np.ndarray, " probes"]],
    expression: Expression,
    candidates: Int64[np.ndarray, " candidates"],
    sums: Sequence[Float32[np.ndarray, " asked"]],
    told: Sequence[Float32[np.ndarray, " asked"] | None],
) -> Ranked:
    """Candidates, best first, by their blended descriptors, their directions and their names.

    `weights` are those of each concept's surest probes, `sums` its standardised sums of the
    candidates and then of the sample, by plain descriptors; `told` is what names add there,
    None for nothing.
    """
    scores, usual = [], None
    for concept, shares, own, added in zip(concepts, weights, sums, told, strict=True):
        score, usual = _scores_in_full(logit_index, concept, shares, candidates, own)
        scores.append(score if added is None else score + added)
    total = join_sums(expression, scores, noise_threshold(logit_index.usable)).astype(np.float64)
    own = total[: len(candidates)]
    order = np.lexsort((candidates, -own))
    names = np.zeros(len(total)) if told[-1] is None else told[-1].astype(np.float64)
    return Ranked(candidates[order], own[order], total[len(candidates) :], names[order], usual)


def _scores_in_full(
    logit_index: LogitIndex,
    concept: ConceptQuery,
    weights: Float32[np.ndarray, " probes"],
    candidates: Int64[np.ndarray, " candidates"],
    sums: Float32[np.ndarray, " asked"],
) -> tuple[Float32[np.ndarray, " asked"], Float32[np.ndarray, "2 sample"]]:
    """A concept's scores of the candidates and then of the logit index's sample, names apart.

    Beside them the raw sums on the sample, of which they are made. Both the blended sums and what
    the directions say are standardised over the sample. Models that are compared on what they saw
    keep their plain `sums`: those are blended already.
    """
    probes = np.flatnonzero(weights)
    own, along = logit_index.weighted_scores(candidates, probes, weights[probes], concept.direction)
    usual = np.einsum("kc,k->c", logit_index.sample_blended(probes), weights[probes])
    usual_along = quiet_product(logit_index.sample_directions(), concept.direction[:, None])[:, 0]
    raised = np.concatenate([own, usual])
    result = sums.copy()
    whole = _compared_whole(logit_index, candidates)
    sample = np.arange(len(candidates), len(raised))
    if whole[sample].any():
        standard = standard_scores(raised[None], sample[whole[sample]])[0]
        result[whole] = standard[whole]
    along = np.concatenate([along, usual_along])
    result += np.float32(DIRECTION_WEIGHT) * standard_scores(along[None], sample)[0]
    return result, np.stack([usual, usual_along])


def _compared_whole(
    logit_index: LogitIndex, candidates: Int64[np.ndarray, " candidates"]
) -> Bool[np.ndarray, " asked"]:
    """Which of candidates and sample are of models that are compared on all probes."""
    asked = np.concatenate([candidates, logit_index.sample])
    whole = np.ones(len(asked), dtype=bool)
    for part in logit_index.parts:
        whole &= (asked < part.columns.start) | (asked >= part.columns.stop)
    return whole


def choose_candidates(
    logit_index: LogitIndex, scores: Float32[np.ndarray, " logits"], count: int, wanted: HitRequest
) -> Int64[np.ndarray, " candidates"]:
    """The best logits in column order, and with `by_model` the best logit of every model.

    Flawed ones and the one left out are none: their `scores` become minus infinity.
    """
    scores[logit_index.flawed] = -np.inf
    if wanted.left_out is not None:
        scores[wanted.left_out] = -np.inf
    usable = highest(scores, count)
    if wanted.by_model:
        usable = np.union1d(usable, _best_of_models(scores, logit_index.firsts))
    return usable.astype(np.int64)


def _best_of_models(
    scores: Float32[np.ndarray, " logits"], firsts: Int64[np.ndarray, " models"]
) -> Int64[np.ndarray, " best"]:
    """The first column of the best finite score of each model that has one."""
    widths = np.diff(np.append(firsts, len(scores)))
    best = np.maximum.reduceat(scores, firsts)
    columns = np.flatnonzero((scores == np.repeat(best, widths)) & np.isfinite(scores))
    owners = np.searchsorted(firsts, columns, side="right") - 1
    return columns[np.unique(owners, return_index=True)[1]]
