"""Models' columns on the probes that they saw come in; their columns on every probe go out.

This is collaborative probing (ProbeLog, section 3.4): the logits x probes matrix of a hub has
holes, and a low-rank factorization completes it. The paper names no method. This one is
probabilistic: column = V u + noise with u ~ N(0, 1), fitted by expectation maximization, which
means alternating ridge regressions that know how uncertain the other side is. All columns of a
model are on the same probes, so a model costs one small inverse, whatever its number of outputs.

The embeddings of the probes enter as one more model that saw every probe. So probes that look alike
to the encoder get similar factors, also where few models saw them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.hub.completion.columns import SeenColumns

_NOISE_AT_FIRST = 0.5
_NOISE_AT_LEAST = 1e-3
_SHRINK = 1.0
_STATISTICS_BYTES = 64 << 20
_RANDOM_START = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """How a factorization is fitted; `search_hyperparameters` finds rank and side weight.

    `rank` is the number of factors. `side_weight` is the weight of an embedding's number, where a
    response has weight 1. `sweeps` are the rounds of regressions, `seed` that of the first factors.
    """

    rank: int = 64
    side_weight: float = 0.3
    sweeps: int = 8
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ProbeFactors:
    """The factors of the probes, one row a probe, and the variance of the noise.

    The noise variance is the ridge of the regressions: it is estimated, not set.
    """

    values: Float32[np.ndarray, "probes rank"]
    noise: float


def fit_factors(
    models: Iterable[SeenColumns],
    side: Float[np.ndarray, "probes dim"],
    settings: Settings,
    start: ProbeFactors | None = None,
) -> ProbeFactors:
    """Fits the factors of the probes to the columns of all models.

    Memory holds one model at a time, and rank squared / 2 numbers a probe. The same input gives the
    same factors.

    Args:
        models: Columns of the models; iterated once a sweep, so they may be read from disk.
        side: Embeddings of the probes, the side information.
        settings: Rank, side weight, sweeps and seed.
        start: Earlier factors of the same probes to continue from; their rank is then used.

    Returns:
        One row of factors a probe, and the noise variance.
    """
    columns = standardize_side(side)
    factors = start or _first_factors(columns, settings)
    for _ in range(settings.sweeps):
        factors = _sweep(models, columns, factors, settings.side_weight)
    return factors


def fold_in(factors: ProbeFactors, model: SeenColumns) -> Float32[np.ndarray, "rank columns"]:
    """The factors of a model's columns, given those of the probes: a ridge regression."""
    return _regress(factors, model.probes, model.values)[0]


def complete(factors: ProbeFactors, model: SeenColumns) -> Float32[np.ndarray, "probes columns"]:
    """A model's columns on every probe: as observed where it saw the probe, else predicted."""
    columns: Float32[np.ndarray, "probes columns"] = factors.values @ fold_in(factors, model)
    columns[model.probes] = model.values
    return columns


def standardize_side(side: Float[np.ndarray, "probes dim"]) -> Float32[np.ndarray, "probes dim"]:
    """Embeddings as columns like a model's: mean 0, variance 1; constant columns are left out."""
    wide = side.astype(np.float64)
    wide -= wide.mean(axis=0)
    spread = wide.std(axis=0)
    mask = spread > 1e-9
    standard: Float32[np.ndarray, "probes dim"] = (wide[:, mask] / spread[mask]).astype(np.float32)
    return standard


def _first_factors(side: Float32[np.ndarray, "probes dim"], settings: Settings) -> ProbeFactors:
    """The leading directions of the embeddings, plus noise so that no factor is empty."""
    rng = np.random.default_rng(settings.seed)
    values = rng.standard_normal((len(side), settings.rank)).astype(np.float32) * _RANDOM_START
    if side.shape[1]:
        squares, directions = np.linalg.eigh((side.T @ side).astype(np.float64))
        leading = np.argsort(-squares, kind="stable")[: settings.rank]
        projected = side @ directions[:, leading].astype(np.float32)
        values[:, : len(leading)] += projected * np.float32(np.sqrt(0.5 / side.shape[1]))
    return ProbeFactors(values, _NOISE_AT_FIRST)


