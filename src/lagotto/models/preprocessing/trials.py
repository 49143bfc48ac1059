"""A model and one way to feed it come in; a score goes out: how likely it was trained that way.

The score needs no labels. It has two parts:

- *centering* (activation_stats.py): how close to zero the channels of the inner layers lie, as the
  mean over the layers with values of both signs. It tells scales and channel orders apart in models
  that were trained with batch normalization. It says nothing if no layer has values of both signs.
- *consistency*: whether a picture and its mirror image get the same class more surely than two
  different pictures do. It is the log of the probability that the two agree, minus that of two
  different pictures, divided by the log of the number of classes. It is far below zero if the
  logits are absurdly large. If no layer can be read, only a consistency below zero counts.

score = centering * layers / (layers + 5) + consistency / 2.
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
    OFF_CENTER,
    LayerMoments,
    shared_layers,
)
from lagotto.models.classifier import ActivationReader, ModelClassifier

TrialPixels: TypeAlias = UInt8[np.ndarray, "pictures height width channels"]

_FEW_LAYERS = 5
_CONSISTENCY_WEIGHT = 0.5
_LEAST, _MOST = -3.0, 1.0


@dataclass(frozen=True, slots=True)
class InputTrial:
    """The measures of one normalization in its better channel order.

    `channel_margin` is its centering minus that of the other channel order; None if there is no
    other. `layers` is the number of layers that both were measured on. `consistency` is None until
    it is measured.
    """

    spec: InputSpec
    centering: float
    layers: int
    channel_margin: float | None = None
    consistency: float | None = None

    @property
    def score(self) -> float:
        """Higher is more likely; an upper bound while `consistency` is not measured."""
        value = _MOST if self.consistency is None else self.consistency
        if not self.layers:  # alone it prefers contrast, so a value above zero is no evidence
            value = min(value, 0.0)
        return self.centering + _CONSISTENCY_WEIGHT * value


def centering(
    model: ModelClassifier, pixels_by_spec: Mapping[InputSpec, TrialPixels]
) -> tuple[dict[InputSpec, float], int]:
    """The centering of each spec on its own pixels, and the number of layers measured.

    The layers are those with values of both signs under every spec that can be run.
    """
    reader = model.open_activations()
    moments = {
        spec: _moments(model, reader, spec, pixels) for spec, pixels in pixels_by_spec.items()
    }
    shared = shared_layers(layers for layers in moments.values() if layers)
    return {spec: _mean(layers, shared) for spec, layers in moments.items()}, len(shared)


def consistency(model: ModelClassifier, spec: InputSpec, pixels: TrialPixels) -> float:
    """How much more surely a picture and its mirror image agree than two pictures do, -3 to 1."""
    candidate = model.with_input(spec, (), ())
    try:
        logits = [
            candidate.logits(view).astype(np.float64) for view in (pixels, pixels[:, :, ::-1])
        ]
    except ModelError:
        return _LEAST
    if not all(np.isfinite(item).all() for item in logits) or logits[0].shape[1] < 2:
        return _LEAST
    plain, mirrored = (softmax(item) for item in logits)
    same = np.log(np.sum(plain * mirrored, axis=1) + 1e-12)
    different = np.log(plain @ mirrored.mean(axis=0) + 1e-12)
    agreement = float((same - different).mean()) / float(np.log(plain.shape[1]))
    return max(agreement, _LEAST)


def _mean(layers: Sequence[LayerMoments], shared: Sequence[int]) -> float:
    """The mean over the shared layers, shrunk towards zero if they are few."""
    if not shared:
        return 0.0
    values = [layers[index].centering for index in shared] if layers else [OFF_CENTER]
    return float(np.mean(values)) * len(shared) / (len(shared) + _FEW_LAYERS)


def _moments(
    model: ModelClassifier,
    reader: ActivationReader | None,
    spec: InputSpec,
    pixels: TrialPixels,
) -> list[LayerMoments]:
    """The moments of every layer; empty if the layers cannot be read."""
    if reader is None:
        return []
    moments: list[LayerMoments] = []
    for start in range(0, len(pixels), model.batch):
        piece = pixels[start : start + model.batch]
        try:
            values = reader.run(model.prepared(piece, spec))
        except ModelError:
            return []
        moments = moments or [LayerMoments() for _ in values]
        for layer, batch in zip(moments, values, strict=True):
            layer.add(batch[: len(piece)])
    return moments
