"""A model whose input is partly assumed comes in; the same model with an inferred input goes out.

Every candidate input is tried on the same 32 pictures and scored as trials.py defines. First scale
and channel order are inferred together, then crop or stretch. Channel order is decided by centering
alone: a picture and its mirror image agree as well in the wrong channel order. The default (RGB,
0..1, crop; for a known architecture, how it is usually fed) stays unless another candidate is ahead
of it by a margin. The candidates, the margins and the accuracy are in the results of the docs.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from lagotto.core.types import Channels, Decision, InputField, InputSpec, Origin, PixelSpec
from lagotto.models.classifier import ModelClassifier
from lagotto.models.metadata.input_spec import OF_ARCHITECTURE, scale_text
from lagotto.models.preprocessing.candidates import (
    Normalization,
    candidate_specs,
    normalization_of,
)
from lagotto.models.preprocessing.trials import (
    InputTrial,
    TrialPixels,
    centering,
    consistency,
)

TRIAL_PICTURES = 32
"""Pictures on which every candidate is tried."""

MIN_BGR_MARGIN = 0.1
"""BGR replaces RGB only if its centering is better by more than this (log units)."""

MIN_MARGIN = 0.2
"""Another input replaces the default only if its score is higher by more than this (log units)."""

Pictures: TypeAlias = Callable[[PixelSpec], TrialPixels]

_DEFAULT = Normalization("0..1")
_UNSAID = ("assumed", OF_ARCHITECTURE)
_INFERRED: frozenset[InputField] = frozenset({"scale", "channels", "resize"})


def missing_fields(model: ModelClassifier) -> frozenset[InputField]:
    """The parts of a model's input that were assumed, or are usual, and can be inferred."""
    assumed = {item.field for item in model.spec.decisions if item.origin in _UNSAID}
    return _INFERRED & assumed


def infer_preprocessing(model: ModelClassifier, pictures: Pictures) -> ModelClassifier:
    """The model with its most likely input; the model itself if nothing is missing.

    Args:
        model: A loaded model. Its decisions say which parts of its input were assumed.
        pictures: Returns the same TRIAL_PICTURES pictures as uint8 pixels for any PixelSpec.

    Returns:
        The same loaded model with another input, and with a decision (value, margin, runner-up)
        and a note for each inferred part. The same model and pictures give the same result.
    """
    missing = missing_fields(model)
    spec = model.spec.input
    decisions: list[Decision] = []
    origins = {item.field: item.origin for item in model.spec.decisions}
    usual = normalization_of(spec) if origins["scale"] == OF_ARCHITECTURE else None
    specs = candidate_specs(spec, missing, usual)
    if len(specs) > 1:
        spec, made = decide(_run_trials(model, specs, pictures, usual), missing, usual)
        decisions.extend(made)
    if "resize" in missing:
        spec, made = _infer_resize(model, spec, pictures, origins["resize"])
        decisions.extend(made)
    if not decisions:
        return model
    changes = {decision.field: decision for decision in decisions}
    assumptions = tuple(f"{name} assumed" for name in changes)
    return model.with_input(
        spec,
        tuple(changes.get(item.field, item) for item in model.spec.decisions),
        (
            *(decision_note(item) for item in decisions),
            *(note for note in model.spec.notes if not note.startswith(assumptions)),
        ),
    )


def decide(
    ranked: Sequence[InputTrial],
    missing: frozenset[InputField],
    usual: Normalization | None = None,
) -> tuple[InputSpec, tuple[Decision, ...]]:
    """The input of the best trial, and a decision for each field that was missing.

    Args:
        ranked: The trials, best first.
        missing: The fields to decide.
        usual: The normalization of the architecture, which stays unless another one is ahead.
    """
    best = _select_trial(ranked, usual)
    decisions = []
    if "channels" in missing:
        decisions.append(_channels_decision(best))
    if "scale" in missing:
        runner_up = ranked[1] if best is ranked[0] else ranked[0]
        decisions.append(_scale_decision(best, runner_up, usual))
    return best.spec, tuple(decisions)


def decision_note(decision: Decision) -> str:
    """A decision as one line for a reader."""
    is_usual = decision.origin == OF_ARCHITECTURE
    origin = "as is usual for its architecture" if is_usual else decision.origin
    text = f"{decision.field} {origin}: {decision.value}"
    if decision.runner_up is not None and decision.margin is not None:
        text += f" ({decision.margin:+.2f} over {decision.runner_up})"
    return text


def _default_trial(ranked: Sequence[InputTrial], usual: Normalization | None) -> InputTrial | None:
    """The trial of the usual normalization, else of 0..1 alone, if it is among the candidates."""
    default = usual or _DEFAULT
    return next((trial for trial in ranked if normalization_of(trial.spec) == default), None)


