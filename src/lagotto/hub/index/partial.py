"""Models that saw a share of the probes come in; their distances and sums for a query go out.

Query and descriptor are compared on the same probes: the top k of those that the model saw. For one
ranking with the logits of other models, a distance is scaled to what a logit that does not know the
concept would have on the top k of all probes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.hub.descriptors.block_models import models_made
from lagotto.hub.descriptors.blocks import (
    SEEN_ONLY,
    Answers,
    Block,
)
from lagotto.hub.descriptors.exact import exact_descriptors
from lagotto.hub.descriptors.rank_blend import blend_by_quantiles
from lagotto.hub.query.vectors import top_k_probes


@dataclass(frozen=True, slots=True)
class PartiallyProbedModel:
    """A model that is compared on the probes that it saw.

    Its columns begin at `local` in its block and at `first` over all blocks; `seen` are the probes
    that it saw, ascending.
    """

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
    """The models of the blocks that are compared on the probes that they saw.

    `seen` gives these probes by a model's behaviour digest.
    """
    return list(_partial_models(blocks, seen))


def _partial_models(
    blocks: Sequence[Block], seen: Callable[[str], Int64[np.ndarray, " seen"]]
) -> Iterator[PartiallyProbedModel]:
    start = 0
    for block in blocks:
        for model in models_made(block.models, SEEN_ONLY):
            probes = seen(model.behaviour_digest)
            first = start + model.first
            yield PartiallyProbedModel(block, model.first, first, model.logits, probes)
        start += block.steps.size


def partial_distances(
    model: PartiallyProbedModel,
    query: Float32[np.ndarray, " probes"],
    k: int,
    read: Callable[[str], Answers],
) -> Float64[np.ndarray, " logits"]:
    """The paper's distance on the top k of the probes that a model saw; infinite if invalid.

    A descriptor that does not know the concept is expected at sqrt(sum of (q^2 + 1)) over the
    probes that are compared. The distance is scaled from what this is on the model's probes to what
    it is on the top k of all probes.

    Args:
        model: The model.
        query: The query's value on every probe.
        k: How many probes decide.
        read: Gives a model's responses by its behaviour digest.

    Returns:
        One distance for each logit of the model.
    """
    probes = model.seen[top_k_probes(query[model.seen], min(k, len(model.seen)))]
    values = query[probes].astype(np.float64)
    best = query[top_k_probes(query, k)].astype(np.float64)
    descriptors = _descriptors(model, probes, read)
    lengths = np.sqrt(np.square(descriptors - values[:, None]).sum(axis=0))
    scale = math.sqrt(float((np.square(best) + 1).sum() / (np.square(values) + 1).sum()))
    distances: Float64[np.ndarray, " logits"] = lengths * scale
    distances[_invalid(model)] = np.inf
    return distances


def partial_sums(
    model: PartiallyProbedModel,
    weights: Float32[np.ndarray, " probes"],
    k: int,
    read: Callable[[str], Answers],
) -> Float64[np.ndarray, " logits"]:
    """Weighted sums of a model's blended descriptors over the top k of the probes that it saw.

    The weights of those probes are scaled to sum to what all of `weights` do. An invalid logit gets
    zero. Arguments and result as `partial_distances`.
    """
    probes = model.seen[top_k_probes(weights[model.seen], min(k, len(model.seen)))]
    shares = weights[probes].astype(np.float64)
    total = float(shares.sum())
    if total > 0:
        shares *= float(weights.sum()) / total
    part = slice(model.local, model.local + model.logits)
    quantiles = model.block.quantiles[part].T * model.block.steps[part]
    descriptors = _descriptors(model, probes, read).astype(np.float32)
    sums: Float64[np.ndarray, " logits"] = shares @ blend_by_quantiles(
        descriptors, quantiles, len(model.seen)
    )
    return sums


def _descriptors(
    model: PartiallyProbedModel, probes: Int64[np.ndarray, " k"], read: Callable[[str], Answers]
) -> Float64[np.ndarray, "k logits"]:
    """The exact descriptors of all of a model's logits on some probes."""
    columns = np.arange(model.local, model.local + model.logits)
    return exact_descriptors(model.block, columns, probes, read).astype(np.float64)


def _invalid(model: PartiallyProbedModel) -> Bool[np.ndarray, " logits"]:
    return np.asarray(model.block.steps[model.local : model.local + model.logits] == 0)
