"""Stage 5b of hub search: evidence × descriptor blocks → the best logits, by either rule.

The paper's rule ranks by distance on the query's k surest probes, exact over all logits. The
default rule weighs those probes, and scores the best candidates by their blended descriptors and
their direction in the encoder's space (docs/search.md).
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from lagotto.hubsearch.blending import KNOTS, blended
from lagotto.hubsearch.blocks import Answers, Block, exact_descriptors
from lagotto.hubsearch.kernel import (
    error_bounds,
    exact_distances,
    gather,
    highest,
    rerank,
    scan,
    scan_sums,
)
from lagotto.hubsearch.label_names import NOBODY, Named, name_scores
from lagotto.hubsearch.logic import SINGLE, Expression, join_scores
from lagotto.hubsearch.low_rank import FirstPass
from lagotto.hubsearch.rules import (
    CANDIDATES,
    DIRECTION_SHARE,
    noise_threshold,
    sample_columns,
    standard_scores,
)
from lagotto.hubsearch.seen_part import SeenPart, part_distances, part_sums
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


class Gallery:
    """All searchable logits of a hub: blocks, and each model's name and labels by digest.

    `notes` tell what is missing; `parts` are the models that are compared on what they saw;
    `first_pass` is what a search may go through instead of scanning all blocks.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        names: Mapping[str, str],
        labels: Callable[[str], Sequence[str | None]],
        read: Callable[[str], Answers],
        notes: tuple[str, ...] = (),
        parts: Sequence[SeenPart] = (),
        first_pass: FirstPass | None = None,
    ) -> None:
        self.parts = tuple(parts)
        self.first_pass = first_pass
        self.blocks = tuple(blocks)
        self.names = names
        self.labels = labels
        self.notes = notes
        self._read = read
        self._ends = np.cumsum([block.steps.size for block in blocks]).astype(np.int64)
        self.tables = [(block.values, block.steps) for block in self.blocks]
        self.steps = np.concatenate([np.zeros(0, np.float32), *(b.steps for b in self.blocks)])
        starts = (self._ends - [block.steps.size for block in blocks]).tolist()
        placed = [
            (start + model.first, model.behaviour_digest)
            for start, block in zip(starts, self.blocks, strict=True)
            for model in block.models
        ]
        self.firsts = np.array([first for first, _ in placed], dtype=np.int64)
        self.digests = [digest for _, digest in placed]
        self._first_of = {names[digest]: first for first, digest in placed}
        self.flawed = np.flatnonzero(self.steps == 0)
        usable = np.flatnonzero(self.steps > 0)
        self.usable = len(usable)
        self.sample = sample_columns(usable)
        self.sample_codes = cache(lambda: self.codes(self.sample))
        self.sample_directions = cache(lambda: self.directions(self.sample))

    def read(self, digest: str) -> Answers:
        """A model's raw responses, completed where the hub completes them."""
        return self._read(digest)

    def owners(self, columns: Int64[np.ndarray, " columns"]) -> Int64[np.ndarray, " columns"]:
        """The place in `firsts` and `digests` of the model that each column belongs to."""
        return np.asarray(np.searchsorted(self.firsts, columns, side="right") - 1)

    def column(self, model: str, logit: int) -> int | None:
        """The column of a model's logit, by the model's name; None where it is not searched."""
        first = self._first_of.get(model)
        return None if first is None else first + logit

    def distances(
        self,
        columns: Int64[np.ndarray, " columns"],
        probes: Int64[np.ndarray, " k"],
        query: Float32[np.ndarray, " k"],
    ) -> Float64[np.ndarray, " columns"]:
        """The paper's distance of some logits, from their raw responses."""
        distances = np.empty(len(columns))
        for block, mine, local in self._by_block(columns):
            descriptors = exact_descriptors(block, local, probes, self._read)
            distances[mine] = exact_distances(descriptors, query)
        return distances

    def shown_distances(
        self,
        columns: Int64[np.ndarray, " columns"],
        probes: Int64[np.ndarray, " k"],
        values: Float32[np.ndarray, " probes"],
    ) -> Float64[np.ndarray, " columns"]:
        """Distances of some logits from a query: on what they saw, where that is compared."""
        distances = self.distances(columns, probes, values[probes])
        for part in self.parts:
            mine = (columns >= part.first) & (columns < part.first + part.logits)
            if mine.any():
                own = part_distances(part, values, len(probes), self._read)
                distances[mine] = own[columns[mine] - part.first]
        return distances

    def through(self, first_pass: FirstPass | None) -> "Gallery":
        """The same logits, to be searched through another first pass or none."""
        other = copy(self)
        other.first_pass = first_pass
        return other

    def codes(
        self, columns: Int64[np.ndarray, " columns"], probes: Int64[np.ndarray, " k"] | None = None
    ) -> tuple[Int8[np.ndarray, "k columns"], Float32[np.ndarray, " columns"]]:
        """Some logits as the blocks hold them, on some probes or all: to be scanned again."""
        rows = np.arange(self.tables[0][0].shape[0]) if probes is None else probes
        return gather(self.tables, columns, rows)

    def directions(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "columns dim"]:
        """The directions of some logits in the encoder's space."""
        found = np.empty((len(columns), self.blocks[0].directions.shape[1]), np.float32)
        for block, mine, local in self._by_block(columns):
            found[mine] = block.directions_of(local)
        return found

    def descriptors(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "probes columns"]:
        """The descriptors of some logits on all probes, as the blocks hold them (8 bits)."""
        values, steps = self.codes(columns)
        return np.asarray(values * steps, dtype=np.float32)

    def blended(
        self, columns: Int64[np.ndarray, " columns"], probes: Int64[np.ndarray, " k"] | None = None
    ) -> Float32[np.ndarray, "k columns"]:
        """The blended descriptors of some logits, on some probes or all (see blending.py)."""
        values, steps = self.codes(columns, probes)
        knots = np.empty((KNOTS, len(columns)), np.int8)
        for block, mine, local in self._by_block(columns):
            knots[:, mine] = block.knots[:, local]
        return blended(values, knots, self.blocks[0].values.shape[0], steps)

    def outputs(self, owners: Int64[np.ndarray, " owners"]) -> Int64[np.ndarray, " owners"]:
        """How many outputs some models have, by their places in `firsts`."""
        widths = np.diff(np.append(self.firsts, len(self.steps)))
        return np.asarray(widths[owners], dtype=np.int64)

    def _by_block(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> list[tuple[Block, np.ndarray, Int64[np.ndarray, " local"]]]:
        """Each block that holds some of the columns, which ones, and their places in it."""
        owners = np.searchsorted(self._ends, columns, side="right")
        found = []
        for owner in np.unique(owners).tolist():
            block, mine = self.blocks[owner], owners == owner
            found.append((block, mine, columns[mine] - (int(self._ends[owner]) - block.steps.size)))
        return found


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
    joined[gallery.flawed] = -np.inf
    if wanted.left_out is not None:
        joined[wanted.left_out] = -np.inf
    candidates = choose_candidates(gallery, joined, candidate_count(wanted), wanted.by_model)
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
    gallery: Gallery, scores: Float32[np.ndarray, " logits"], count: int, by_model: bool
) -> Int64[np.ndarray, " candidates"]:
    """The best logits in column order, and with `by_model` the best logit of every model."""
    usable = highest(scores, count)
    if by_model:
        widths = np.diff(np.append(gallery.firsts, len(scores)))
        best = [
            first + int(np.argmax(scores[first : first + width]))
            for first, width in zip(gallery.firsts.tolist(), widths.tolist(), strict=True)
        ]
        usable = np.union1d(usable, [column for column in best if np.isfinite(scores[column])])
    return usable.astype(np.int64)
