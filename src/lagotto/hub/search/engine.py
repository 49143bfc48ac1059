"""A query vector and a logit index come in; hits, the logits that behave like the query, go out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int64

from lagotto.core.errors import UsageError
from lagotto.core.types import Hit, Hits
from lagotto.hub.confidence.calibrator import CONFIDENCE_POOL
from lagotto.hub.confidence.judge import Judge, JudgedHits, Judgement
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.low_rank import LowRankIndex
from lagotto.hub.index.scoring import (
    SEARCH_CONFIG,
    RuleName,
    noise_threshold,
)
from lagotto.hub.query.boolean import SINGLE
from lagotto.hub.query.types import QueryVector
from lagotto.hub.query.vectors import top_k_probes
from lagotto.hub.search.approximate import (
    approximate_by_distance,
    approximate_by_evidence,
    usable_index,
)
from lagotto.hub.search.options import SearchOptions
from lagotto.hub.search.rerank import (
    HitRequest,
    Ranked,
    rank_by_distance,
    rank_by_evidence,
)


def find_logits(
    logit_index: LogitIndex,
    vector: QueryVector,
    options: SearchOptions,
    judge: Judge | None = None,
    hidden: Sequence[str] = (),
) -> Hits:
    """The `options.top` best logits, or the best logit of each of the `options.top` best models.

    A known logit is compared by the paper's distance, whatever the rule: the rule only says on how
    many probes.

    Args:
        logit_index: The logits of the hub.
        vector: The query.
        options: How many hits, by which rule, on how many probes. The others are not read here:
            they decide which vector, index, judge and hidden models the caller gives.
        judge: Gives the confidence and the quality of the hits of a single concept in words.
        hidden: The names of models whose logits are no hits.

    Returns:
        The hits, best first, with notes for the user.

    Raises:
        UsageError: The hub cannot have this k, or no logit is searchable.
    """
    rule = options.rule_name
    if not logit_index.blocks:
        raise UsageError("this hub has no model yet; add some with: lagotto hub add HUB MODELS")
    probes = top_k_probes(vector.values, _probe_count(vector, rule, options.k))
    excluded = None if vector.itself is None else logit_index.column(*vector.itself)
    concepts = vector.concepts if _uses_weights(vector, rule) else ()
    index, index_notes = usable_index(logit_index, concepts, len(probes))
    hidden_columns = tuple(map(logit_index.columns_of, hidden))
    request = HitRequest(options.top, excluded, options.by_model, hidden_columns)
    ranked, positions = _rank(logit_index, vector, rule, probes, request, index)
    columns, scores = ranked.columns[positions], ranked.scores[positions]
    if _uses_weights(vector, rule):
        distances = logit_index.comparable_distances(columns, probes, vector.values)
        unit_scores = to_unit_scores(scores, logit_index.usable)
    else:
        distances, unit_scores = -scores, 1.0 / (1.0 - scores / math.sqrt(len(probes)))
    judgement = _judge_hits(judge, vector, rule, len(probes), ranked, positions)
    unknown: list[float | None] = [None] * len(scores)
    confidence, quality, p_value = unknown, unknown, unknown
    if judgement is None:
        accident = _accident_test(ranked.sample_scores, logit_index.usable)
        p_value = [accident(score) for score in scores.tolist()]
    else:
        confidence, quality = judgement.confidence.tolist(), judgement.quality.tolist()
    owners = logit_index.owners(columns)
    hits = []
    for position, (column, owner) in enumerate(zip(columns.tolist(), owners.tolist(), strict=True)):
        digest = logit_index.digests[owner]
        logit = column - int(logit_index.firsts[owner])
        hits.append(
            Hit(
                rank=position + 1,
                model=logit_index.names[digest],
                logit=logit,
                label=logit_index.labels(digest)[logit],
                distance=float(distances[position]),
                score=float(unit_scores[position]),
                confidence=confidence[position],
                quality=quality[position],
                p_value=p_value[position],
            )
        )
    notes = (*vector.notes, *logit_index.notes, *index_notes)
    if judgement is not None and not (ranked.bonuses[positions] > 0).any():
        notes = (*judgement.notes(str(vector.query.value)), *notes)
    return Hits(
        vector.query,
        len(probes),
        tuple(hits),
        tuple(probes.tolist()),
        notes,
        None if judgement is None else judgement.concept_probability,
        None if judgement is None else judgement.probe_coverage,
        index is not None,
    )


def is_judged(vector: QueryVector, rule: RuleName) -> bool:
    """Whether hits can be judged: those of a single concept in words, by the default rule."""
    single = len(vector.concepts) == 1 and vector.expression == SINGLE
    return rule == "default" and single and vector.query.kind == "text"


def to_unit_scores(
    scores: Float64[np.ndarray, " hits"], logits: int
) -> Float64[np.ndarray, " hits"]:
    """Scores of the default rule as hits have them, from 0 to 1.

    The best of so many logits reaches about 1/2 by accident (`scoring.noise_threshold`).
    """
    positive = np.maximum(scores, 0.0)
    return np.asarray(positive / (positive + noise_threshold(logits)))


def _uses_weights(vector: QueryVector, rule: RuleName) -> bool:
    """Whether logits are scored by weighted sums, rather than by a distance."""
    return rule == "default" and bool(vector.concepts)


def _probe_count(vector: QueryVector, rule: RuleName, k: int | None) -> int:
    """How many probes decide, where the user wants `k`."""
    if rule == "full-query" or (rule == "default" and k is None and not vector.concepts):
        return len(vector.values)
    return min(SEARCH_CONFIG.k, len(vector.values)) if k is None else k


def _rank(
    logit_index: LogitIndex,
    vector: QueryVector,
    rule: RuleName,
    probes: Int64[np.ndarray, " k"],
    request: HitRequest,
    index: LowRankIndex | None,
) -> tuple[Ranked, Int64[np.ndarray, " hits"]]:
    """Enough ranked logits, and the positions of the hits among them."""
    weighted, top = _uses_weights(vector, rule), request.top
    while True:
        if weighted:
            query = (vector.concepts, vector.expression, len(probes), request)
            if index is None:
                ranked = rank_by_evidence(logit_index, *query)
            else:
                ranked = approximate_by_evidence(index, logit_index, *query)
        elif index is None:
            ranked = rank_by_distance(logit_index, probes, vector.values, request)
        else:
            ranked = approximate_by_distance(index, logit_index, probes, vector.values, request)
        owners = logit_index.owners(ranked.columns)
        positions = _first_of_models(owners) if request.by_model else np.arange(len(owners))
        if weighted or len(positions) >= top or len(owners) < request.top:
            return ranked, positions[:top]
        request = replace(request, top=4 * request.top)


def _judge_hits(
    judge: Judge | None,
    vector: QueryVector,
    rule: RuleName,
    k: int,
    ranked: Ranked,
    positions: Int64[np.ndarray, " hits"],
) -> Judgement | None:
    """What a judge says of the hits, None where there is no judge or it cannot say."""
    if judge is None or not is_judged(vector, rule) or not len(positions):
        return None
    sample_sums = ranked.sample_sums if k == min(SEARCH_CONFIG.k, len(vector.values)) else None
    pool = slice(CONFIDENCE_POOL)
    query = JudgedHits(
        ranked.columns[pool],
        ranked.columns[positions],
        np.concatenate([ranked.bonuses[pool], ranked.bonuses[positions]]) > 0,
        sample_sums,
    )
    return judge.judge(vector.concepts[0], query)


def _first_of_models(owners: Int64[np.ndarray, " columns"]) -> Int64[np.ndarray, " models"]:
    """Positions of the first (best) column of each model, best first."""
    _, positions = np.unique(owners, return_index=True)
    return np.sort(positions).astype(np.int64)


def _accident_test(
    sample_scores: Float64[np.ndarray, " sample"], logits: int
) -> Callable[[float], float]:
    """The probability that any logit of a hub of this size has at least some score by accident.

    Most logits do not know the concept. Their scores are summarized by median and median absolute
    deviation. A normal tail gives the probability that one of them is as high by accident, and
    Šidák's formula the probability that any of so many is. It is 1 where all scores are alike:
    nothing can stand out.
    """
    finite = sample_scores[np.isfinite(sample_scores)]
    centre = float(np.median(finite)) if finite.size else 0.0
    spread = 1.4826 * float(np.median(np.abs(finite - centre))) if finite.size else 0.0

    def p_value(score: float) -> float:
        if spread <= 0.0:
            return 1.0
        tail = 0.5 * math.erfc((score - centre) / spread / math.sqrt(2.0))
        return float(-math.expm1(logits * math.log1p(-min(tail, 1.0 - 1e-16))))

    return p_value
