"""Stage 5: a compact index of descriptors: a score is a dot product in a space of few dimensions.

With probe factors V (orthonormal) a descriptor z is about V u, so a weighted sum of its values,
w z, is about (w V) u: `rank` numbers a logit instead of one a probe. A first pass over them gives
candidates; these are scored again on the descriptors themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from lagotto.core.errors import UsageError
from lagotto.hubsearch.kernel import Table, scan_sums

_SAMPLE = 20_000
_AT_ONCE = 16_384
_LARGEST = 127


@dataclass(frozen=True, slots=True)
class LowRankIndex:
    """Logits in `rank` numbers each, as int8: u = steps * values; and the factors of the probes."""

    probes: Float32[np.ndarray, "probes rank"]
    values: Int8[np.ndarray, "rank logits"]
    steps: Float32[np.ndarray, " logits"]

    @property
    def bytes_a_logit(self) -> float:
        """What a logit takes, its step included."""
        return float(len(self.values) + self.steps.itemsize)

    def scores(self, weights: Float32[np.ndarray, " probes"]) -> Float32[np.ndarray, " logits"]:
        """The approximate weighted sum of every logit's descriptor; -inf for flawed logits."""
        asked = (weights @ self.probes).astype(np.float32)
        return scan_sums([(self.values, self.steps)], np.arange(len(asked)), asked)


def build_low_rank(tables: Sequence[Table], rank: int, seed: int = 0) -> LowRankIndex:
    """The index of all tables' logits: the directions in which a sample of them differs most.

    A table is a block's (values, steps). In memory at once: the index, probes squared numbers, and
    a few thousand descriptors. Raises UsageError unless 1 <= rank <= probes.
    """
    probes = tables[0][0].shape[0]
    if not 1 <= rank <= probes:
        raise UsageError(f"rank {rank} was asked for; give 1 to {probes}, the number of probes")
    factors = _directions(tables, rank, seed)
    logits = sum(steps.size for _, steps in tables)
    values = np.empty((rank, logits), dtype=np.int8)
    steps = np.empty(logits, dtype=np.float32)
    start = 0
    for table in tables:
        for first in range(0, table[1].size, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            turned = factors.T @ _descriptors(table, part)
            width = turned.shape[1]
            own = np.abs(turned).max(axis=0) / np.float32(_LARGEST)
            scaled = np.rint(turned / np.where(own > 0, own, np.float32(1)))
            values[:, start : start + width] = np.clip(scaled, -_LARGEST, _LARGEST)
            steps[start : start + width] = own
            start += width
    return LowRankIndex(factors, values, steps)


def find_best(
    index: LowRankIndex,
    tables: Sequence[Table],
    weights: Float32[np.ndarray, " probes"],
    top: int,
    candidates: int = 1000,
) -> tuple[Int64[np.ndarray, " top"], Float64[np.ndarray, " top"]]:
    """The logits with the highest weighted sums and these, best first, ties by index.

    The index gives the candidates; their sums are taken over the tables' own descriptors.
    """
    rough = index.scores(weights)
    count = min(max(candidates, top), rough.size)
    chosen = np.sort(np.argpartition(-rough, count - 1)[:count])
    chosen = chosen[np.isfinite(rough[chosen])].astype(np.int64)
    exact = exact_sums(tables, chosen, weights)
    order = np.lexsort((chosen, -exact))[:top]
    return chosen[order], exact[order]


def exact_sums(
    tables: Sequence[Table],
    columns: Int64[np.ndarray, " columns"],
    weights: Float32[np.ndarray, " probes"],
) -> Float64[np.ndarray, " columns"]:
    """Weighted sums of some logits' descriptors, reading the probes that have weight."""
    asked = np.flatnonzero(weights)
    sums = np.empty(len(columns))
    ends = np.cumsum([steps.size for _, steps in tables])
    owners = np.searchsorted(ends, columns, side="right")
    for owner in np.unique(owners).tolist():
        values, steps = tables[owner]
        mine = owners == owner
        local = columns[mine] - (int(ends[owner]) - steps.size)
        rows = values[np.ix_(asked, local)].astype(np.float64)
        sums[mine] = (weights[asked].astype(np.float64) @ rows) * steps[local]
    return sums


def _directions(tables: Sequence[Table], rank: int, seed: int) -> Float32[np.ndarray, "probes r"]:
    """Leading eigenvectors of the descriptors' second moments, from a seeded sample of columns."""
    widths = [steps.size for _, steps in tables]
    rng = np.random.default_rng(seed)
    total = sum(widths)
    picked = np.sort(rng.choice(total, min(_SAMPLE, total), replace=False))
    probes = tables[0][0].shape[0]
    moments = np.zeros((probes, probes), dtype=np.float32)
    start = 0
    for values, steps in tables:
        local = picked[(picked >= start) & (picked < start + steps.size)] - start
        for first in range(0, len(local), 2048):
            columns = local[first : first + 2048]
            part = values[:, columns] * steps[columns]
            moments += part @ part.T
        start += steps.size
    squares, vectors = np.linalg.eigh(moments.astype(np.float64))
    leading = vectors[:, np.argsort(-squares, kind="stable")[:rank]]
    return np.ascontiguousarray(leading.astype(np.float32))


def _descriptors(table: Table, part: slice) -> Float32[np.ndarray, "probes columns"]:
    values, steps = table
    wide: Float32[np.ndarray, "probes columns"] = values[:, part] * steps[part]
    return wide
