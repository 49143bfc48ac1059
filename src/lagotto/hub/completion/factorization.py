"""Stage 3a of hub search: what models answered on the probes they saw → answers on every probe.

Collaborative probing (ProbeLog, section 3.4): the logits x probes matrix of a hub has holes, and is
completed by a low-rank factorisation. The paper names no factoriser. This one is probabilistic:
column = V u + noise with u ~ N(0, 1), fitted by expectation maximisation, that is, alternating
ridge regressions that know how uncertain the other side is. All columns of a model share the
probes it saw, so each model costs one small inverse, whatever its number of outputs.

The probes' own embeddings enter as one more model that saw everything: probes that look alike to
the encoder then have factors that are alike, also where few models saw them.
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
    """How a factorisation is fitted; `choose_settings` finds rank and side weight for a hub.

    `side_weight` is what a number of the probes' embeddings counts for, against 1 for a response.
    """

    rank: int = 64
    side_weight: float = 0.3
    sweeps: int = 8
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ProbeFactors:
    """What the models of a hub have in common: a row of factors a probe, and the noise variance.

    The noise variance is the ridge: it is estimated with the factors, not set.
    """

    values: Float32[np.ndarray, "probes rank"]
    noise: float


def fit_factors(
    models: Iterable[SeenColumns],
    side: Float[np.ndarray, "probes dim"],
    settings: Settings,
    start: ProbeFactors | None = None,
) -> ProbeFactors:
    """Factors of the probes from all models; `start` are earlier ones to go on from.

    `models` is gone through once a sweep and may read from disk; in memory are one model, and
    `rank` squared / 2 numbers a probe. The rank is that of `start`, if it is given. The same input
    gives the same factors.
    """
    columns = standard_side(side)
    factors = start or _first_factors(columns, settings)
    for _ in range(settings.sweeps):
        factors = _sweep(models, columns, factors, settings.side_weight)
    return factors


def fold_in(factors: ProbeFactors, model: SeenColumns) -> Float32[np.ndarray, "rank columns"]:
    """The factors of a model's columns, given those of the probes: a ridge regression."""
    return _regress(factors, model.seen, model.values)[0]


def complete(factors: ProbeFactors, model: SeenColumns) -> Float32[np.ndarray, "probes columns"]:
    """A model's columns on every probe: as they are where it saw it, predicted elsewhere."""
    columns: Float32[np.ndarray, "probes columns"] = factors.values @ fold_in(factors, model)
    columns[model.seen] = model.values
    return columns


def standard_side(side: Float[np.ndarray, "probes dim"]) -> Float32[np.ndarray, "probes dim"]:
    """Embeddings as columns like a model's: mean 0, variance 1; constant ones are left out."""
    wide = side.astype(np.float64)
    wide -= wide.mean(axis=0)
    spread = wide.std(axis=0)
    kept = spread > 1e-9
    standard: Float32[np.ndarray, "probes dim"] = (wide[:, kept] / spread[kept]).astype(np.float32)
    return standard


def _first_factors(side: Float32[np.ndarray, "probes dim"], settings: Settings) -> ProbeFactors:
    """The leading directions of the embeddings, and a little noise so that no factor is empty."""
    rng = np.random.default_rng(settings.seed)
    values = rng.standard_normal((len(side), settings.rank)).astype(np.float32) * _RANDOM_START
    if side.shape[1]:
        squares, directions = np.linalg.eigh((side.T @ side).astype(np.float64))
        leading = np.argsort(-squares, kind="stable")[: settings.rank]
        turned = side @ directions[:, leading].astype(np.float32)
        values[:, : len(leading)] += turned * np.float32(np.sqrt(0.5 / side.shape[1]))
    return ProbeFactors(values, _NOISE_AT_FIRST)


def _regress(
    factors: ProbeFactors,
    seen: Int64[np.ndarray, " seen"],
    values: Float32[np.ndarray, "seen columns"],
) -> tuple[Float32[np.ndarray, "rank columns"], Float32[np.ndarray, "rank rank"]]:
    """Mean and (shared) covariance of the factors of columns that were seen on the same probes."""
    own = factors.values[seen]
    precision = own.T @ own
    precision /= np.float32(factors.noise)
    precision[np.diag_indices_from(precision)] += np.float32(1)
    covariance = np.linalg.inv(precision)
    mean = covariance @ (own.T @ values)
    mean /= np.float32(factors.noise)
    return mean, covariance


def _sweep(
    models: Iterable[SeenColumns],
    side: Float32[np.ndarray, "probes dim"],
    factors: ProbeFactors,
    side_weight: float,
) -> ProbeFactors:
    """One round: columns given probes, then probes given columns, then the noise."""
    statistics = _Statistics(factors)
    for model in models:
        if model.values.shape[1]:
            statistics.add(model.seen, model.values)
    if side.shape[1] and side_weight > 0:
        statistics.add_side(side, side_weight)
    return statistics.solve()


class _Statistics:
    """What a sweep gathers: for each probe the normal equations of its factors."""

    def __init__(self, factors: ProbeFactors) -> None:
        self._factors = factors
        probes, rank = factors.values.shape
        self._triangle = np.triu_indices(rank)
        packed = len(self._triangle[0])
        self._squares = np.zeros((probes, packed), dtype=np.float32)
        self._products = np.zeros((probes, rank), dtype=np.float32)
        self._waiting = np.empty((max(8, _STATISTICS_BYTES // (4 * packed)), packed), np.float32)
        self._masks: list[Int64[np.ndarray, " seen"]] = []
        self._error = 0.0
        self._count = 0

    def add(
        self, seen: Int64[np.ndarray, " seen"], values: Float32[np.ndarray, "seen columns"]
    ) -> None:
        """A model's columns, by their factors and how uncertain these are."""
        mean, covariance = _regress(self._factors, seen, values)
        width = values.shape[1]
        second = mean @ mean.T
        second += np.float32(width) * covariance
        self._waiting[len(self._masks)] = second[self._triangle]
        self._masks.append(seen)
        if len(self._masks) == min(len(self._waiting), 256):
            self._flush()
        self._products[seen] += values @ mean.T
        own = self._factors.values[seen]
        left = values - own @ mean
        unsure = float(np.einsum("sr,sr->", own @ covariance, own))
        self._error += float(np.einsum("sc,sc->", left, left)) + width * unsure
        self._count += values.size

    def add_side(self, side: Float32[np.ndarray, "probes dim"], weight: float) -> None:
        """The embeddings: a model that saw every probe, counted `weight` times."""
        everywhere = np.arange(len(side), dtype=np.int64)
        mean, covariance = _regress(self._factors, everywhere, side)
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
        """Adds what waits to the probes that were seen: one product for many models."""
        if self._masks:
            seen = np.zeros((len(self._products), len(self._masks)), dtype=np.float32)
            for place, mask in enumerate(self._masks):
                seen[mask, place] = 1
            self._squares += seen @ self._waiting[: len(self._masks)]
            self._masks.clear()
