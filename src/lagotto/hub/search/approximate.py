"""Stage 5b of hub search: a query × a low-rank index → candidates, ranked by their own descriptors.

The index tells every logit's score nearly; the best are scored again as if all had been scanned.
So what comes back carries its exact score, and all that can go wrong is that a logit is missing.
Which queries it serves: docs/low_rank.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.errors import UsageError
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.low_rank import LowRankIndex
from lagotto.hub.index.partial import partial_distances
from lagotto.hub.index.scoring import CANDIDATES, noise_threshold
from lagotto.hub.index.topk import (
    error_bounds,
    highest,
    rerank,
)
from lagotto.hub.kernels.dispatch import scan, scan_sums
from lagotto.hub.query.boolean import Expression
from lagotto.hub.query.probe_weights import surest
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.search.rerank import (
    HitRequest,
    Ranked,
    candidate_count,
    choose_candidates,
    join_sums,
    rank_candidates,
)

NEAREST = 256
"""Logits, best by the index, whose distance is measured (4 x `top` if that is more)."""

WIDER = 16
"""How many times more logits than the default rule asks for their directions the index gives it."""

PAYS_FROM_PROBES = 4.0
"""Probes read by a query, in ranks of the index, from which going through it is quicker."""

PAYS_FROM_LOGITS = 1000
"""Logits of a hub, for each candidate that is scored again, from which it is quicker: a candidate's
values lie far apart, and a scan reads a thousand beside each other in the time of one. Measured by
benchmarks/speed/low_rank.py."""


def usable_index(
    logit_index: LogitIndex, concepts: Sequence[ConceptQuery], k: int
) -> tuple[LowRankIndex | None, tuple[str, ...]]:
    """The index that a query goes through, or None, and what the user has to know about that.

    `concepts` are what is weighed, none for a query by distance; `k` is how many probes decide.
    """
    first = logit_index.first_pass
    if first is None:
        return None, ()
    refusal = _refusal(logit_index, concepts, k)
    if refusal:
        return None, (f"all logits were scanned: {refusal}",) if first.asked else ()
    if first.index is None:
        return None, () if concepts else (first.unusable,)
    candidates = WIDER * CANDIDATES if concepts else NEAREST
    wide = logit_index.steps.size >= PAYS_FROM_LOGITS * candidates
    pays = wide and k >= PAYS_FROM_PROBES * first.index.rank
    return first.index if pays or first.asked else None, ()


def select_index(logit_index: LogitIndex, low_rank: bool | None, folder: Path) -> LogitIndex:
    """The logits with the low-rank index wherever it serves (True), never (False), or if it pays.

    Raises UsageError where an index is asked for and the hub in `folder` has none that is fresh.
    """
    first = logit_index.first_pass
    if not low_rank:
        return logit_index if low_rank is None or first is None else logit_index.through(None)
    if first is None:
        raise UsageError(f"{folder} has no low-rank index; make one: lagotto hub index {folder}")
    if first.index is None:
        raise UsageError(first.unusable)
    return logit_index.through(replace(first, asked=True))


def _refusal(logit_index: LogitIndex, concepts: Sequence[ConceptQuery], k: int) -> str:
    """Why an index cannot tell this query's scores, or an empty text."""
    if not concepts:
        probes = logit_index.blocks[0].values.shape[0]
        return "" if k == probes else "a low-rank index knows distances on all probes only"
    if any(len(concept.named.columns) for concept in concepts):
        return "a published name is weighed against the other outputs of its model"
    return (
        "models searched on their seen part are scaled to all others" if logit_index.parts else ""
    )