def _regress(
    factors: ProbeFactors,
    probes: Int64[np.ndarray, " seen"],
    values: Float32[np.ndarray, "seen columns"],
) -> tuple[Float32[np.ndarray, "rank columns"], Float32[np.ndarray, "rank rank"]]:
    """Mean and shared covariance of the factors of columns that are on the same probes."""
    rows = factors.values[probes]
    precision = rows.T @ rows
    precision /= np.float32(factors.noise)
    precision[np.diag_indices_from(precision)] += np.float32(1)
    covariance = np.linalg.inv(precision)
    mean = covariance @ (rows.T @ values)
    mean /= np.float32(factors.noise)
    return mean, covariance


def _sweep(
    models: Iterable[SeenColumns],
    side: Float32[np.ndarray, "probes dim"],
    factors: ProbeFactors,
    side_weight: float,
) -> ProbeFactors:
    """One round: factors of the columns, then factors of the probes, then the noise."""
    statistics = _Statistics(factors)
    for model in models:
        if model.values.shape[1]:
            statistics.add(model.probes, model.values)
    if side.shape[1] and side_weight > 0:
        statistics.add_side(side, side_weight)
    return statistics.solve()


class _Statistics:
    """The normal equations of each probe's factors, summed over the models of a sweep."""

    def __init__(self, factors: ProbeFactors) -> None:
        self._factors = factors
        probes, rank = factors.values.shape
        self._triangle = np.triu_indices(rank)
        packed = len(self._triangle[0])
        self._squares = np.zeros((probes, packed), dtype=np.float32)
        self._products = np.zeros((probes, rank), dtype=np.float32)
        self._pending = np.empty((max(8, _STATISTICS_BYTES // (4 * packed)), packed), np.float32)
        self._pending_probes: list[Int64[np.ndarray, " seen"]] = []
        self._error = 0.0
        self._count = 0

    def add(
        self, probes: Int64[np.ndarray, " seen"], values: Float32[np.ndarray, "seen columns"]
    ) -> None:
        """Adds a model's columns by the mean and the covariance of their factors."""
        mean, covariance = _regress(self._factors, probes, values)
        width = values.shape[1]
        second = mean @ mean.T
        second += np.float32(width) * covariance
        self._pending[len(self._pending_probes)] = second[self._triangle]
        self._pending_probes.append(probes)
        if len(self._pending_probes) == min(len(self._pending), 256):
            self._flush()
        self._products[probes] += values @ mean.T
        rows = self._factors.values[probes]
        residual = values - rows @ mean
        variance = float(np.einsum("sr,sr->", rows @ covariance, rows))
        self._error += float(np.einsum("sc,sc->", residual, residual)) + width * variance
        self._count += values.size

    def add_side(self, side: Float32[np.ndarray, "probes dim"], weight: float) -> None:
        """Adds the embeddings as a model that saw every probe, counted `weight` times."""
        every_probe = np.arange(len(side), dtype=np.int64)
        mean, covariance = _regress(self._factors, every_probe, side)
        second = mean @ mean.T + np.float32(side.shape[1]) * covariance
        self._squares += np.float32(weight) * second[self._triangle]
        self._products += np.float32(weight) * (side @ mean.T)

    def solve(self) -> ProbeFactors:
        """The factors of the probes, and the noise variance."""
        self._flush()
        probes, rank = self._products.shape
        values = np.empty((probes, rank), dtype=np.float32)
        at_once = max(1, _STATISTICS_BYTES // (4 * rank * rank))
        for first in range(0, probes, at_once):
            part = slice(first, first + at_once)
            system = np.zeros((len(self._squares[part]), rank, rank), dtype=np.float32)
            system[:, self._triangle[0], self._triangle[1]] = self._squares[part]
            system[:, self._triangle[1], self._triangle[0]] = self._squares[part]
            system[:, np.arange(rank), np.arange(rank)] += np.float32(_SHRINK)
            values[part] = np.linalg.solve(system, self._products[part, :, None])[..., 0]
        noise = self._error / self._count if self._count else self._factors.noise
        return ProbeFactors(values, max(noise, _NOISE_AT_LEAST))

    def _flush(self) -> None:
        """Adds the pending models to the probes that they saw: one product for many models."""
        if self._pending_probes:
            seen = np.zeros((len(self._products), len(self._pending_probes)), dtype=np.float32)
            for column, probes in enumerate(self._pending_probes):
                seen[probes, column] = 1
            self._squares += seen @ self._pending[: len(self._pending_probes)]
            self._pending_probes.clear()
