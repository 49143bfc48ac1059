"""The inner layers of a model come in; a measure of how well they are centered goes out.

Batch normalization centers every channel on the training pictures, also if it was folded into the
weights. The channels stay centered only if pictures are fed as in training. Under a wrong scale or
channel order the channels of layer after layer lie off zero, to one side.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, Float64, Num

from lagotto.models.files.activation import Node
from lagotto.models.files.tensors import Quantization

MAX_LAYERS = 96
"""Layers that are read at most; of a deeper model, evenly spread."""

_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul", "QGemm"})
_LAYERS = _WEIGHTED | {"Add", "BatchNormalization", "QLinearAdd"}
CENTERED, OFF_CENTER = 4.0, -4.0
"""The highest and the lowest value of `LayerMoments.centering`."""

_TINY = 1e-3
_DEAD = 1e-6
"""A channel whose values vary less than this share of the layer's largest mean is left out."""

_DEAD_WEIGHT = 1e-3
"""A channel that varied less in training than this share of the layer's largest is left out."""


def inner_layers(producers: Mapping[str, Node]) -> tuple[str, ...]:
    """Names of the output tensors of the inner layers, in the order of the graph.

    If a convolution feeds a batch normalization, the output of the normalization is taken. The last
    layer with weights and all that follow it are left out: scores of classes are not centered.
    """
    nodes = list(dict.fromkeys(producers.values()))
    weighted = [index for index, node in enumerate(nodes) if node.op in _WEIGHTED]
    nodes = nodes[: weighted[-1]] if weighted else []
    normalized = {
        node.inputs[0]
        for node in producers.values()
        if node.op == "BatchNormalization" and node.inputs
    }
    names = [
        node.outputs[0]
        for node in nodes
        if node.op in _LAYERS and node.outputs and node.outputs[0] not in normalized
    ]
    return evenly_spread(tuple(names))


def evenly_spread(layers: tuple[str, ...]) -> tuple[str, ...]:
    """The layers, or MAX_LAYERS of them if there are more."""
    if len(layers) <= MAX_LAYERS:
        return layers
    return tuple(layers[index * len(layers) // MAX_LAYERS] for index in range(MAX_LAYERS))


def channels_first(
    values: Num[np.ndarray, "..."], channel: int, quantization: Quantization | None = None
) -> Float32[np.ndarray, "batch channels _"]:
    """A layer's values as [batch, channels, positions].

    `channel` is the axis of the channels in a tensor of 4 dimensions; in one of 3 it is the last. A
    tensor without a batch becomes one channel.
    """
    real = values.astype(np.float32, copy=False)
    if quantization is not None and values.dtype.kind != "f":
        real = quantization.real(values)
    if real.ndim < 2:
        return real.reshape(1, 1, -1)
    if real.ndim == 2:
        return real[:, :, None]
    axis = channel if real.ndim == 4 else real.ndim - 1
    moved = np.moveaxis(real, axis, 1)
    return np.ascontiguousarray(moved).reshape(*moved.shape[:2], -1)


@dataclass(slots=True)
class LayerMoments:
    """Running sums of one layer's values over pictures, per channel.

    `signed` is True if some channel had a mean below zero on some picture.
    """

    pictures: int = 0
    signed: bool = False
    total: Float64[np.ndarray, " channels"] = field(default_factory=lambda: np.zeros(0))
    squares: Float64[np.ndarray, " channels"] = field(default_factory=lambda: np.zeros(0))

    def add(self, values: Float[np.ndarray, "batch channels _"]) -> None:
        """Adds pictures to the sums."""
        if not values.size:
            return
        wide = values.astype(np.float64)
        with np.errstate(all="ignore"):  # a wrong input may overflow; `centering` handles that
            means = wide.mean(axis=2)
            squares = (wide**2).mean(axis=2)
            if not self.pictures:
                self.total, self.squares = np.zeros(means.shape[1]), np.zeros(means.shape[1])
            self.pictures += len(means)
            self.signed = self.signed or bool((means < 0).any())
            self.total = self.total + means.sum(axis=0)
            self.squares = self.squares + squares.sum(axis=0)

    @property
    def mean(self) -> Float64[np.ndarray, " channels"]:
        """The mean of each channel."""
        return self.total / max(self.pictures, 1)

    @property
    def deviation(self) -> Float64[np.ndarray, " channels"]:
        """The standard deviation of each channel."""
        variance = self.squares / max(self.pictures, 1) - self.mean**2
        deviation: Float64[np.ndarray, " channels"] = np.sqrt(np.maximum(variance, 0))
        return deviation

    def spread_fit(self, trained: Float[np.ndarray, " channels"]) -> float:
        """Minus the log of how far the median channel's log variance is from that in training."""
        with np.errstate(all="ignore"):
            live = trained > _DEAD_WEIGHT * trained.max()
            off = float(np.median(np.abs(2 * np.log(self.deviation[live] / trained[live]))))
        return float(np.clip(-np.log(off + _TINY), OFF_CENTER, CENTERED)) if live.any() else 0.0

    @property
    def centering(self) -> float:
        """Minus the log of how many standard deviations the median channel's mean is off zero."""
        with np.errstate(all="ignore"):
            mean, deviation = self.mean, self.deviation
        if not np.isfinite(deviation).all() or not deviation.size:
            return OFF_CENTER
        live = deviation > _DEAD * np.abs(mean).max()
        if not live.any():
            return OFF_CENTER
        off = float(np.median(np.abs(mean[live]) / deviation[live]))
        return float(np.clip(-np.log(off + _TINY), OFF_CENTER, CENTERED))


def shared_layers(candidates: Iterable[list[LayerMoments]]) -> list[int]:
    """Indices of the layers with values of both signs under every candidate."""
    columns = zip(*candidates, strict=True)
    return [index for index, column in enumerate(columns) if all(layer.signed for layer in column)]
