"""Stage 3a: whether a model is searched on the probes that it saw, or on its completed answers.

Completion hurts where a hub is small, its models are unlike, or the share is tiny. Both the hub and
each model are therefore asked how much of the answers held back would have been predicted. Under
a threshold the seen part is used: query and descriptor are then compared on the same probes.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lagotto.hub.completion.factorization import ProbeFactors
from lagotto.hub.completion.holdout import (
    HeldOutModel,
    Holdout,
    predict_held,
)

Use: TypeAlias = Literal["all", "completed", "seen"]

HUB_THRESHOLD = 0.15
"""Share of the held-back variance that the models of a hub have to predict of each other.

Chosen as docs/results.md says, not on the queries reported."""

OWN_THRESHOLD = 0.05
"""The same for one model, where the hub passes."""

_PRIOR_VALUES = 50.0


@dataclass(frozen=True, slots=True)
class CompletionUse:
    """How a model is searched, the skill that decided it, and the reason in words."""

    use: Use
    skill: float
    reason: str


@dataclass(frozen=True, slots=True)
class HubVerdict:
    """The skill over all models that saw a share, and the verdict on each, in their order."""

    skill: float
    models: tuple[CompletionUse, ...]


def decide_use(factors: ProbeFactors, exam: Holdout) -> HubVerdict:
    """A verdict on each model of an exam by what it held back.

    `factors` are fitted on the exam, so they have not seen it. A model with few held-back answers
    is judged mostly by the hub: the hub's error counts as much as 50 answers of its own.
    """
    tallies: list[_Tally | None] = []
    full: list[bool] = []
    for place, model in enumerate(exam.models):
        part = exam.part(place)
        tallies.append(None if part is None else _tally(factors, part))
        full.append(len(model.seen) == exam.probes)
    known = [tally for tally in tallies if tally is not None and tally.values]
    total = sum(tally.total / tally.values for tally in known)
    error = sum(tally.error / tally.values for tally in known)
    hub = 1.0 - error / total if total > 0 else 0.0
    prior = (error / len(known), total / len(known)) if known else (1.0, 1.0)
    verdicts = (
        CompletionUse("all", 1.0, "it saw every probe") if whole else _verdict(tally, hub, prior)
        for tally, whole in zip(tallies, full, strict=True)
    )
    return HubVerdict(hub, tuple(verdicts))


@dataclass(frozen=True, slots=True)
class _Tally:
    error: float
    total: float
    values: int


def _tally(factors: ProbeFactors, part: HeldOutModel) -> _Tally:
    values = part.values[:, :-1]
    left = values - predict_held(factors, part)[:, :-1]
    return _Tally(float(np.square(left).sum()), float(np.square(values).sum()), values.size)


def _verdict(tally: _Tally | None, hub: float, prior: tuple[float, float]) -> CompletionUse:
    if tally is None or not tally.values:
        return CompletionUse("seen", 0.0, "too few probes to hold any back")
    error = tally.error + _PRIOR_VALUES * prior[0]
    own = 1.0 - error / (tally.total + _PRIOR_VALUES * prior[1])
    if hub < HUB_THRESHOLD:
        told = f"the hub's models predict {hub:.0%} of each other's held-back answers"
        return CompletionUse("seen", own, f"{told}, under {HUB_THRESHOLD:.0%}")
    told = f"{own:.0%} of its held-back answers are predicted"
    if own < OWN_THRESHOLD:
        return CompletionUse("seen", own, f"{told}, under {OWN_THRESHOLD:.0%}")
    return CompletionUse("completed", own, told)
