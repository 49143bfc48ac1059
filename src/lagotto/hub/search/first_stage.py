"""Stage 5b of hub search: a concept's surest probes × all descriptors → a sum for every logit.

The default rule's first look: the best of these sums are its candidates. What published names add
to a few of them is told beside.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.partial import partial_sums
from lagotto.hub.kernels.dispatch import scan_sums
from lagotto.hub.text.matching import Named, bonus_from_scores

WIDE = 100_000
"""Logits of a hub from which a first look reads the surer half of the probes. What it finds is
scored on all of them, and hardly changes: benchmarks/quality/first_look.py."""


@dataclass(frozen=True, slots=True)
class WeightedSums:
    """A concept's weighted sums as scanned; less `mean`, over `spread`, they are its scores.

    A million are standardised only where they must be: sums have the order of their scores.
    `usual` are those of the logit index's sample.
    """

    raw: Float32[np.ndarray, " logits"]
    usual: Float32[np.ndarray, " sample"]
    mean: np.float32
    spread: np.float32

    def scores(self, sums: Float32[np.ndarray, " some"]) -> Float32[np.ndarray, " some"]:
        """Scores of some sums."""
        centred = sums - self.mean
        centred /= self.spread
        return centred

    def asked(self, candidates: Int64[np.ndarray, " candidates"]) -> Float32[np.ndarray, " asked"]:
        """Scores of candidates, and then of the sample."""
        return self.scores(np.concatenate([self.raw[candidates], self.usual]))


@dataclass(frozen=True, slots=True)
class LabelBonus:
    """What names add to the scores of some columns, which ascend; nothing to all others."""

    columns: Int64[np.ndarray, " named"]
    added: Float32[np.ndarray, " named"]

    def at(self, asked: Int64[np.ndarray, " asked"]) -> Float32[np.ndarray, " asked"]:
        """What is added to the scores of the columns asked for."""
        places = np.searchsorted(self.columns, asked).clip(max=len(self.columns) - 1)
        known = self.columns[places] == asked
        return np.where(known, self.added[places], np.float32(0))


def weighted_sums(
    logit_index: LogitIndex,
    weights: Float32[np.ndarray, " probes"],
    surest: Float32[np.ndarray, " probes"],
) -> WeightedSums:
    """A concept's sums of all logits over its surest probes; those of flawed logits are zero.

    `surest` are the weights of its k surest probes. Of a hub of WIDE logits or more the surer half
    of these is read.
    """
    probes = np.flatnonzero(surest)
    k = len(probes)
    if logit_index.steps.size >= WIDE:
        probes = surer_half(surest)
    sums = scan_sums(logit_index.tables, probes, surest[probes])
    sums[logit_index.flawed] = 0.0
    if logit_index.parts:
        _put_parts(logit_index, weights, k, sums)
    usual = sums[logit_index.sample]
    if not len(usual):
        return WeightedSums(sums, usual, np.float32(0), np.float32(1))
    wide = usual.astype(np.float64)
    spread = max(float(wide.std()), 1e-9)
    return WeightedSums(sums, usual, np.float32(wide.mean()), np.float32(spread))


def surer_half(surest: Float32[np.ndarray, " probes"]) -> Int64[np.ndarray, " half"]:
    """The half of the probes that have weights, ascending, whose weights are higher."""
    probes = np.flatnonzero(surest)
    order = np.argsort(-surest[probes], kind="stable")
    return np.sort(probes[order[: (len(probes) + 1) // 2]])


def _put_parts(
    logit_index: LogitIndex,
    weights: Float32[np.ndarray, " probes"],
    k: int,
    sums: Float32[np.ndarray, " logits"],
) -> None:
    """Sums of the models compared on what they saw, brought to the spread of the others."""
    mine = np.zeros(sums.size, dtype=bool)
    for part in logit_index.parts:
        sums[part.columns] = partial_sums(part, weights, k, logit_index.read)
        mine[part.columns] = True
    usable = logit_index.steps > 0
    others = sums[usable & ~mine]
    spread = float(sums[usable & mine].std()) if (usable & mine).any() else 0.0
    if others.size and spread > 0:
        sums[mine] *= np.float32(others.std() / spread)


def label_bonus(
    logit_index: LogitIndex, named: Named, sums: WeightedSums, threshold: float
) -> LabelBonus | None:
    """What names add to the scores of logits, None where no name is asked."""
    if not len(named.columns):
        return None
    best = sums.scores(np.maximum.reduceat(sums.raw, logit_index.firsts))
    own = sums.scores(sums.raw[named.columns])
    added = bonus_from_scores(named, own, best, logit_index.firsts, threshold)
    columns, places = np.unique(named.columns, return_index=True)
    return LabelBonus(columns, added[places].astype(np.float32))
