"""A model that may be one of several networks comes in; the one that its weights are of goes out.

Some networks have tensors of the same names and shapes and compute something else: `tf_` ones pad
the other side and have another epsilon. A batch normalization keeps how much each channel varied in
training. In the right network the channels vary so on pictures, too; in a wrong one those behind it
vary more or less. So each network runs the same 32 pictures, fed as is most plausible for it. Its
fit is minus the log of how far the variance of the median channel is from that in training, in log
units, as the mean over the normalized layers. The preferred network stays unless another one is
ahead by a margin, as with the scale of the input.
"""

from dataclasses import replace

import numpy as np

from lagotto.core.errors import ModelError
from lagotto.core.types import Decision, InputSpec, ModelSpec
from lagotto.models.activation_stats import LayerMoments
from lagotto.models.assembled import untried_note
from lagotto.models.classifier import ModelClassifier
from lagotto.models.preprocessing.candidates import normalization_of
from lagotto.models.preprocessing.infer import (
    TRIAL_PICTURES,
    Pictures,
    decision_note,
    infer_preprocessing,
)
from lagotto.models.preprocessing.trials import TrialPixels

MIN_FIT_MARGIN = 0.05
"""Another network replaces the preferred one only if it fits better by more than this (log units),
and one is told as found, not as assumed, from the same margin on."""


def may_be_another(model: ModelClassifier) -> bool:
    """Whether the weights of a model fit other networks, too."""
    return model.variants is not None and bool(model.variants.others)


def choose_network(model: ModelClassifier, pictures: Pictures) -> ModelClassifier:
    """The model as the network that its weights are of, as far as pictures tell.

    Args:
        model: A loaded model with its most likely input.
        pictures: Returns the same TRIAL_PICTURES pictures as uint8 pixels for any PixelSpec.

    Returns:
        The model, or another network with its weights and its own most likely input; with a
        decision (name, margin, runner-up) and a note. A model that can be one network alone comes
        back as it is, also one of which no other can be run.
    """
    if model.variants is None:
        return model
    networks = {model.spec.architecture: model}
    specs = {model.spec.architecture: model.spec.input}
    for name, load in model.variants.others.items():
        try:
            networks[name] = load()
        except ModelError:
            continue
        specs[name] = _fed_alike(networks[name].spec, model.spec)
    fits = {}
    for name, network in networks.items():
        fit = _fit(network, specs[name], pictures(specs[name].pixels))
        if fit is not None:
            fits[name] = fit
    usual = model.spec.architecture
    if usual not in fits or len(fits) < 2:
        return model
    best, second = sorted(fits, key=lambda name: -fits[name])[:2]
    if fits[best] - fits[usual] <= MIN_FIT_MARGIN:
        second = best if best != usual else second
        best = usual
    margin = fits[best] - fits[second]
    decision = Decision(
        "architecture",
        best,
        "inferred" if margin > MIN_FIT_MARGIN else "assumed",
        round(margin, 4),
        second,
        f"spread of {len(model.variants.spreads)} layers on {TRIAL_PICTURES} probes",
    )
    chosen = model
    if best != usual:
        chosen = infer_preprocessing(networks[best], pictures)
    untried = untried_note(usual, list(model.variants.others))
    return chosen.with_input(
        chosen.spec.input,
        (*chosen.spec.decisions, decision),
        (decision_note(decision), *(note for note in chosen.spec.notes if note != untried)),
    )


def as_network(model: ModelClassifier, decisions: tuple[Decision, ...]) -> ModelClassifier:
    """The model as the network that recorded decisions name; raises ModelError if it cannot be."""
    named = next((item.value for item in decisions if item.field == "architecture"), None)
    if named is None or named == model.spec.architecture:
        return model
    load = None if model.variants is None else model.variants.others.get(named)
    if load is None:
        raise ModelError(f"its weights were probed as a {named}, which this version cannot run")
    return load()


def _fed_alike(own: ModelSpec, settled: ModelSpec) -> InputSpec:
    """The input of a network, with what was inferred for another one with the same weights."""
    inferred = {item.field for item in settled.decisions if item.origin == "inferred"}
    spec, found = own.input, settled.input
    if inferred & {"scale", "channels"}:
        normalization = normalization_of(found if "scale" in inferred else spec)
        channels = found.channels if "channels" in inferred else spec.channels
        spec = normalization.apply_to(spec, channels)
    if "resize" in inferred:
        pixels = found.pixels
        spec = replace(
            spec,
            pixels=replace(spec.pixels, resize=pixels.resize, crop_fraction=pixels.crop_fraction),
        )
    return spec


def _fit(model: ModelClassifier, spec: InputSpec, pixels: TrialPixels) -> float | None:
    """How near the channels vary to how they did in training; None if it cannot be told."""
    if model.variants is None or not model.variants.spreads:
        return None
    spreads = model.variants.spreads
    moments = [LayerMoments() for _ in spreads]
    try:
        reader = model.variants.open_reader()
        for start in range(0, len(pixels), model.batch):
            piece = pixels[start : start + model.batch]
            values = reader.run(model.prepared(piece, spec))
            for layer, batch in zip(moments, values, strict=True):
                layer.add(batch[: len(piece)])
    except ModelError:
        return None
    layers = zip(moments, spreads, strict=True)
    return float(np.mean([layer.spread_fit(trained) for layer, trained in layers]))
