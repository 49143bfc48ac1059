"""A concept's top k probes and all descriptors come in; a weighted sum for every logit goes out.

The best of these sums are the candidates of the default rule, which `rerank` scores in full. What
published labels add to the scores of some logits is held apart.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.zscore import sample_moments
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.partial import partial_sums
from lagotto.hub.index.scoring import SEARCH_CONFIG
from lagotto.hub.kernels.dispatch import scan_sums
from lagotto.hub.query.probe_weights import top_half
from lagotto.hub.text.matching import Named, bonus_from_scores


@dataclass(frozen=True, slots=True)
class WeightedSums:
    """A concept's weighted sums on all logits, and on the logit index's sample.

    `mean` and `spread` are the moments of the sample. The sums are standardized lazily: raw sums
    sort the same way as z-scores.
    """

    raw: Float32[np.ndarray, " logits"]
    sample: Float32[np.ndarray, " sample"]
    mean: np.float32
    spread: np.float32

    def scores(self, sums: Float32[np.ndarray, " some"]) -> Float32[np.ndarray, " some"]:
        """The z-scores of some sums."""
        centred = sums - self.mean
        centred /= self.spread
        return centred

    def candidate_scores(
        self, candidates: Int64[np.ndarray, " candidates"]
    ) -> Float32[np.ndarray, " candidates_and_sample"]:
        """The z-scores of candidates, and then those of the sample."""
        return self.scores(np.concatenate([self.raw[candidates], self.sample]))


@dataclass(frozen=True, slots=True)
class LabelBonus:
    """What published labels add to the scores of some columns, in ascending order; else zero."""

    columns: Int64[np.ndarray, " named"]
    added: Float32[np.ndarray, " named"]

    def at(self, columns: Int64[np.ndarray, " columns"]) -> Float32[np.ndarray, " columns"]:
        """What is added to the scores of some columns, in any order."""
        positions = np.searchsorted(self.columns, columns).clip(max=len(self.columns) - 1)
        known = self.columns[positions] == columns
        return np.where(known, self.added[positions], np.float32(0))


def weighted_sums(
    logit_index: LogitIndex,
    weights: Float32[np.ndarray, " probes"],
    top_weights: Float32[np.ndarray, " probes"],
) -> WeightedSums:
    """A concept's weighted sums of all logits over its top k probes; zero for invalid logits.

    A hub of `SearchConfig.half_scan_logits` or more is scanned on the top half of these probes.

    Args:
        logit_index: The logits.
        weights: How much each probe counts.
        top_weights: The same, for the top k probes alone: `top_k_weights` of `weights`.
    """
    probes = np.flatnonzero(top_weights)
    k = len(probes)
    if logit_index.steps.size >= SEARCH_CONFIG.half_scan_logits:
        probes = top_half(top_weights)
    logit_index.read_ahead(probes)
    # Candidates are scored on the others, too.
    logit_index.read_ahead(np.setdiff1d(np.flatnonzero(top_weights), probes))
    sums = scan_sums(logit_index.tables, probes, top_weights[probes], ends=logit_index.ends)
    sums[logit_index.invalid] = 0.0
    if logit_index.partial_models:
        _set_partial_sums(logit_index, weights, k, sums)
    sample = sums[logit_index.sample]
    return WeightedSums(sums, sample, *sample_moments(sample))


def _set_partial_sums(
    logit_index: LogitIndex,
    weights: Float32[np.ndarray, " probes"],
    k: int,
    sums: Float32[np.ndarray, " logits"],
) -> None:
    """Writes the sums of partly probed models, scaled to the standard deviation of the others."""
    mask = np.zeros(sums.size, dtype=bool)
    for model in logit_index.partial_models:
        sums[model.columns] = partial_sums(model, weights, k, logit_index.read)
        mask[model.columns] = True
    usable = logit_index.steps > 0
    others = sums[usable & ~mask]
    spread = float(sums[usable & mask].std()) if (usable & mask).any() else 0.0
    if others.size and spread > 0:
        sums[mask] *= np.float32(others.std() / spread)


def label_bonus(
    logit_index: LogitIndex, named: Named, sums: WeightedSums, threshold: float
) -> LabelBonus | None:
    """What published labels add to the scores of logits, None where no label matches.

    `named` are the logits whose labels match the concept, and `threshold` is the hub's
    `noise_threshold`.
    """
    if not len(named.columns):
        return None
    best = sums.scores(np.maximum.reduceat(sums.raw, logit_index.firsts))
    scores = sums.scores(sums.raw[named.labelled])
    added = bonus_from_scores(named, scores, best, logit_index.firsts, threshold)
    columns, positions = np.unique(named.columns, return_index=True)
    return LabelBonus(columns, added[positions].astype(np.float32))
