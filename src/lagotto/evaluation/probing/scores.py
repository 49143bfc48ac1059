"""Queries and models that saw shares of the probes come in; scores by the hub's rules go out.

The rules are those of evaluation/retrieval/batch_rules.py; each model may be compared on its own
probes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.evaluation.retrieval.batch_rules import (
    RawScores,
    default_scores,
    paper_scores,
    raw_scores,
    score_candidates,
)
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.scoring import SEARCH_CONFIG, RuleName
from lagotto.hub.query.probe_weights import ProbeSpace, text_weights, top_k_weights


@dataclass(frozen=True, slots=True)
class PartialResponses:
    """A model's raw responses on some probes; ascending indices."""

    probes: Int64[np.ndarray, " seen"]
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
    """Scores of all models' logits on the probes of the space; -inf for invalid logits."""
    models = [standardize(values) for values in responses]
    standardized = np.concatenate([model.values for model in models], axis=1)
    score = paper_scores if rule == "paper" else default_scores
    scores = score(space, concepts, standardized, min(SEARCH_CONFIG.k, len(space.probes)))
    scores[:, ~np.concatenate([model.usable for model in models])] = -np.inf
    return scores


@dataclass(frozen=True, slots=True)
class PartEvidence:
    """The raw scores of one model's logits, and which of these are invalid."""

    raw: RawScores
    invalid: np.ndarray


class PartScorer:
    """The default rule on partly probed models: each on the top k of the probes that it saw."""

    def __init__(self, space: ProbeSpace, concepts: Float32[np.ndarray, "queries dim"]) -> None:
        self._weights = text_weights(space, concepts)
        self._directions = concepts - space.background_mean
        self._matrix = projector(space.probes)

    def evidence(self, part: PartialResponses) -> PartEvidence:
        """The raw scores of one model, from its responses on the probes that it saw."""
        descriptors = standardize(part.responses)
        weights = top_k_weights(self._weights[:, part.probes], SEARCH_CONFIG.k)
        scale = np.float32(self._weights.shape[1] / len(part.probes))
        matrix = self._matrix[:, part.probes] * scale
        raw = raw_scores(weights, self._directions, matrix, descriptors.values)
        return PartEvidence(raw, ~descriptors.usable)


def join_evidence(
    evidence: list[PartEvidence], on_parts: list[bool]
) -> Float32[np.ndarray, "queries logits"]:
    """Scores of all models' logits; sums of partly probed models get the others' spread.

    A partly probed model is scored by its blended descriptors from the start, as in a search.
    """
    raw = [model.raw for model in evidence]
    plain = [
        scores.blended if partly else scores.plain
        for scores, partly in zip(raw, on_parts, strict=True)
    ]
    joined = RawScores(
        _to_one_spread(plain, on_parts),
        _to_one_spread([scores.blended for scores in raw], on_parts),
        np.concatenate([scores.directions for scores in raw], axis=1),
    )
    scores = score_candidates(joined)
    scores[:, np.concatenate([model.invalid for model in evidence])] = -np.inf
    return scores


def _to_one_spread(
    sums: list[Float32[np.ndarray, "queries _"]], on_parts: list[bool]
) -> Float32[np.ndarray, "queries logits"]:
    """All models' sums; those of partly probed models are scaled to the spread of the others."""
    joined = np.concatenate(sums, axis=1)
    mask = np.repeat(on_parts, [own.shape[1] for own in sums])
    if mask.any() and not mask.all():
        spread, others = (joined[:, use].std(axis=1, keepdims=True) for use in (mask, ~mask))
        joined[:, mask] *= others / np.maximum(spread, 1e-9)
    return joined
