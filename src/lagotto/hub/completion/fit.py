"""Columns of partly probed models come in; factors and a verdict on each model go out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from lagotto.hub.completion.columns import (
    ColumnScale,
    SeenColumns,
    to_responses,
)
from lagotto.hub.completion.factorization import (
    ProbeFactors,
    Settings,
    complete,
    fit_factors,
)
from lagotto.hub.completion.guard import HubVerdict, decide_use
from lagotto.hub.completion.holdout import (
    Holdout,
    HyperparameterSearch,
    search_hyperparameters,
)

_SWEEPS_FROM_START = 3


@dataclass(frozen=True, slots=True)
class FittedCompletion:
    """The completion of a hub: factors of its probes, how they were fitted, and where to use it."""

    factors: ProbeFactors
    search: HyperparameterSearch
    verdict: HubVerdict


def fit_completion(
    models: Sequence[SeenColumns],
    side: Float[np.ndarray, "probes dim"],
    seed: int = 0,
    start: ProbeFactors | None = None,
    search: HyperparameterSearch | None = None,
) -> FittedCompletion:
    """Fits the completion of a hub: settings and verdicts by held-out responses, factors by all.

    Args:
        models: The columns of every model. They may be read from disk at each access.
        side: Embeddings of the probes, the side information.
        seed: Seed of the held-out parts and of the first factors.
        start: Factors of the same probes to start from; fewer sweeps are then needed.
        search: Settings from an earlier search; without it, they are searched for.

    Returns:
        The factors, the settings that were used, and one verdict a model in the order given.
    """
    search = search or search_hyperparameters(models, side, seed)
    holdout = Holdout(models, len(side), seed)
    holdout_factors = fit_factors(holdout, side, _shortened(search.settings, start), start)
    verdict = decide_use(holdout_factors, holdout)
    settings = _shortened(search.settings, holdout_factors)
    factors = fit_factors(models, side, settings, holdout_factors)
    return FittedCompletion(factors, search, verdict)


def completed_responses(
    factors: ProbeFactors, model: SeenColumns, scale: ColumnScale
) -> Float32[np.ndarray, "probes logits"]:
    """A model's raw logits on every probe: predicted where it did not see one; NaN if invalid."""
    return to_responses(complete(factors, model), scale)


def _shortened(settings: Settings, start: ProbeFactors | None) -> Settings:
    """Settings with fewer sweeps where earlier factors are the start."""
    return settings if start is None else replace(settings, sweeps=_SWEEPS_FROM_START)
