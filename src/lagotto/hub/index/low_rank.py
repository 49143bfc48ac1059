"""Stage 5: a compact index of descriptors: a score is a dot product in a space of few dimensions.

With probe factors V (orthonormal) a descriptor z is about V u, so a weighted sum of its values,
w z, is about (w V) u: `rank` numbers a logit instead of one a probe (ProbeLog, section 3.4, has
the same factors for completion). A first pass over them gives candidates for an exact second one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int8

from lagotto.core.errors import UsageError
from lagotto.hub.kernels.dispatch import Table, scan_sums

DEFAULT_RANK = 64
"""Numbers a logit, where a tenth of the probes is not less (see docs/results.md)."""

SMALLER = 10
"""How many times smaller than the descriptors an index of the default rank is at least."""

_SAMPLE = 20_000
_AT_ONCE = 4096
_LARGEST = 127
_STEP_BYTES = 4


@dataclass(frozen=True, slots=True)
class LowRankIndex:
    """Logits in `rank` numbers each, as int8: u = steps * values; and the factors of the probes."""

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
        """The approximate weighted sum of every logit's descriptor; -inf for flawed logits."""
        asked = (weights @ self.probes).astype(np.float32)
        return scan_sums([(self.values, self.steps)], np.arange(self.rank), asked)


@dataclass(frozen=True, slots=True)
class Approximation:
    """What a search may go through: a hub's index, or the reason why the one it has is no use.

    `asked`: wherever the index can serve, also where a scan is expected to be as quick.
    """

    index: LowRankIndex | None
    unusable: str = ""
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Directions:
    """Orthonormal directions in which descriptors differ most, as columns.

    `captured` is the share of the descriptors' squares that lies along them.
    """

    factors: Float32[np.ndarray, "probes rank"]
    captured: float


def default_rank(probes: int) -> int:
    """DEFAULT_RANK, or so much less that an index is at most a tenth of the descriptors."""
    return max(1, min(DEFAULT_RANK, (probes + _STEP_BYTES) // SMALLER - _STEP_BYTES))


def find_directions(tables: Sequence[Table], rank: int, seed: int = 0) -> Directions:
    """Leading eigenvectors of the descriptors' second moments, from a seeded sample of columns.

    A table is a block's (values, steps). In memory at once: a few times probes squared numbers, and
    some thousand descriptors. Raises UsageError unless 1 <= rank <= probes.
    """
    probes = tables[0][0].shape[0]
    if not 1 <= rank <= probes:
        raise UsageError(f"rank {rank} was asked for; give 1 to {probes}, the number of probes")
    total = sum(steps.size for _, steps in tables)
    picked = np.sort(np.random.default_rng(seed).choice(total, min(_SAMPLE, total), replace=False))
    moments = np.zeros((probes, probes), dtype=np.float32)
    start = 0
    for values, steps in tables:
        local = picked[(picked >= start) & (picked < start + steps.size)] - start
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
    """Writes every logit's numbers into `values` and `steps`; some thousand descriptors at once."""
    start = 0
    for codes, own_steps in tables:
        for first in range(0, own_steps.size, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            turned = factors.T @ (codes[:, part] * own_steps[part])
            width = turned.shape[1]
            own = np.abs(turned).max(axis=0) / np.float32(_LARGEST)
            scaled = np.rint(turned / np.where(own > 0, own, np.float32(1)))
            values[:, start : start + width] = np.clip(scaled, -_LARGEST, _LARGEST)
            steps[start : start + width] = own
            start += width
            advance(width)


def build_low_rank(tables: Sequence[Table], rank: int, seed: int = 0) -> LowRankIndex:
    """The index of all tables' logits, in memory; UsageError as find_directions."""
    factors = find_directions(tables, rank, seed).factors
    logits = sum(steps.size for _, steps in tables)
    values, steps = np.empty((rank, logits), np.int8), np.empty(logits, np.float32)
    fold_descriptors(tables, factors, values, steps)
    return LowRankIndex(factors, values, steps)