def _select_trial(ranked: Sequence[InputTrial], usual: Normalization | None) -> InputTrial:
    """The default trial, unless the first is ahead of it by more than the margin."""
    default = _default_trial(ranked, usual)
    if default is not None and ranked[0].score - default.score <= MIN_MARGIN:
        return default
    return ranked[0]


def _run_trials(
    model: ModelClassifier,
    specs: Sequence[InputSpec],
    pictures: Pictures,
    usual: Normalization | None,
) -> tuple[InputTrial, ...]:
    """A trial for each normalization, best first; the first two and the default scored exactly.

    Consistency costs two runs a picture and moves a score little. So it is measured only for the
    trials whose order it can change.
    """
    pixels = pictures(specs[0].pixels)
    trials = _trials_in_best_order(model, specs, pixels)
    while True:
        trials.sort(key=lambda trial: -trial.score)  # stable: equal trials keep the common order
        default = _default_trial(trials, usual)
        deciding = [*trials[:2], *((default,) if default is not None else ())]
        unknown = next((trial for trial in deciding if trial.consistency is None), None)
        if len(trials) < 2 or unknown is None:
            return tuple(trials)
        value = consistency(model, unknown.spec, pixels)
        trials[trials.index(unknown)] = replace(unknown, consistency=value)


def _trials_in_best_order(
    model: ModelClassifier, specs: Sequence[InputSpec], pixels: TrialPixels
) -> list[InputTrial]:
    """A trial for each normalization: in BGR if its centering is better by the margin, else RGB."""
    centered, layers = centering(model, dict.fromkeys(specs, pixels))
    by_normalization: dict[Normalization, dict[Channels, InputSpec]] = {}
    for spec in specs:
        by_normalization.setdefault(normalization_of(spec), {})[spec.channels] = spec
    trials = []
    for orders in by_normalization.values():
        first, *others = orders.values()
        margin = centered[first] - centered[others[0]] if others else None
        best = others[0] if margin is not None and -margin > MIN_BGR_MARGIN else first
        if margin is not None and best != first:
            margin = -margin
        trials.append(InputTrial(best, centered[best], layers, margin))
    return trials


def _infer_resize(
    model: ModelClassifier, spec: InputSpec, pictures: Pictures, origin: Origin
) -> tuple[InputSpec, tuple[Decision, ...]]:
    """Stretch if it scores higher by the margin, else crop; no decision if the pixels are equal.

    The share that an architecture usually crops is not cut out of a stretched picture.
    """
    pixels = spec.pixels
    cut = 1.0 if origin == OF_ARCHITECTURE else pixels.crop_fraction
    specs = [
        replace(spec, pixels=replace(pixels, resize="crop")),
        replace(spec, pixels=replace(pixels, resize="stretch", crop_fraction=cut)),
    ]
    pixels_by_spec = {item: pictures(item.pixels) for item in specs}
    first, second = pixels_by_spec.values()
    if np.array_equal(first, second):
        return spec, ()
    centered, layers = centering(model, pixels_by_spec)
    crop, stretch = (
        InputTrial(item, centered[item], layers, consistency=consistency(model, item, shown))
        for item, shown in pixels_by_spec.items()
    )
    is_stretch = stretch.score - crop.score > MIN_MARGIN
    best, runner_up = (stretch, crop) if is_stretch else (crop, stretch)
    margin = best.score - runner_up.score
    decision = Decision(
        "resize",
        best.spec.pixels.resize,
        "inferred" if margin > MIN_MARGIN else origin,
        round(margin, 4),
        runner_up.spec.pixels.resize,
        _evidence(best),
    )
    return best.spec, (decision,)


def _channels_decision(best: InputTrial) -> Decision:
    """The channel order of a trial: "inferred" if its margin is wide enough, else "assumed"."""
    value = best.spec.channels
    if best.channel_margin is None:
        return Decision("channels", value, "assumed")
    runner_up: Channels = "BGR" if value == "RGB" else "RGB"
    evidence, margin = _evidence(best), round(best.channel_margin, 4)
    if best.channel_margin > MIN_BGR_MARGIN:
        return Decision("channels", value, "inferred", margin, runner_up, evidence)
    return Decision("channels", value, "assumed", margin, runner_up, evidence)


def _scale_decision(
    best: InputTrial, runner_up: InputTrial, usual: Normalization | None
) -> Decision:
    """The scale of a trial: "inferred" if it is ahead by the margin or not the default."""
    margin = best.score - runner_up.score
    is_sure = margin > MIN_MARGIN or normalization_of(best.spec) != (usual or _DEFAULT)
    return Decision(
        "scale",
        scale_text(best.spec),
        "inferred" if is_sure else "assumed" if usual is None else OF_ARCHITECTURE,
        round(margin, 4),
        scale_text(runner_up.spec),
        _evidence(best),
    )


def _evidence(trial: InputTrial) -> str:
    return f"{trial.layers} layers on {TRIAL_PICTURES} probes"
