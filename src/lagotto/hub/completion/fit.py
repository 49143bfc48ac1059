"""Stage 3a in order: partly probed models → factors, verdicts, completed answers."""

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
    choose_settings,
)

_SWEEPS_FROM_START = 3


@dataclass(frozen=True, slots=True)
class Collaboration:
    """What the partly probed models of a hub make of each other's answers."""

    factors: ProbeFactors
    choice: HyperparameterSearch
    verdict: HubVerdict


def collaborate(
    models: Sequence[SeenColumns],
    side: Float[np.ndarray, "probes dim"],
    seed: int = 0,
    before: ProbeFactors | None = None,
    choice: HyperparameterSearch | None = None,
) -> Collaboration:
    """Settings from held-back answers, factors from all, and a verdict on each model.

    `models` may be read from disk whenever they are asked for. Settings that
    were chosen before can be given, and factors of the same probes to start from.
    """
    choice = choice or choose_settings(models, side, seed)
    exam = Holdout(models, len(side), seed)
    examined = fit_factors(exam, side, _shorter(choice.settings, before), before)
    verdict = decide_use(examined, exam)
    factors = fit_factors(models, side, _shorter(choice.settings, examined), examined)
    return Collaboration(factors, choice, verdict)


def completed_responses(
    factors: ProbeFactors, model: SeenColumns, scale: ColumnScale
) -> Float32[np.ndarray, "probes logits"]:
    """A model's raw logits on every probe, predicted where it was not asked; NaN if flawed."""
    return to_responses(complete(factors, model), scale)


def _shorter(settings: Settings, start: ProbeFactors | None) -> Settings:
    """Fewer sweeps where there is something to go on from."""
    return settings if start is None else replace(settings, sweeps=_SWEEPS_FROM_START)
