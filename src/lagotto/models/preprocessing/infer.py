"""Bare files: how a model is fed is found by trying, and told with its margin and runner-up.

Every candidate sees the same few dozen pictures and is scored as trials.py tells. Channel order
goes by centring alone (mirror images agree as well in the wrong colours). First scale and channel
order are settled, then the geometry. The custom, RGB, 0..1 and crop, is kept unless something else
is clearly ahead. What it was chosen on, and how often it is right: docs/results.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from lagotto.core.types import Channels, Decision, InputField, InputSpec, PixelSpec
from lagotto.models.classifier import ModelClassifier
from lagotto.models.metadata.input_spec import scale_text
from lagotto.models.preprocessing.candidates import (
    Feed,
    candidate_specs,
    feed_of,
)
from lagotto.models.preprocessing.trials import (
    FeedTrial,
    TrialPixels,
    centring,
    consistency,
)

TRIAL_PICTURES = 32
"""How many pictures every candidate sees."""

BGR_AHEAD = 0.1
"""BGR is taken only where its centring is better than that of RGB by more than this."""

AHEAD = 0.2
"""Another feed than plain 0..1, or stretch for crop, is taken only with a higher lead."""

Pictures: TypeAlias = Callable[[PixelSpec], TrialPixels]

_CUSTOM = Feed("0..1")
_INFERRED: frozenset[InputField] = frozenset({"scale", "channels", "resize"})


def missing_fields(model: ModelClassifier) -> frozenset[InputField]:
    """The parts of the input that were assumed and can be found by trying."""
    assumed = {each.field for each in model.spec.decisions if each.origin == "assumed"}
    return _INFERRED & assumed


def settle_input(model: ModelClassifier, pictures: Pictures) -> ModelClassifier:
    """The model fed as it most likely was in training; itself if nothing is missing.

    `pictures` decodes the same pictures for any PixelSpec. Same model, same pictures, same answer.
    """
    missing = missing_fields(model)
    spec = model.spec.input
    decisions: list[Decision] = []
    specs = candidate_specs(spec, missing)
    if len(specs) > 1:
        spec, made = decide(_try_all(model, specs, pictures), missing)
        decisions.extend(made)
    if "resize" in missing:
        spec, geometry = _resized(model, spec, pictures)
        decisions.extend(geometry)
    if not decisions:
        return model
    changed = {decision.field: decision for decision in decisions}
    assumptions = tuple(f"{name} assumed" for name in changed)
    return model.fed(
        spec,
        tuple(changed.get(each.field, each) for each in model.spec.decisions),
        (
            *(decision_note(each) for each in decisions),
            *(note for note in model.spec.notes if not note.startswith(assumptions)),
        ),
    )


def decide(
    ranked: Sequence[FeedTrial], missing: frozenset[InputField]
) -> tuple[InputSpec, tuple[Decision, ...]]:
    """The input of the best trial, and a decision for each field that was missing."""
    taken = _taken(ranked)
    decisions = []
    if "channels" in missing:
        decisions.append(_channels(taken))
    if "scale" in missing:
        other = ranked[1] if taken is ranked[0] else ranked[0]
        decisions.append(_scale(taken, other))
    return taken.spec, tuple(decisions)


def decision_note(decision: Decision) -> str:
    """One line for a reader."""
    text = f"{decision.field} {decision.origin}: {decision.value}"
    if decision.runner_up is not None and decision.margin is not None:
        text += f" ({decision.margin:+.2f} over {decision.runner_up})"
    return text


def _custom(ranked: Sequence[FeedTrial]) -> FeedTrial | None:
    """The trial of plain 0..1, if it was among the candidates."""
    return next((trial for trial in ranked if feed_of(trial.spec) == _CUSTOM), None)


def _taken(ranked: Sequence[FeedTrial]) -> FeedTrial:
    """The custom, unless another trial is clearly ahead of it."""
    custom = _custom(ranked)
    if custom is not None and ranked[0].score - custom.score <= AHEAD:
        return custom
    return ranked[0]


def _try_all(
    model: ModelClassifier, specs: Sequence[InputSpec], pictures: Pictures
) -> tuple[FeedTrial, ...]:
    """A trial for each feed, best first; the scores of the first two and of the custom are exact.

    Consistency costs two runs a picture and moves a score little, so it is looked at only where
    it can change the answer.
    """
    pixels = pictures(specs[0].pixels)
    trials = _ordered(model, specs, pixels)
    while True:
        trials.sort(key=lambda trial: -trial.score)  # stable: equal ones stay in the usual order
        custom = _custom(trials)
        deciding = [*trials[:2], *((custom,) if custom is not None else ())]
        unknown = next((trial for trial in deciding if trial.consistency is None), None)
        if len(trials) < 2 or unknown is None:
            return tuple(trials)
        value = consistency(model, unknown.spec, pixels)
        trials[trials.index(unknown)] = replace(unknown, consistency=value)


def _ordered(
    model: ModelClassifier, specs: Sequence[InputSpec], pixels: TrialPixels
) -> list[FeedTrial]:
    """Each feed in its better channel order, RGB unless BGR is clearly ahead."""
    centred, layers = centring(model, dict.fromkeys(specs, pixels))
    feeds: dict[Feed, dict[Channels, InputSpec]] = {}
    for spec in specs:
        feeds.setdefault(feed_of(spec), {})[spec.channels] = spec
    trials = []
    for orders in feeds.values():
        usual, *others = orders.values()
        ahead = centred[usual] - centred[others[0]] if others else None
        chosen = others[0] if ahead is not None and -ahead > BGR_AHEAD else usual
        lead = -ahead if ahead is not None and chosen != usual else ahead
        trials.append(FeedTrial(chosen, centred[chosen], layers, lead))
    return trials


def _resized(
    model: ModelClassifier, spec: InputSpec, pictures: Pictures
) -> tuple[InputSpec, tuple[Decision, ...]]:
    """Crop, unless stretch is clearly ahead; no decision where both give the same pixels."""
    specs = [replace(spec, pixels=replace(spec.pixels, resize=r)) for r in ("crop", "stretch")]
    seen = {each: pictures(each.pixels) for each in specs}
    first, second = seen.values()
    if np.array_equal(first, second):
        return spec, ()
    centred, layers = centring(model, seen)
    crop, stretch = (
        FeedTrial(each, centred[each], layers, consistency=consistency(model, each, pixels))
        for each, pixels in seen.items()
    )
    taken, other = (crop, stretch) if stretch.score - crop.score <= AHEAD else (stretch, crop)
    margin = taken.score - other.score
    decision = Decision(
        "resize",
        taken.spec.pixels.resize,
        "inferred" if margin > AHEAD else "assumed",
        round(margin, 4),
        other.spec.pixels.resize,
        _evidence(taken),
    )
    return taken.spec, (decision,)


def _channels(best: FeedTrial) -> Decision:
    """The channel order of a trial: inferred where it is clearly ahead, else the custom."""
    value = best.spec.channels
    if best.ahead is None:
        return Decision("channels", value, "assumed")
    other: Channels = "BGR" if value == "RGB" else "RGB"
    reason = _evidence(best)
    if best.ahead > BGR_AHEAD:
        return Decision("channels", value, "inferred", round(best.ahead, 4), other, reason)
    return Decision("channels", value, "assumed", round(best.ahead, 4), other, reason)


def _scale(taken: FeedTrial, other: FeedTrial) -> Decision:
    """The feed of a trial: inferred where it is clearly ahead or not the custom."""
    margin = taken.score - other.score
    sure = margin > AHEAD or feed_of(taken.spec) != _CUSTOM
    return Decision(
        "scale",
        scale_text(taken.spec),
        "inferred" if sure else "assumed",
        round(margin, 4),
        scale_text(other.spec),
        _evidence(taken),
    )


def _evidence(trial: FeedTrial) -> str:
    return f"{trial.layers} layers on {TRIAL_PICTURES} probes"
