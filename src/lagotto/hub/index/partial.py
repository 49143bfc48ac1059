"""Stage 5: models that are searched on the probes they saw: query and descriptor on the same ones.

Such a model's surest probes are those of the query among the probes that it saw. So that its logits
stand in one ranking with those of other models, what is found is scaled to what a logit that knows
nothing would get on the query's surest probes of all.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.hub.descriptors.blocks import (
    SEEN_ONLY,
    Answers,
    Block,
    exact_descriptors,
)
from lagotto.hub.descriptors.rank_blend import blended
from lagotto.hub.query.vectors import surest_probes


@dataclass(frozen=True, slots=True)
class PartiallyProbedModel:
    """A model by its place: its block, its first column there and over all blocks, what it saw."""

    block: Block
    local: int
    first: int
    logits: int
    seen: Int64[np.ndarray, " seen"]

    @property
    def columns(self) -> slice:
        """Its columns over all blocks."""
        return slice(self.first, self.first + self.logits)


def find_partial_models(
    blocks: Sequence[Block], seen: Callable[[str], Int64[np.ndarray, " seen"]]
) -> list[PartiallyProbedModel]:
    """The models whose columns are to be compared on what they saw; `seen` by behaviour digest."""
    return list(_parts(blocks, seen))


def _parts(
    blocks: Sequence[Block], seen: Callable[[str], Int64[np.ndarray, " seen"]]
) -> Iterator[PartiallyProbedModel]:
    start = 0
    for block in blocks:
        for model in block.models:
            if model.made_with == SEEN_ONLY:
                known = seen(model.behaviour_digest)
                yield PartiallyProbedModel(
                    block, model.first, start + model.first, model.logits, known
                )
        start += block.steps.size


def partial_distances(
    part: PartiallyProbedModel,
    query: Float32[np.ndarray, " probes"],
    k: int,
    read: Callable[[str], Answers],
) -> Float64[np.ndarray, " logits"]:
    """The paper's distance on the model's own surest probes, infinite for flawed logits.

    A descriptor that knows nothing is expected at sqrt(sum of q^2 + 1) over the probes compared;
    the distance is scaled from that of these probes to that of the query's k surest of all.
    """
    own = part.seen[surest_probes(query[part.seen], min(k, len(part.seen)))]
    chosen = query[own].astype(np.float64)
    best = query[surest_probes(query, k)].astype(np.float64)
    descriptors = _descriptors(part, own, read)
    away = np.sqrt(np.square(descriptors - chosen[:, None]).sum(axis=0))
    scale = math.sqrt(float((np.square(best) + 1).sum() / (np.square(chosen) + 1).sum()))
    distances: Float64[np.ndarray, " logits"] = away * scale
    distances[_flawed(part)] = np.inf
    return distances


def partial_sums(
    part: PartiallyProbedModel,
    weights: Float32[np.ndarray, " probes"],
    k: int,
    read: Callable[[str], Answers],
) -> Float64[np.ndarray, " logits"]:
    """The weighted mean of each blended descriptor over the model's own k surest probes.

    Weights of those probes alone, made to sum to what all of `weights` do; zero for flawed logits.
    """
    own = part.seen[surest_probes(weights[part.seen], min(k, len(part.seen)))]
    chosen = weights[own].astype(np.float64)
    total = float(chosen.sum())
    if total > 0:
        chosen *= float(weights.sum()) / total
    mine = slice(part.local, part.local + part.logits)
    knots = part.block.knots[mine].T * part.block.steps[mine]
    descriptors = _descriptors(part, own, read).astype(np.float32)
    sums: Float64[np.ndarray, " logits"] = chosen @ blended(descriptors, knots, len(part.seen))
    return sums


def _descriptors(
    part: PartiallyProbedModel, probes: Int64[np.ndarray, " own"], read: Callable[[str], Answers]
) -> Float64[np.ndarray, "own logits"]:
    columns = np.arange(part.local, part.local + part.logits)
    return exact_descriptors(part.block, columns, probes, read).astype(np.float64)


def _flawed(part: PartiallyProbedModel) -> Bool[np.ndarray, " logits"]:
    return np.asarray(part.block.steps[part.local : part.local + part.logits] == 0)
