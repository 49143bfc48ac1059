"""The inner layers of a model: which tensors they are, and how well they are centred.

Behind a batch normalisation every channel was centred on the training pictures. Folded into the
weights or not, that centre is kept only where pictures come in as they did in training: of a wrong
scale or channel order, the channels of layer after layer lie off it, all to one side.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, Float64, Num

from lagotto.models.files.activation import Node
from lagotto.models.files.tensors import Quantisation

MAX_LAYERS = 96
"""Of a deeper model, as many are read, evenly spread."""

_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul", "QGemm"})
_LAYERS = _WEIGHTED | {"Add", "BatchNormalization", "QLinearAdd"}
CENTRED, OFF_CENTRE = 4.0, -4.0
"""The ends of the scale of `LayerMoments.centring`."""

_TINY = 1e-3
_DEAD = 1e-6
"""A channel whose values vary less than this share of the layer's largest mean is left out."""


def inner_layers(producers: Mapping[str, Node]) -> tuple[str, ...]:
    """The tensors that layers give, in the order of the graph.

    A convolution that feeds a batch normalisation is not one: the normalisation is. Nor are the
    last one with weights and what follows it: scores of classes are not centred in training.
    """
    nodes = list(dict.fromkeys(producers.values()))
    weighted = [place for place, node in enumerate(nodes) if node.op in _WEIGHTED]
    nodes = nodes[: weighted[-1]] if weighted else []
    normalised = {
        node.inputs[0]
        for node in producers.values()
        if node.op == "BatchNormalization" and node.inputs
    }
    names = [
        node.outputs[0]
        for node in nodes
        if node.op in _LAYERS and node.outputs and node.outputs[0] not in normalised
    ]
    if len(names) > MAX_LAYERS:
        names = [names[place * len(names) // MAX_LAYERS] for place in range(MAX_LAYERS)]
    return tuple(names)


def channels_first(
    values: Num[np.ndarray, "..."], channel: int, quantisation: Quantisation | None = None
) -> Float32[np.ndarray, "batch channels _"]:
    """A layer's values as [batch, channels, positions]; `channel` is the axis in 4 dimensions.

    Of 3 dimensions the last is that of the channels; a tensor without a batch is one channel.
    """
    real = values.astype(np.float32, copy=False)
    if quantisation is not None and values.dtype.kind != "f":
        real = quantisation.real(values)
    if real.ndim < 2:
        return real.reshape(1, 1, -1)
    if real.ndim == 2:
        return real[:, :, None]
    axis = channel if real.ndim == 4 else real.ndim - 1
    moved = np.moveaxis(real, axis, 1)
    return np.ascontiguousarray(moved).reshape(*moved.shape[:2], -1)


@dataclass(slots=True)
class LayerMoments:
    """Sums over pictures of one layer's values, a channel at a time."""

    pictures: int = 0
    signed: bool = False
    total: Float64[np.ndarray, " channels"] = field(default_factory=lambda: np.zeros(0))
    squares: Float64[np.ndarray, " channels"] = field(default_factory=lambda: np.zeros(0))

    def add(self, values: Float[np.ndarray, "batch channels _"]) -> None:
        """More pictures; a channel whose mean falls below zero makes the layer a signed one."""
        if not values.size:
            return
        wide = values.astype(np.float64)
        with np.errstate(all="ignore"):  # a wrong feed may overflow; `centring` sees that
            means = wide.mean(axis=2)
            squares = (wide**2).mean(axis=2)
            if not self.pictures:
                self.total, self.squares = np.zeros(means.shape[1]), np.zeros(means.shape[1])
            self.pictures += len(means)
            self.signed = self.signed or bool((means < 0).any())
            self.total = self.total + means.sum(axis=0)
            self.squares = self.squares + squares.sum(axis=0)

    @property
    def centring(self) -> float:
        """Minus the log of how many deviations the median channel's mean lies off zero."""
        with np.errstate(all="ignore"):
            mean = self.total / max(self.pictures, 1)
            deviation = np.sqrt(np.maximum(self.squares / max(self.pictures, 1) - mean**2, 0))
        if not np.isfinite(deviation).all() or not deviation.size:
            return OFF_CENTRE
        live = deviation > _DEAD * np.abs(mean).max()
        if not live.any():
            return OFF_CENTRE
        off = float(np.median(np.abs(mean[live]) / deviation[live]))
        return float(np.clip(-np.log(off + _TINY), OFF_CENTRE, CENTRED))


def shared_layers(candidates: Iterable[list[LayerMoments]]) -> list[int]:
    """The layers that take both signs under every candidate: those that can be off centre."""
    columns = zip(*candidates, strict=True)
    return [place for place, column in enumerate(columns) if all(each.signed for each in column)]
