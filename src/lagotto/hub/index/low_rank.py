"""Descriptor blocks come in; an index of few numbers a logit, for approximate scores, goes out.

With orthonormal probe factors V a descriptor z is about V u, so a weighted sum of its values, w z,
is about (w V) u: a logit has `rank` numbers instead of one a probe. ProbeLog, section 3.4, has the
same factors for completion. Approximate scores of all logits give candidates for exact ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int8

from lagotto.core.errors import UsageError
from lagotto.hub.descriptors.quantize import quantize
from lagotto.hub.index.scoring import SEARCH_CONFIG
from lagotto.hub.kernels.dispatch import scan_sums
from lagotto.hub.kernels.kernel import Table

_AT_ONCE = 4096
_STEP_BYTES = 4


@dataclass(frozen=True, slots=True)
class LowRankIndex:
    """The factors of the probes, and `rank` numbers for each logit: steps * values."""

    probes: Float32[np.ndarray, "probes rank"]
    values: Int8[np.ndarray, "rank logits"]
    steps: Float32[np.ndarray, " logits"]

    @property
    def rank(self) -> int:
        """Numbers a logit."""
        return len(self.values)

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return self.probes.nbytes + self.values.nbytes + self.steps.nbytes

    def scores(self, weights: Float32[np.ndarray, " probes"]) -> Float32[np.ndarray, " logits"]:
        """The approximate weighted sum of every logit's descriptor; -inf for an invalid logit."""
        turned = (weights @ self.probes).astype(np.float32)
        return scan_sums([(self.values, self.steps)], np.arange(self.rank), turned)


@dataclass(frozen=True, slots=True)
class Approximation:
    """A hub's low-rank index as a search may use it, or why it cannot be used.

    `required`: the user wants the index wherever it can serve, also where a scan would be as quick.
    """

    index: LowRankIndex | None
    unusable: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Directions:
    """The orthonormal directions in which descriptors differ most, as columns.

    `captured` is the share of the descriptors' squares that these directions hold.
    """

    factors: Float32[np.ndarray, "probes rank"]
    captured: float


def default_rank(probes: int) -> int:
    """The default rank, or so much less that an index is at most a tenth of the descriptors.

    >>> default_rank(4000), default_rank(200)
    (64, 16)
    """
    largest = (probes + _STEP_BYTES) // SEARCH_CONFIG.index_shrinkage - _STEP_BYTES
    return max(1, min(SEARCH_CONFIG.index_rank, largest))


def find_directions(tables: Sequence[Table], rank: int, seed: int = 0) -> Directions:
    """The leading eigenvectors of the descriptors' second moments, from a seeded sample of logits.

    In memory at once are a few times probes x probes numbers, and some thousand descriptors. Raises
    UsageError unless 1 <= rank <= probes.
    """
    probes = tables[0][0].shape[0]
    if not 1 <= rank <= probes:
        raise UsageError(f"rank {rank} was asked for; give 1 to {probes}, the number of probes")
    total = sum(steps.size for _, steps in tables)
    count = min(SEARCH_CONFIG.index_sample_logits, total)
    sample = np.sort(np.random.default_rng(seed).choice(total, count, replace=False))
    moments = np.zeros((probes, probes), dtype=np.float32)
    start = 0
    for values, steps in tables:
        local = sample[(sample >= start) & (sample < start + steps.size)] - start
        for first in range(0, len(local), _AT_ONCE):
            columns = local[first : first + _AT_ONCE]
            part = values[:, columns] * steps[columns]
            moments += part @ part.T
        start += steps.size
    squares, vectors = np.linalg.eigh(moments.astype(np.float64))
    order = np.argsort(-squares, kind="stable")[:rank]
    captured = float(squares[order].sum() / max(squares.sum(), 1e-30))
    factors = np.ascontiguousarray(vectors[:, order].astype(np.float32))
    return Directions(factors, min(1.0, captured))


def fold_descriptors(
    tables: Sequence[Table],
    factors: Float32[np.ndarray, "probes rank"],
    values: Int8[np.ndarray, "rank logits"],
    steps: Float32[np.ndarray, " logits"],
    advance: Callable[[int], None] = lambda logits: None,
) -> None:
    """Writes every logit's numbers into `values` and `steps`; some thousand descriptors at once.

    `advance` is called with the number of logits that were written.
    """
    start = 0
    for table_values, table_steps in tables:
        for first in range(0, table_steps.size, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            turned = factors.T @ (table_values[:, part] * table_steps[part])
            columns = slice(start, start + turned.shape[1])
            values[:, columns], steps[columns] = quantize(turned)
            start = columns.stop
            advance(turned.shape[1])


def build_low_rank(tables: Sequence[Table], rank: int, seed: int = 0) -> LowRankIndex:
    """The index of all tables' logits, in memory; raises UsageError as `find_directions`."""
    factors = find_directions(tables, rank, seed).factors
    logits = sum(steps.size for _, steps in tables)
    values, steps = np.empty((rank, logits), np.int8), np.empty(logits, np.float32)
    fold_descriptors(tables, factors, values, steps)
    return LowRankIndex(factors, values, steps)
