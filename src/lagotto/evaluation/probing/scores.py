"""Layer 3: models that saw shares of the probes × queries → scores, by the rules of the hub.

A search works block by block, this on arrays (see hub/index/scoring.py); new is only that
each model may be compared on probes of its own.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.evaluation.retrieval.batch_rules import (
    default_scores,
    paper_scores,
    with_directions,
)
from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.rank_blend import blend
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.scoring import DEFAULT_K, RuleName
from lagotto.hub.query.probe_weights import ProbeSpace, text_weights


@dataclass(frozen=True, slots=True)
class SeenResponses:
    """A model's raw responses on some probes; ascending indices."""

    seen: Int64[np.ndarray, " seen"]
    responses: Float32[np.ndarray, "seen logits"]


def subspace(space: ProbeSpace, probes: Int64[np.ndarray, " chosen"]) -> ProbeSpace:
    """The same space with some of its probes."""
    return ProbeSpace(space.probes[probes], space.background, space.logit_scale)


def scores_on_the_same_probes(
    rule: RuleName,
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    responses: list[Float32[np.ndarray, "probes _"]],
) -> Float32[np.ndarray, "queries logits"]:
    """Scores of all models' logits on the probes of the space; -inf for flawed logits."""
    found = [standardize(each) for each in responses]
    standardized = np.concatenate([each.values for each in found], axis=1)
    score = paper_scores if rule == "paper" else default_scores
    scores = score(space, concepts, standardized, min(DEFAULT_K, len(space.probes)))
    scores[:, ~np.concatenate([each.usable for each in found])] = -np.inf
    return scores


@dataclass(frozen=True, slots=True)
class PartEvidence:
    """What the default rule joins: weighted sums of a model's descriptors, plain and blended, and
    along directions.
    """

    sums: Float32[np.ndarray, "queries logits"]
    raised: Float32[np.ndarray, "queries logits"]
    along: Float32[np.ndarray, "queries logits"]
    flawed: np.ndarray


class PartScorer:
    """The default rule on parts: each model on its own surest probes among those it saw."""

    def __init__(self, space: ProbeSpace, concepts: Float32[np.ndarray, "queries dim"]) -> None:
        self._weights = text_weights(space, concepts)
        self._directions = concepts - space.background_mean
        self._matrix = projector(space.probes)

    def evidence(self, part: SeenResponses) -> PartEvidence:
        """Of one model, from the probes that it saw alone (or all, where it is completed)."""
        found = standardize(part.responses)
        weights = _surest_rows(self._weights[:, part.seen], DEFAULT_K)
        scale = np.float32(self._weights.shape[1] / len(part.seen))
        raised = blend(found.values)
        directions = project(self._matrix[:, part.seen] * scale, raised)
        along = self._directions @ directions.T
        return PartEvidence(weights @ found.values, weights @ raised, along, ~found.usable)


def join_evidence(
    evidence: list[PartEvidence], on_parts: list[bool]
) -> Float32[np.ndarray, "queries logits"]:
    """Scores of all models' logits; the sums of those on parts brought to the others' spread.

    A model on parts counts by its blended descriptors from the start, as in a search.
    """
    each_use = list(zip(evidence, on_parts, strict=True))
    sums = _to_one_spread([each.raised if own else each.sums for each, own in each_use], on_parts)
    raised = _to_one_spread([each.raised for each in evidence], on_parts)
    along = np.concatenate([each.along for each in evidence], axis=1)
    scores = with_directions(sums, raised, along)
    scores[:, np.concatenate([each.flawed for each in evidence])] = -np.inf
    return scores


def _to_one_spread(
    sums: list[Float32[np.ndarray, "queries _"]], on_parts: list[bool]
) -> Float32[np.ndarray, "queries logits"]:
    """All models' sums, those on parts with the spread of the others', where there are others."""
    joined = np.concatenate(sums, axis=1)
    mine = np.repeat(on_parts, [each.shape[1] for each in sums])
    if mine.any() and not mine.all():
        own, others = (joined[:, use].std(axis=1, keepdims=True) for use in (mine, ~mine))
        joined[:, mine] *= others / np.maximum(own, 1e-9)
    return joined


def _surest_rows(
    weights: Float32[np.ndarray, "queries seen"], k: int
) -> Float32[np.ndarray, "queries seen"]:
    """The k highest weights of each row, the others zero, each row summing to 1."""
    kept = weights
    if k < weights.shape[1]:
        places = np.argsort(-weights, axis=1, kind="stable")[:, :k]
        kept = np.zeros_like(weights)
        np.put_along_axis(kept, places, np.take_along_axis(weights, places, axis=1), axis=1)
    total = kept.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(kept, total, out=np.zeros_like(kept), where=total > 0))