def approximate_by_distance(
    index: LowRankIndex,
    logit_index: LogitIndex,
    probes: Int64[np.ndarray, " probes"],
    values: Float32[np.ndarray, " probes"],
    wanted: HitRequest,
) -> Ranked:
    """The nearest logits on all probes, as `rank_by_distance` has them, of the candidates.

    Every descriptor is as long as any other, so the nearest are those of the highest dot product.
    Models that are compared on what they saw are measured all.
    """
    query = values[probes]
    rough = index.scores(values)
    parts = _part_distances(logit_index, values)
    columns = np.concatenate([np.zeros(0, np.int64), *(own for own, _ in parts)])
    away = np.concatenate([np.zeros(0), *(distances for _, distances in parts)])
    rough[columns] = -np.inf
    told = dict(zip(columns.tolist(), away.tolist(), strict=True))
    if wanted.left_out is not None:
        rough[wanted.left_out] = -np.inf
        away[columns == wanted.left_out] = np.inf
        told[wanted.left_out] = np.inf
    chosen = highest(rough, max(NEAREST, 4 * wanted.top))
    codes = logit_index.codes(chosen)
    scanned = scan([codes], probes, query)

    def exact(places: Int64[np.ndarray, " places"]) -> Float64[np.ndarray, " places"]:
        return logit_index.distances(chosen[places], probes, query)

    bounds = error_bounds(scanned, codes[1], len(probes))
    places, distances = rerank(scanned, bounds, exact, wanted.top)
    near = np.isfinite(away)
    found = np.concatenate([chosen[places], columns[near]])
    measured = np.concatenate([distances, away[near]])
    order = np.lexsort((found, measured))[: wanted.top]
    chance = -_sample_distances(logit_index, probes, query, told)
    return Ranked(found[order], -measured[order], chance, np.zeros(len(order)))


def approximate_by_evidence(
    index: LowRankIndex,
    logit_index: LogitIndex,
    concepts: Sequence[ConceptQuery],
    expression: Expression,
    k: int,
    wanted: HitRequest,
) -> Ranked:
    """The best logits by the default rule, as `rank_by_evidence` has them, of the candidates."""
    threshold = noise_threshold(logit_index.usable)
    weights = [surest(concept.weights, k) for concept in concepts]
    sample = [_sample_sums(logit_index, each) for each in weights]
    rough = []
    for each, (_, mean, spread) in zip(weights, sample, strict=True):
        sums = index.scores(each)
        sums[logit_index.flawed] = 0.0
        sums -= mean
        sums /= spread
        rough.append(sums)
    count = candidate_count(wanted)
    joined = join_sums(expression, rough, threshold)
    first = choose_candidates(logit_index, joined, WIDER * count, wanted)
    exact = []
    for sums, each, (_, mean, spread) in zip(rough, weights, sample, strict=True):
        probes = np.flatnonzero(each)
        own = scan_sums([logit_index.codes(first, probes)], np.arange(len(probes)), each[probes])
        exact.append((own - mean) / spread)
        sums[first] = exact[-1]
    joined = np.full(logit_index.steps.size, -np.inf, np.float32)
    joined[first] = join_sums(expression, exact, threshold)
    candidates = choose_candidates(logit_index, joined, count, wanted)
    asked = [
        np.concatenate([sums[candidates], own])
        for sums, (own, _, _) in zip(rough, sample, strict=True)
    ]
    return rank_candidates(
        logit_index, concepts, weights, expression, candidates, asked, [None] * len(concepts)
    )


def _part_distances(
    logit_index: LogitIndex, values: Float32[np.ndarray, " probes"]
) -> list[tuple[Int64[np.ndarray, " own"], Float64[np.ndarray, " own"]]]:
    """Columns and distances of each model that is compared on what it saw."""
    return [
        (
            np.arange(part.columns.start, part.columns.stop),
            partial_distances(part, values, len(values), logit_index.read),
        )
        for part in logit_index.parts
    ]


def _sample_distances(
    logit_index: LogitIndex,
    probes: Int64[np.ndarray, " probes"],
    query: Float32[np.ndarray, " probes"],
    told: Mapping[int, float],
) -> Float64[np.ndarray, " sample"]:
    """Distances of the logit index's sample, as a scan has them, but for those that are told."""
    scanned = scan([logit_index.sample_codes()], probes, query).astype(np.float64)
    for place, column in enumerate(logit_index.sample.tolist()):
        scanned[place] = told.get(column, scanned[place])
    return scanned


def _sample_sums(
    logit_index: LogitIndex, weights: Float32[np.ndarray, " probes"]
) -> tuple[Float32[np.ndarray, " sample"], np.float32, np.float32]:
    """Standardised sums of the logit index's sample, and the mean and spread that they had."""
    probes = np.flatnonzero(weights)
    codes = logit_index.codes(logit_index.sample, probes)
    sums = scan_sums([codes], np.arange(len(probes)), weights[probes])
    wide = sums.astype(np.float64)
    mean, spread = np.float32(wide.mean()), np.float32(max(float(wide.std()), 1e-9))
    return (sums - mean) / spread, mean, spread
