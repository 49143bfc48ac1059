"""Stage 5b of hub search: evidence × descriptor blocks → the best logits, by either rule.

The paper's rule ranks by distance on the query's k surest probes, exact over all logits. The
default rule weighs those probes, and scores the best candidates by their blended descriptors and
their direction in the encoder's space (docs/search.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.hubsearch.gallery import Gallery
from lagotto.hubsearch.kernel import (
    error_bounds,
    highest,
    rerank,
    scan,
    scan_sums,
)
from lagotto.hubsearch.label_names import NOBODY, Named, name_scores
from lagotto.hubsearch.logic import SINGLE, Expression, join_scores
from lagotto.hubsearch.rules import (
    CANDIDATES,
    DIRECTION_SHARE,
    noise_threshold,
    standard_scores,
)
from lagotto.hubsearch.seen_part import part_distances, part_sums
from lagotto.hubsearch.weighing import surest


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a concept in words or pictures says of the probes, and where it is in their space.

    `weights` sum to 1 over the probes. `text` is the concept in words, "" if it has none; `named`
    are the logits that are called so, where names are asked too.
    """

    weights: Float32[np.ndarray, " probes"]
    direction: Float32[np.ndarray, " dim"]
    text: str = ""
    named: Named = NOBODY


@dataclass(frozen=True, slots=True)
class Ranked:
    """Columns of all blocks joined, best first, with their scores; higher is better.

    `chance` has the scores of a sample of all logits, which tell what is usual in this hub; `told`
    is what names added to the scores of a single concept, for behaviour is judged without it.
    """

    columns: Int64[np.ndarray, " found"]
    scores: Float64[np.ndarray, " found"]
    chance: Float64[np.ndarray, " sample"]
    told: Float64[np.ndarray, " found"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many of the best logits, which column not, and whether the best of every model too."""

    top: int
    left_out: int | None = None
    by_model: bool = False


def rank_by_distance(
    gallery: Gallery,
    probes: Int64[np.ndarray, " k"],
    values: Float32[np.ndarray, " probes"],
    wanted: Wanted,
) -> Ranked:
    """The `top` nearest logits by the paper's rule, as a full sort of exact distances has them."""
    query = values[probes]
    scanned = scan(gallery.tables, probes, query)
    steps = gallery.steps
    own = np.full(steps.size if gallery.parts else 0, np.nan)
    if gallery.parts:
        steps = steps.copy()
        for part in gallery.parts:
            away = part_distances(part, values, len(probes), gallery.read)
            scanned[part.columns], steps[part.columns] = away, 0  # these are exact already
            own[part.columns] = away
    if wanted.left_out is not None:
        scanned[wanted.left_out] = np.inf

    def exact(chosen: Int64[np.ndarray, " columns"]) -> Float64[np.ndarray, " columns"]:
        distances = gallery.distances(chosen, probes, query)
        return np.where(np.isnan(own[chosen]), distances, own[chosen]) if own.size else distances

    bounds = error_bounds(scanned, steps, len(probes))
    columns, distances = rerank(scanned, bounds, exact, wanted.top)
    chance = -scanned[gallery.sample].astype(np.float64)
    return Ranked(columns, -distances, chance, np.zeros(len(columns)))


def rank_by_evidence(
    gallery: Gallery,
    concepts: Sequence[Evidence],
    expression: Expression,
    k: int,
    wanted: Wanted,
) -> Ranked:
    """The best logits by the default rule; with `by_model`, of each model's best some at least.

    Every logit is scored by the weighted sum of its descriptor over each concept's k surest probes
    and by its name; the best candidates by their blended descriptors and their directions.
    """
    threshold = noise_threshold(gallery.usable)
    first = [_weighted_sums(gallery, concept, k) for concept in concepts]
    told = [_told(gallery, *each, threshold) for each in zip(concepts, first, strict=True)]
    both = [
        sums if added is None else sums + added for sums, added in zip(first, told, strict=True)
    ]
    joined = join_sums(expression, both, threshold)
    candidates = choose_candidates(gallery, joined, candidate_count(wanted), wanted)
    asked = np.concatenate([candidates, gallery.sample])
    return rank_candidates(
        gallery,
        concepts,
        expression,
        k,
        candidates,
        [sums[asked] for sums in first],
        [None if added is None else added[asked] for added in told],
    )


def candidate_count(wanted: Wanted) -> int:
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
    gallery: Gallery,
    concepts: Sequence[Evidence],
    expression: Expression,
    k: int,
    candidates: Int64[np.ndarray, " candidates"],
    sums: Sequence[Float32[np.ndarray, " asked"]],
    told: Sequence[Float32[np.ndarray, " asked"] | None],
) -> Ranked:
    """Candidates, best first, by their blended descriptors, their directions and their names.

    `sums` are each concept's standardised sums of the candidates and then of the gallery's sample,
    by plain descriptors; `told` what names add there, None for nothing.
    """
    asked = np.concatenate([candidates, gallery.sample])
    scores = []
    for concept, own, added in zip(concepts, sums, told, strict=True):
        score = _blended_sums(gallery, concept, k, asked, own)
        score += _along(gallery, concept, candidates)
        scores.append(score if added is None else score + added)
    total = join_scores(expression, np.stack(scores), noise_threshold(gallery.usable))
    own = total[: len(candidates)]
    order = np.lexsort((candidates, -own))
    names = np.zeros(len(asked)) if told[-1] is None else told[-1].astype(np.float64)
    return Ranked(candidates[order], own[order], total[len(candidates) :], names[order])


