"""A layer that moves, cuts or repeats values comes in; the same in ONNX goes out."""

import math

import numpy as np

from lagotto.models.keras.graph import Tensor, TensorShape
from lagotto.models.keras.layers.convolution import has_channels_first, spatial_rank
from lagotto.models.keras.layers.layer import Layer

_TO_THE_END = np.iinfo(np.int64).max


def write_identity(layer: Layer) -> Tensor:
    """A layer that does nothing to what a trained model computes."""
    return layer.input


def write_flatten(layer: Layer) -> Tensor:
    """Flatten; with data_format channels_first the channels are moved to the end before."""
    tensor = layer.input
    if tensor.rank >= 3 and has_channels_first(layer):
        order = (0, *range(2, tensor.rank), 1)
        tensor = transposed(layer, tensor, order)
    count = _product(tensor.shape[1:])
    if tensor.rank == 1:
        return layer.graph.apply(
            "Unsqueeze", [tensor, layer.graph.integers([1])], (tensor.shape[0], 1), layer.name
        )
    return layer.graph.apply("Flatten", [tensor], (tensor.shape[0], count), layer.name, axis=1)


def write_reshape(layer: Layer) -> Tensor:
    """Reshape to a target shape; -1 stands for what is left."""
    target = layer.settings.integers("target_shape")
    if target is None:
        layer.settings.refuse("target_shape", "whole numbers, one of them -1")
    return reshaped(layer, layer.input, target)


def reshaped(layer: Layer, tensor: Tensor, target: tuple[int, ...]) -> Tensor:
    """A tensor in another shape, given without the batch; -1 stands for what is left."""
    total = _product(tensor.shape[1:])
    known = math.prod(size for size in target if size >= 0)
    open_sizes = sum(size < 0 for size in target)
    if open_sizes > 1 or any(size < -1 for size in target):
        layer.refuse(f"makes the shape {list(target)}, which is none")
    left = None if total is None or not known else total // known
    if total is not None and known * (left or 1 if open_sizes else 1) != total:
        layer.refuse(f"makes the shape {list(target)} of {total} numbers")
    sizes = tuple(left if size < 0 else size for size in target)
    if total is None and not open_sizes:
        layer.known(None, "input size")
    shape = layer.graph.integers([0, *target])
    return layer.graph.apply("Reshape", [tensor, shape], (tensor.shape[0], *sizes), layer.name)


def write_permute(layer: Layer) -> Tensor:
    """Permute; axes are counted from 1."""
    tensor = layer.input
    order = layer.settings.integers("dims") or ()
    if sorted(order) != list(range(1, tensor.rank)):
        layer.settings.refuse("dims", f"each of 1 to {tensor.rank - 1} once")
    return transposed(layer, tensor, (0, *order))


def transposed(layer: Layer, tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    """A tensor with its axes in another order."""
    graph = layer.graph
    shape = tuple(tensor.shape[axis] for axis in order)
    (name,) = graph.operator("Transpose", [graph.plain(tensor)], layer.name, perm=list(order))
    graph.hand_on([tensor], name)
    return Tensor(name, shape)


def write_repeat(layer: Layer) -> Tensor:
    """RepeatVector: a vector n times."""
    tensor, graph = layer.ranked(2), layer.graph
    times = layer.settings.integer("n")
    one = (tensor.shape[0], 1, tensor.shape[1])
    wide = graph.apply("Unsqueeze", [tensor, graph.integers([1])], one, layer.name)
    shape = (tensor.shape[0], times, tensor.shape[1])
    return graph.apply("Tile", [wide, graph.integers([1, times, 1])], shape, layer.name)


def write_zero_padding(layer: Layer) -> Tensor:
    """ZeroPadding1D and ZeroPadding2D."""
    rank = spatial_rank(layer)
    tensor = layer.ranked(rank + 2)
    return padded(layer, tensor, layer.settings.pairs("padding", rank))


def padded(layer: Layer, tensor: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
    """A tensor with zeros before and after its spatial axes."""
    graph = layer.graph
    first = 2 if has_channels_first(layer) else 1
    around = [(0, 0)] * tensor.rank
    around[first : first + len(pairs)] = pairs
    shape = tuple(
        None if size is None else size + before + after
        for size, (before, after) in zip(tensor.shape, around, strict=True)
    )
    graph.see(tensor)
    moves = not has_channels_first(layer)
    given = graph.moved(tensor) if moves else graph.plain(tensor)
    if moves:
        around = [around[0], around[-1], *around[1:-1]]
    pads = graph.integers([*(pair[0] for pair in around), *(pair[1] for pair in around)])
    (name,) = graph.operator("Pad", [given, pads], layer.name)
    return Tensor(name, shape, moves)


def write_cropping(layer: Layer) -> Tensor:
    """Cropping1D and Cropping2D."""
    rank = spatial_rank(layer)
    tensor = layer.ranked(rank + 2)
    pairs = layer.settings.pairs("cropping", rank)
    first = 2 if rank == 2 and has_channels_first(layer) else 1
    bounds: dict[int, tuple[int | None, int | None, int]] = {}
    for axis, (before, after) in enumerate(pairs):
        bounds[first + axis] = (before, -after if after else None, 1)
    return sliced(layer, tensor, bounds)


def sliced(
    layer: Layer, tensor: Tensor, bounds: dict[int, tuple[int | None, int | None, int]]
) -> Tensor:
    """A tensor with slices (start, stop, step) of some axes, as Python counts them."""
    graph = layer.graph
    if not bounds:
        return tensor
    sizes: list[int | None] = list(tensor.shape)
    starts, stops, steps = [], [], []
    for axis, (start, stop, step) in bounds.items():
        size = tensor.shape[axis]
        if size is not None:
            sizes[axis] = len(range(*slice(start, stop, step).indices(size)))
            if not sizes[axis]:
                layer.refuse(f"leaves nothing of axis {axis} of {size}")
        elif (start, stop) != (None, None):
            sizes[axis] = None
        back = step < 0
        starts.append(start if start is not None else _TO_THE_END if back else 0)
        stops.append(stop if stop is not None else -_TO_THE_END if back else _TO_THE_END)
        steps.append(step)
    lists = [graph.integers(values) for values in (starts, stops, list(bounds), steps)]
    (name,) = graph.operator("Slice", [graph.plain(tensor), *lists], layer.name)
    graph.hand_on([tensor], name)
    return Tensor(name, tuple(sizes))


def without_axes(tensor: Tensor, axes: set[int]) -> TensorShape:
    """The shape without some axes."""
    return tuple(size for axis, size in enumerate(tensor.shape) if axis not in axes)


def _product(sizes: TensorShape) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None
