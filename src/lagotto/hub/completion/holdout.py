"""Columns of models come in; held-out parts, the skill of a completion and its settings go out.

Only responses enter: no label and no query. A quarter of the probes that a model saw is held out,
factors are fitted on the rest, and the held-out responses are predicted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.hub.completion.columns import SeenColumns
from lagotto.hub.completion.factorization import (
    ProbeFactors,
    Settings,
    fit_factors,
    fold_in,
)

HOLDOUT_SHARE = 0.25
"""Share of the probes that a model saw which is held out."""

_SEARCH_MODELS = 300
_SEARCH_SWEEPS = 4
_SIDE_WEIGHTS = (0.0, 0.1, 0.3, 1.0)
_RANKS = (8, 16, 32, 64)
_FIRST_RANK = 32
_MARGIN = 0.02
# Rare concepts live in later factors, which add next to nothing to the share of variance: among
# ranks that predict about as well the highest is taken (docs/results.md says on what this was set).
_LEAST_PROBES = 4


@dataclass(frozen=True, slots=True)
class HeldOutModel:
    """A model split in two: `train` columns, and the `values` held out on `probes`.

    Both parts are standardized by the moments of the train part.
    """

    train: SeenColumns
    probes: Int64[np.ndarray, " held"]
    values: Float32[np.ndarray, "held columns"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that were tried; `skill` is the share of held-out variance that they predict."""

    rank: int
    side_weight: float
    skill: float


@dataclass(frozen=True, slots=True)
class HyperparameterSearch:
    """The settings to fit with, and every candidate that was tried for them."""

    settings: Settings
    candidates: tuple[Candidate, ...]


def split_holdout(model: SeenColumns, seed: int, share: float = HOLDOUT_SHARE) -> HeldOutModel:
    """Holds out a random share of a model's probes, at least one; at least one stays to fit on."""
    count = len(model.probes)
    size = min(max(1, round(share * count)), count - 1)
    mask = np.zeros(count, dtype=bool)
    mask[np.random.default_rng(seed).permutation(count)[:size]] = True
    train = model.values[~mask].astype(np.float64)
    mean, std = train.mean(axis=0), train.std(axis=0)
    std = np.where(std > 1e-6, std, np.inf)
    values = ((model.values - mean) / std).astype(np.float32)
    return HeldOutModel(
        SeenColumns(model.probes[~mask], values[~mask]), model.probes[mask], values[mask]
    )


@dataclass(frozen=True, slots=True)
class Holdout:
    """The models of a hub, with a part of each partly probed model held out.

    Iterating gives the models without their held-out parts. `probes` is the number of probes of
    the hub. A model may be read from disk at each access; none is kept in memory.
    """

    models: Sequence[SeenColumns]
    probes: int
    seed: int

    def split(self, index: int) -> HeldOutModel | None:
        """The split of one model; None for one that saw every probe, or too few to hold any out."""
        model = self.models[index]
        if not _LEAST_PROBES <= len(model.probes) < self.probes or not model.values.shape[1]:
            return None
        return split_holdout(model, self.seed + index)

    def __iter__(self) -> Iterator[SeenColumns]:
        """All models without their held-out parts, to fit factors on."""
        for index, model in enumerate(self.models):
            split = self.split(index)
            yield model if split is None else split.train

    def splits(self) -> Iterator[HeldOutModel]:
        """The split of each model that has one."""
        for index in range(len(self.models)):
            split = self.split(index)
            if split is not None:
                yield split


def predict_holdout(
    factors: ProbeFactors, split: HeldOutModel
) -> Float32[np.ndarray, "held columns"]:
    """The columns that the factors predict on the held-out probes."""
    predicted: Float32[np.ndarray, "held columns"] = factors.values[split.probes] @ fold_in(
        factors, split.train
    )
    return predicted


def skill(factors: ProbeFactors, splits: Iterable[HeldOutModel]) -> float:
    """Share of the held-out variance that factors predict; each model counts the same.

    It is 1 - squared error / squared value: 1 is a perfect prediction, 0 is no better than leaving
    the probe out, and it can be negative. The last column (the mean of a model's logits) does not
    count: no search compares it.
    """
    error, total = 0.0, 0.0
    for split in splits:
        residual = split.values - predict_holdout(factors, split)
        error += float(np.square(residual[:, :-1]).mean())
        total += float(np.square(split.values[:, :-1]).mean())
    return 1.0 - error / total if total > 0 else 0.0


def search_hyperparameters(
    models: Sequence[SeenColumns], side: Float[np.ndarray, "probes dim"], seed: int = 0
) -> HyperparameterSearch:
    """Searches side weight, then rank, by the skill on held-out responses.

    At most a few hundred models, evenly spaced, take part. Of the ranks whose skill is within 0.02
    of the best, the highest is taken.

    Args:
        models: The columns of every model.
        side: Embeddings of the probes, the side information.
        seed: Seed of the held-out parts and of the first factors.

    Returns:
        The settings and all candidates; the default settings and no candidate where no model has
        enough responses to hold any out.
    """
    sample_size = min(len(models), _SEARCH_MODELS)
    indices = np.unique(np.linspace(0, len(models) - 1, sample_size).astype(int))
    sample = [models[index] for index in indices.tolist()] if len(models) else []
    holdout = Holdout(sample, len(side), seed)
    train, splits = list(holdout), list(holdout.splits())
    default = Settings(seed=seed)
    if not splits:
        return HyperparameterSearch(default, ())
    candidates: list[Candidate] = []

    def evaluate(rank: int, side_weight: float) -> Candidate:
        settings = replace(default, rank=rank, side_weight=side_weight, sweeps=_SEARCH_SWEEPS)
        score = skill(fit_factors(train, side, settings), splits)
        candidates.append(Candidate(rank, side_weight, score))
        return candidates[-1]

    ceiling = min(len(side), sum(model.values.shape[1] for model in train))
    first = min(_FIRST_RANK, ceiling)
    best = max((evaluate(first, weight) for weight in _SIDE_WEIGHTS), key=lambda c: c.skill)
    for rank in _RANKS:
        if rank != first and rank <= ceiling:
            evaluate(rank, best.side_weight)
    contenders = [c for c in candidates if c.side_weight == best.side_weight]
    highest = max(candidate.skill for candidate in contenders)
    winner = max((c for c in contenders if c.skill >= highest - _MARGIN), key=lambda c: c.rank)
    settings = replace(default, rank=winner.rank, side_weight=winner.side_weight)
    return HyperparameterSearch(settings, tuple(candidates))
