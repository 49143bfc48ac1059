"""What one way of feeding a model scores: how much the model looks trained for it.

Two things are looked at, neither of which needs a label:

- *centring* (insides.py): how close to zero the channels of the inner layers lie, averaged over
  the layers that take both signs. It settles scale and channel order wherever a model was trained
  with batch normalisation, and says nothing where no layer takes both signs.
- *consistency*: whether a picture and its mirror image are given the same class more surely than
  two different pictures are: log of the chance to agree, above that of strangers, over the log of
  the number of classes. It is far below zero where the logits are absurdly large. Where no layer
  can be looked at, only what is below zero counts.

score = centring * layers / (layers + 5) + consistency / 2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

from lagotto.core.errors import ModelError
from lagotto.core.types import InputSpec
from lagotto.core.vectors import softmax
from lagotto.models.activation_stats import (
    OFF_CENTRE,
    LayerMoments,
    shared_layers,
)
from lagotto.models.classifier import Insides, ModelClassifier

TrialPixels: TypeAlias = UInt8[np.ndarray, "pictures height width channels"]

_FEW_LAYERS = 5
_CONSISTENCY_WEIGHT = 0.5
_LEAST, _MOST = -3.0, 1.0


@dataclass(frozen=True, slots=True)
class FeedTrial:
    """What a feed scored in its better channel order.

    `centring` is that order's, `ahead` how far it is before the other (None: there is no other),
    `layers` on how many layers both rest. `consistency` is None until it had to be known.
    """

    spec: InputSpec
    centring: float
    layers: int
    ahead: float | None = None
    consistency: float | None = None

    @property
    def score(self) -> float:
        """Larger is more like a trained classifier; the most it can be while not all is known."""
        known = _MOST if self.consistency is None else self.consistency
        if not self.layers:  # alone it prefers contrast: it can only speak against a feed
            known = min(known, 0.0)
        return self.centring + _CONSISTENCY_WEIGHT * known


def centring(
    model: ModelClassifier, seen: Mapping[InputSpec, TrialPixels]
) -> tuple[dict[InputSpec, float], int]:
    """Of each spec on its own pixels, and the number of layers it rests on.

    The layers are those that take both signs under every spec that runs at all.
    """
    insides = model.open_insides()
    moments = {spec: _moments(model, insides, spec, pixels) for spec, pixels in seen.items()}
    shared = shared_layers(layers for layers in moments.values() if layers)
    return {spec: _mean(layers, shared) for spec, layers in moments.items()}, len(shared)


def consistency(model: ModelClassifier, spec: InputSpec, pixels: TrialPixels) -> float:
    """How much more surely a picture and its mirror image agree than two pictures do."""
    fed = model.fed(spec, (), ())
    try:
        logits = [fed.logits(view).astype(np.float64) for view in (pixels, pixels[:, :, ::-1])]
    except ModelError:
        return _LEAST
    if not all(np.isfinite(each).all() for each in logits) or logits[0].shape[1] < 2:
        return _LEAST
    here, mirrored = (softmax(each) for each in logits)
    same = np.log(np.sum(here * mirrored, axis=1) + 1e-12)
    strangers = np.log(here @ mirrored.mean(axis=0) + 1e-12)
    agreement = float((same - strangers).mean()) / float(np.log(here.shape[1]))
    return max(agreement, _LEAST)


def _mean(layers: Sequence[LayerMoments], shared: Sequence[int]) -> float:
    """The mean over the shared layers, trusted the less the fewer they are."""
    if not shared:
        return 0.0
    values = [layers[place].centring for place in shared] if layers else [OFF_CENTRE]
    return float(np.mean(values)) * len(shared) / (len(shared) + _FEW_LAYERS)


def _moments(
    model: ModelClassifier,
    insides: Insides | None,
    spec: InputSpec,
    pixels: TrialPixels,
) -> list[LayerMoments]:
    """Of every layer; empty where the insides cannot be run."""
    if insides is None:
        return []
    moments: list[LayerMoments] = []
    for start in range(0, len(pixels), model.batch):
        piece = pixels[start : start + model.batch]
        try:
            values = insides.run(model.prepared(piece, spec))
        except ModelError:
            return []
        moments = moments or [LayerMoments() for _ in values]
        for layer, each in zip(moments, values, strict=True):
            layer.add(each[: len(piece)])
    return moments
