"""Responses on some of the probes and queries come in; scores by the hub's rules go out.

A search scores block by block; this module scores whole arrays by the same rules
(hub/index/scoring.py). Each model may be compared on its own probes.
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
class PartialResponses:
    """A model's raw responses on some probes; the indices ascend."""

    probes: Int64[np.ndarray, " seen"]
    responses: Float32[np.ndarray, "seen logits"]


def subspace(space: ProbeSpace, probes: Int64[np.ndarray, " some"]) -> ProbeSpace:
    """The space restricted to some of its probes."""
    return ProbeSpace(space.probes[probes], space.background, space.logit_scale)


def scores_on_the_same_probes(
    rule: RuleName,
    space: ProbeSpace,
    concepts: Float32[np.ndarray, "queries dim"],
    responses: list[Float32[np.ndarray, "probes _"]],
) -> Float32[np.ndarray, "queries logits"]:
    """Scores of all models' logits on the probes of the space; -inf for unusable logits."""
    standardized_models = [standardize(item) for item in responses]
    standardized = np.concatenate([item.values for item in standardized_models], axis=1)
    score = paper_scores if rule == "paper" else default_scores
    scores = score(space, concepts, standardized, min(DEFAULT_K, len(space.probes)))
    scores[:, ~np.concatenate([item.usable for item in standardized_models])] = -np.inf
    return scores


@dataclass(frozen=True, slots=True)
class PartEvidence:
    """The terms of the default rule for one model's logits: weighted sums of plain descriptors and
    of blended ones, and direction scores.
    """

    sums: Float32[np.ndarray, "queries logits"]
    blended: Float32[np.ndarray, "queries logits"]
    direction_scores: Float32[np.ndarray, "queries logits"]
    unusable: np.ndarray


class PartScorer:
    """The default rule on parts: each model on the top-k probes among those it saw."""

    def __init__(self, space: ProbeSpace, concepts: Float32[np.ndarray, "queries dim"]) -> None:
        self._weights = text_weights(space, concepts)
        self._directions = concepts - space.background_mean
        self._matrix = projector(space.probes)

    def evidence(self, part: PartialResponses) -> PartEvidence:
        """The terms of one model, from the probes that it saw (or all, if it is completed)."""
        standardized = standardize(part.responses)
        weights = _top_k_weights(self._weights[:, part.probes], DEFAULT_K)
        scale = np.float32(self._weights.shape[1] / len(part.probes))
        blended = blend(standardized.values)
        directions = project(self._matrix[:, part.probes] * scale, blended)
        direction_scores = self._directions @ directions.T
        return PartEvidence(
            weights @ standardized.values,
            weights @ blended,
            direction_scores,
            ~standardized.usable,
        )


def join_evidence(
    evidence: list[PartEvidence], on_parts: list[bool]
) -> Float32[np.ndarray, "queries logits"]:
    """Scores of all models' logits; sums on parts are scaled to the spread of the other sums.

    A model on parts uses its blended descriptors for both sums, as in a search.
    """
    pairs = list(zip(evidence, on_parts, strict=True))
    sums = _match_spread(
        [terms.blended if is_part else terms.sums for terms, is_part in pairs], on_parts
    )
    blended = _match_spread([terms.blended for terms in evidence], on_parts)
    direction_scores = np.concatenate([terms.direction_scores for terms in evidence], axis=1)
    scores = with_directions(sums, blended, direction_scores)
    scores[:, np.concatenate([terms.unusable for terms in evidence])] = -np.inf
    return scores


def _match_spread(
    sums: list[Float32[np.ndarray, "queries _"]], on_parts: list[bool]
) -> Float32[np.ndarray, "queries logits"]:
    """The sums of all models; those on parts are scaled to the spread of the others, if any."""
    joined = np.concatenate(sums, axis=1)
    on_part = np.repeat(on_parts, [model_sums.shape[1] for model_sums in sums])
    if on_part.any() and not on_part.all():
        part_spread, other_spread = (
            joined[:, mask].std(axis=1, keepdims=True) for mask in (on_part, ~on_part)
        )
        joined[:, on_part] *= other_spread / np.maximum(part_spread, 1e-9)
    return joined


def _top_k_weights(
    weights: Float32[np.ndarray, "queries seen"], k: int
) -> Float32[np.ndarray, "queries seen"]:
    """The k highest weights of each row, scaled to sum 1; the others are 0."""
    top_weights = weights
    if k < weights.shape[1]:
        columns = np.argsort(-weights, axis=1, kind="stable")[:, :k]
        top_weights = np.zeros_like(weights)
        np.put_along_axis(
            top_weights, columns, np.take_along_axis(weights, columns, axis=1), axis=1
        )
    total = top_weights.sum(axis=1, keepdims=True)
    return np.asarray(
        np.divide(top_weights, total, out=np.zeros_like(top_weights), where=total > 0)
    )
