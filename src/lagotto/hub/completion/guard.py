"""Factors and held-out responses come in; a verdict goes out: which responses of a model to use.

Completion hurts where a hub is small, where its models are unlike each other, or where each saw few
probes. So the share of held-out variance that is predicted (the skill) decides, first for the hub
and then for each model. Below a threshold, the model is searched on the probes that it saw: query
and descriptor are then compared on those probes alone.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lagotto.hub.completion.factorization import ProbeFactors
from lagotto.hub.completion.holdout import (
    HeldOutModel,
    Holdout,
    predict_holdout,
)

Use: TypeAlias = Literal["all", "completed", "seen"]

HUB_THRESHOLD = 0.15
"""Share of the held-out variance that the models of a hub must predict of each other.

Set on other queries than those reported: docs/results.md."""

MODEL_THRESHOLD = 0.05
"""The same share for one model, in a hub that passes."""

_PRIOR_VALUES = 50.0


@dataclass(frozen=True, slots=True)
class CompletionUse:
    """Which responses of a model are searched, the skill that decided it, and the reason in words.

    `use` is `all` (it saw every probe), `completed` (with predictions) or `seen` (only what it
    saw). `skill` is the share of the model's held-out variance that is predicted.
    """

    use: Use
    skill: float
    reason: str


@dataclass(frozen=True, slots=True)
class HubVerdict:
    """The skill over all models that saw a share of the probes, and the use of each model."""

    skill: float
    models: tuple[CompletionUse, ...]


def decide_use(factors: ProbeFactors, holdout: Holdout) -> HubVerdict:
    """Decides for each model of a holdout whether its completed responses are searched.

    A model with few held-out responses is decided mostly by the hub: the hub's mean error counts
    as much as 50 responses of the model.

    Args:
        factors: Factors that were fitted without the held-out responses.
        holdout: The models and their held-out parts.

    Returns:
        One verdict a model, in the order of the holdout.
    """
    tallies: list[_Tally | None] = []
    full: list[bool] = []
    for index, model in enumerate(holdout.models):
        split = holdout.split(index)
        tallies.append(None if split is None else _tally(factors, split))
        full.append(len(model.probes) == holdout.probes)
    known = [tally for tally in tallies if tally is not None and tally.values]
    total = sum(tally.total / tally.values for tally in known)
    error = sum(tally.error / tally.values for tally in known)
    hub_skill = 1.0 - error / total if total > 0 else 0.0
    prior = (error / len(known), total / len(known)) if known else (1.0, 1.0)
    verdicts = (
        CompletionUse("all", 1.0, "it saw every probe")
        if saw_all
        else _verdict(tally, hub_skill, prior)
        for tally, saw_all in zip(tallies, full, strict=True)
    )
    return HubVerdict(hub_skill, tuple(verdicts))


@dataclass(frozen=True, slots=True)
class _Tally:
    """Sums of squares over the held-out responses of a model: error, value, and their number."""

    error: float
    total: float
    values: int


def _tally(factors: ProbeFactors, split: HeldOutModel) -> _Tally:
    values = split.values[:, :-1]
    residual = values - predict_holdout(factors, split)[:, :-1]
    return _Tally(float(np.square(residual).sum()), float(np.square(values).sum()), values.size)


def _verdict(tally: _Tally | None, hub_skill: float, prior: tuple[float, float]) -> CompletionUse:
    if tally is None or not tally.values:
        return CompletionUse("seen", 0.0, "too few probes to hold any back")
    error = tally.error + _PRIOR_VALUES * prior[0]
    skill = 1.0 - error / (tally.total + _PRIOR_VALUES * prior[1])
    if hub_skill < HUB_THRESHOLD:
        reason = f"the hub's models predict {hub_skill:.0%} of each other's held-back answers"
        return CompletionUse("seen", skill, f"{reason}, under {HUB_THRESHOLD:.0%}")
    reason = f"{skill:.0%} of its held-back answers are predicted"
    if skill < MODEL_THRESHOLD:
        return CompletionUse("seen", skill, f"{reason}, under {MODEL_THRESHOLD:.0%}")
    return CompletionUse("completed", skill, reason)
