"""Stage 5 of hub search, in batches: many concepts × plain descriptors → scores, by every rule.

What a search does block by block is done here on arrays, for evaluation and for naming logits. The
default rule is described in docs/search.md, the paper's in ProbeLog, section 3.2.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from lagotto.hubsearch.blending import blend
from lagotto.hubsearch.label_names import Named, name_scores
from lagotto.hubsearch.projection import project, projector
from lagotto.hubsearch.queries import standardise_query, surest_probes
from lagotto.hubsearch.weighing import ProbeSpace, surest, text_weights

RuleName: TypeAlias = Literal["default", "paper", "full-query"]
RULE_NAMES: tuple[RuleName, ...] = get_args(RuleName)

DEFAULT_K = 50
"""Probes that decide a query."""

DIRECTION_SHARE = 0.5
"""Weight of the direction's standardised score beside that of the blended descriptors."""

CANDIDATES = 512
"""Logits, best by their plain descriptors, whose blended ones and direction are asked."""

SAMPLE = 1024
"""Logits, evenly spaced, from which a score's mean and spread over the hub are taken."""

Scores: TypeAlias = Float32[np.ndarray, "queries logits"]
Rule: TypeAlias = Callable[
    [ProbeSpace, Float32[np.ndarray, "queries dim"], Float32[np.ndarray, "probes logits"]], Scores
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
    gallery: Float32[np.ndarray, "probes logits"],
    k: int = DEFAULT_K,
    names: NamedRows | None = None,
) -> Scores:
    """Scores of logits for concepts in words, by the default rule; higher is better.

    `concepts` are unit embeddings of prompts, `gallery` descriptors (a flawed one is all zero).
    Without `names` by behaviour alone. Logits that are no candidates keep their order, below all
    candidates.
    """
    weights = np.stack([surest(row, k) for row in text_weights(space, concepts)])
    raised = blend(gallery)
    directions = project(projector(space.probes), raised)
    along = (concepts - space.background_mean) @ directions.T
    return with_directions(weights @ gallery, weights @ raised, along, names)


def with_directions(
    sums: Float32[np.ndarray, "queries logits"],
    raised: Float32[np.ndarray, "queries logits"],
    along: Float32[np.ndarray, "queries logits"],
    names: NamedRows | None = None,
) -> Scores:
    """Scores of the candidates by `sums`: their blended sums and what their directions say.

    `sums` and `raised` are weighted sums of plain and of blended descriptors. A column of zeros is
    a flawed logit.
    """
    sample = sample_columns(np.arange(sums.shape[1]))
    first = standard_scores(sums, sample)
    total = standard_scores(raised, sample)
    total += np.float32(DIRECTION_SHARE) * standard_scores(along, sample)
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
    gallery: Float32[np.ndarray, "probes logits"],
    k: int = DEFAULT_K,
) -> Scores:
    """Minus the paper's distance: Euclidean over the query's k surest probes."""
    return _minus_distances(space, concepts, gallery, k)


def full_query_scores(
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    gallery: Float32[np.ndarray, "probes logits"],
) -> Scores:
    """Minus the Euclidean distance over all probes: the paper's baseline "Full Query"."""
    return _minus_distances(space, concepts, gallery, gallery.shape[0])


RULES: Mapping[RuleName, Rule] = {
    "default": default_scores,
    "paper": paper_scores,
    "full-query": full_query_scores,
}


def standard_scores(
    scores: Float[np.ndarray, "queries logits"], sample: Int64[np.ndarray, " sample"]
) -> Float32[np.ndarray, "queries logits"]:
    """Each query's scores minus their mean, over their standard deviation, over a sample."""
    if not len(sample):
        return np.zeros(scores.shape, np.float32)
    chosen = scores[:, sample].astype(np.float64)
    spread = np.maximum(chosen.std(axis=1, keepdims=True), 1e-9)
    standard = (scores - chosen.mean(axis=1, keepdims=True)) / spread
    return np.asarray(standard, dtype=np.float32)


def sample_columns(usable: Int64[np.ndarray, " logits"]) -> Int64[np.ndarray, " sample"]:
    """At most SAMPLE of the usable logits, evenly spaced; all of fewer."""
    if len(usable) <= SAMPLE:
        return usable
    places = np.linspace(0, len(usable) - 1, SAMPLE).round().astype(np.int64)
    return np.asarray(usable[places])


def noise_threshold(logits: int) -> float:
    """What the best of so many scores reaches by accident, about: sqrt(2 ln n)."""
    return math.sqrt(2.0 * math.log(max(2, logits)))


def _minus_distances(
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    gallery: Float32[np.ndarray, "probes logits"],
    k: int,
) -> Scores:
    scores = np.empty((len(concepts), gallery.shape[1]), np.float32)
    for row, concept in enumerate(concepts):
        values = standardise_query(space.probes @ concept)
        probes = surest_probes(values, k)
        difference = gallery[probes] - values[probes, None]
        squares: Float64[np.ndarray, " logits"] = np.einsum("pl,pl->l", difference, difference)
        scores[row] = -np.sqrt(squares)
    return scores