def _told(
    gallery: Gallery,
    concept: Evidence,
    sums: Float32[np.ndarray, " logits"],
    threshold: float,
) -> Float32[np.ndarray, " logits"] | None:
    """What names add to the scores of all logits, None where no name is asked."""
    if not len(concept.named.columns):
        return None
    added = np.zeros(gallery.steps.size, np.float32)
    added[concept.named.columns] = name_scores(concept.named, sums, gallery.firsts, threshold)
    return added


def _blended_sums(
    gallery: Gallery,
    concept: Evidence,
    k: int,
    asked: Int64[np.ndarray, " asked"],
    sums: Float32[np.ndarray, " asked"],
) -> Float32[np.ndarray, " asked"]:
    """Weighted sums of blended descriptors, standardised over the sample that ends `asked`.

    Models that are compared on what they saw keep `sums`: those are blended already.
    """
    whole = np.ones(len(asked), dtype=bool)
    for part in gallery.parts:
        whole &= (asked < part.columns.start) | (asked >= part.columns.stop)
    result = sums.copy()
    usual = int(whole[len(asked) - len(gallery.sample) :].sum())
    if usual:
        weights = surest(concept.weights, k)
        probes = np.flatnonzero(weights)
        found = weights[probes] @ gallery.blended(asked[whole], probes)
        result[whole] = standard_scores(found[None], np.arange(len(found) - usual, len(found)))[0]
    return result


def _weighted_sums(gallery: Gallery, concept: Evidence, k: int) -> Float32[np.ndarray, " logits"]:
    """Standardised over the hub; flawed logits are at zero."""
    weights = surest(concept.weights, k)
    probes = np.flatnonzero(weights)
    sums = scan_sums(gallery.tables, probes, weights[probes])
    sums[gallery.flawed] = 0.0
    if gallery.parts:
        _put_parts(gallery, concept, k, sums)
    if len(gallery.sample):  # in place: a hub may have a million logits
        chosen = sums[gallery.sample].astype(np.float64)
        sums -= np.float32(chosen.mean())
        sums /= np.float32(max(float(chosen.std()), 1e-9))
    return sums


def _put_parts(
    gallery: Gallery, concept: Evidence, k: int, sums: Float32[np.ndarray, " logits"]
) -> None:
    """Sums of the models compared on what they saw, brought to the spread of the others."""
    mine = np.zeros(sums.size, dtype=bool)
    for part in gallery.parts:
        sums[part.columns] = part_sums(part, concept.weights, k, gallery.read)
        mine[part.columns] = True
    usable = gallery.steps > 0
    others = sums[usable & ~mine]
    spread = float(sums[usable & mine].std()) if (usable & mine).any() else 0.0
    if others.size and spread > 0:
        sums[mine] *= np.float32(others.std() / spread)


def _along(
    gallery: Gallery, concept: Evidence, candidates: Int64[np.ndarray, " candidates"]
) -> Float32[np.ndarray, " asked"]:
    """The direction's share of the score, of the candidates and then of the sample."""
    directions = np.concatenate([gallery.directions(candidates), gallery.sample_directions()])
    along = directions @ concept.direction
    sample = np.arange(len(candidates), len(along))
    return np.asarray(np.float32(DIRECTION_SHARE) * standard_scores(along[None], sample)[0])


def choose_candidates(
    gallery: Gallery, scores: Float32[np.ndarray, " logits"], count: int, wanted: Wanted
) -> Int64[np.ndarray, " candidates"]:
    """The best logits in column order, and with `by_model` the best logit of every model.

    Flawed ones and the one left out are none: their `scores` become minus infinity.
    """
    scores[gallery.flawed] = -np.inf
    if wanted.left_out is not None:
        scores[wanted.left_out] = -np.inf
    usable = highest(scores, count)
    if wanted.by_model:
        widths = np.diff(np.append(gallery.firsts, len(scores)))
        best = [
            first + int(np.argmax(scores[first : first + width]))
            for first, width in zip(gallery.firsts.tolist(), widths.tolist(), strict=True)
        ]
        usable = np.union1d(usable, [column for column in best if np.isfinite(scores[column])])
    return usable.astype(np.int64)
