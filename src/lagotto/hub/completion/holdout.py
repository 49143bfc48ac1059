"""Stage 3a: how well a completion predicts answers that were held back, and settings chosen by it.

Nothing but responses enters: no label, no query. Of every model a quarter of its probes is held
back, the rest is fitted, and what was held back is predicted.
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

HELD_SHARE = 0.25
_TRIAL_MODELS = 300
_TRIAL_SWEEPS = 4
_SIDE_WEIGHTS = (0.0, 0.1, 0.3, 1.0)
_RANKS = (8, 16, 32, 64)
_FIRST_RANK = 32
_MARGIN = 0.02
# Rare concepts live in later factors, which add next to nothing to the share of variance: among
# ranks that predict about as well the highest is taken (docs/results.md: on what this was seen).
_LEAST_SEEN = 4


@dataclass(frozen=True, slots=True)
class HeldOutModel:
    """A model's columns without the held-back probes, and those: standardised by what is kept."""

    kept: SeenColumns
    probes: Int64[np.ndarray, " held"]
    values: Float32[np.ndarray, "held columns"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings and the share of the held-back variance that they predict, mean over models."""

    rank: int
    side_weight: float
    skill: float


@dataclass(frozen=True, slots=True)
class HyperparameterSearch:
    """The settings with the best skill on held-back responses, and all that were tried."""

    settings: Settings
    trials: tuple[Candidate, ...]


def hold_out(model: SeenColumns, seed: int, share: float = HELD_SHARE) -> HeldOutModel:
    """A seeded part of the probes that a model saw, held back; at least one, and one is kept."""
    count = len(model.seen)
    size = min(max(1, round(share * count)), count - 1)
    held = np.zeros(count, dtype=bool)
    held[np.random.default_rng(seed).permutation(count)[:size]] = True
    kept = model.values[~held].astype(np.float64)
    mean, std = kept.mean(axis=0), kept.std(axis=0)
    std = np.where(std > 1e-6, std, np.inf)
    values = ((model.values - mean) / std).astype(np.float32)
    return HeldOutModel(
        SeenColumns(model.seen[~held], values[~held]), model.seen[held], values[held]
    )


@dataclass(frozen=True, slots=True)
class Holdout:
    """The models of a hub, of which those that saw a share of the probes have a part held back.

    Models may be read from disk each time they are asked for; none is kept here.
    """

    models: Sequence[SeenColumns]
    probes: int
    seed: int

    def part(self, place: int) -> HeldOutModel | None:
        """What a model has held back; None for one that saw every probe, or nearly none."""
        model = self.models[place]
        if not _LEAST_SEEN <= len(model.seen) < self.probes or not model.values.shape[1]:
            return None
        return hold_out(model, self.seed + place)

    def __iter__(self) -> Iterator[SeenColumns]:
        """All models without what is held back, to be fitted."""
        for place, model in enumerate(self.models):
            part = self.part(place)
            yield model if part is None else part.kept

    def parts(self) -> Iterator[HeldOutModel]:
        """What is held back, model by model."""
        for place in range(len(self.models)):
            part = self.part(place)
            if part is not None:
                yield part


def predict_held(factors: ProbeFactors, part: HeldOutModel) -> Float32[np.ndarray, "held columns"]:
    """What the completion says of the probes that were held back."""
    predicted: Float32[np.ndarray, "held columns"] = factors.values[part.probes] @ fold_in(
        factors, part.kept
    )
    return predicted


def skill(factors: ProbeFactors, parts: Iterable[HeldOutModel]) -> float:
    """1 - squared error / squared value of what was held back, each model counting the same.

    What a model's logits have in common is left out: no search compares it. 1 is a perfect
    prediction, 0 no better than leaving the probe out; it can be negative.
    """
    error, total = 0.0, 0.0
    for part in parts:
        left = part.values - predict_held(factors, part)
        error += float(np.square(left[:, :-1]).mean())
        total += float(np.square(part.values[:, :-1]).mean())
    return 1.0 - error / total if total > 0 else 0.0


def choose_settings(
    models: Sequence[SeenColumns], side: Float[np.ndarray, "probes dim"], seed: int = 0
) -> HyperparameterSearch:
    """Side weight, then rank, by held-back responses; the highest rank that predicts as well.

    At most a few hundred models, evenly taken, are tried on. Without enough responses to hold any
    back the default settings come back.
    """
    places = np.unique(np.linspace(0, len(models) - 1, min(len(models), _TRIAL_MODELS)).astype(int))
    tried_on = [models[place] for place in places.tolist()] if len(models) else []
    exam = Holdout(tried_on, len(side), seed)
    kept, parts = list(exam), list(exam.parts())
    default = Settings(seed=seed)
    if not parts:
        return HyperparameterSearch(default, ())
    trials: list[Candidate] = []

    def tried(rank: int, side_weight: float) -> Candidate:
        settings = replace(default, rank=rank, side_weight=side_weight, sweeps=_TRIAL_SWEEPS)
        trials.append(Candidate(rank, side_weight, skill(fit_factors(kept, side, settings), parts)))
        return trials[-1]

    ceiling = min(len(side), sum(model.values.shape[1] for model in kept))
    first = min(_FIRST_RANK, ceiling)
    best = max((tried(first, weight) for weight in _SIDE_WEIGHTS), key=lambda trial: trial.skill)
    for rank in _RANKS:
        if rank != first and rank <= ceiling:
            tried(rank, best.side_weight)
    same = [trial for trial in trials if trial.side_weight == best.side_weight]
    highest = max(trial.skill for trial in same)
    chosen = max((t for t in same if t.skill >= highest - _MARGIN), key=lambda trial: trial.rank)
    settings = replace(default, rank=chosen.rank, side_weight=chosen.side_weight)
    return HyperparameterSearch(settings, tuple(trials))
