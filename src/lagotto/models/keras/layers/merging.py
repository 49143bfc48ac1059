"""A layer that joins several tensors comes in; the operators that join them go out."""

from collections.abc import Sequence

import numpy as np

from lagotto.models.files.tensors import shape_text
from lagotto.models.keras.graph import Tensor, TensorShape
from lagotto.models.keras.layers.layer import Layer
from lagotto.models.keras.layers.normalization import unit_length
from lagotto.models.keras.layers.scaling import scaled
from lagotto.models.keras.layers.shaping import transposed

_OPS = {
    "Add": "Add",
    "Subtract": "Sub",
    "Multiply": "Mul",
    "Average": "Add",
    "Maximum": "Max",
    "Minimum": "Min",
}


def write_merge(layer: Layer) -> Tensor:
    """Add, Subtract, Multiply, Average, Maximum and Minimum of two or more tensors."""
    kind, several = layer.config.kind, layer.inputs
    if len(several) < 2 or (kind == "Subtract" and len(several) != 2):
        layer.refuse(f"is called with {len(several)} tensors; it joins two or more")
    ranks = {tensor.rank for tensor in several}
    if len(ranks) > 1:
        layer.refuse("joins tensors of different numbers of axes; save the model without that")
    result = several[0]
    for other in several[1:]:
        result = combined(layer, _OPS[kind], result, other)
    if kind == "Average":
        share = np.asarray(1 / len(several), np.float32)
        return scaled(layer, result, share, np.zeros((), np.float32))
    return result


def combined(layer: Layer, op: str, left: Tensor, right: Tensor) -> Tensor:
    """Two tensors, number by number; the smaller one spreads over the larger as in numpy."""
    graph = layer.graph
    shape = spread(layer, left.shape, right.shape)
    graph.see(left)
    graph.see(right)
    alike = left.rank == right.rank and left.rank > 2
    if alike and (left.is_moved or right.is_moved):
        names = graph.moved(left), graph.moved(right)
        return Tensor(graph.operator(op, names, layer.name)[0], shape, True)
    return Tensor(graph.operator(op, (graph.plain(left), graph.plain(right)), layer.name)[0], shape)


def spread(layer: Layer, left: TensorShape, right: TensorShape) -> TensorShape:
    """The shape of two tensors joined number by number."""
    rank = max(len(left), len(right))
    wide = [(*(1,) * (rank - len(shape)), *shape) for shape in (left, right)]
    sizes: list[int | None] = []
    for one, other in zip(*wide, strict=True):
        if one == other or other == 1:
            sizes.append(one)
        elif one == 1:
            sizes.append(other)
        elif one is None or other is None:
            sizes.append(one if other is None else other)
        else:
            layer.refuse(f"joins {shape_text(left)} and {shape_text(right)}, which do not fit")
    return tuple(sizes)


def write_concatenate(layer: Layer) -> Tensor:
    """Concatenate along an axis."""
    if not layer.inputs:
        layer.refuse("is called without tensors")
    axes = layer.settings.integers("axis") or (-1,)
    if len(axes) != 1:
        layer.settings.refuse("axis", "one axis")
    return concatenated(layer, layer.inputs, axes[0])


def concatenated(layer: Layer, tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Tensors one after the other along an axis; channels are joined where they lie."""
    graph = layer.graph
    rank = tensors[0].rank
    if any(tensor.rank != rank for tensor in tensors) or not -rank <= axis < rank:
        layer.refuse("joins tensors of different numbers of axes, or along an axis they lack")
    at = axis % rank
    if at == 0:
        layer.refuse("joins along the axis of pictures")
    sizes = [tensor.shape[at] for tensor in tensors]
    known = [size for size in sizes if size is not None]
    shape = list(tensors[0].shape)
    for position in range(rank):
        found = {tensor.shape[position] for tensor in tensors} - {None}
        if position != at and len(found) > 1:
            layer.refuse(f"joins sizes {sorted(map(str, found))} that do not fit")
        if position != at and found:
            shape[position] = found.pop()
    shape[at] = sum(known) if len(known) == len(sizes) else None
    moves = rank > 2 and any(tensor.is_moved for tensor in tensors)
    names = [graph.moved(tensor) if moves else graph.plain(tensor) for tensor in tensors]
    place = (1 if at == rank - 1 else at + 1) if moves else at
    (name,) = graph.operator("Concat", names, layer.name, axis=place)
    graph.hand_on(tensors, name)
    return Tensor(name, tuple(shape), moves)


def write_dot(layer: Layer) -> Tensor:
    """Dot: sums of products of two tensors along one axis of each."""
    if len(layer.inputs) != 2:
        layer.refuse(f"is called with {len(layer.inputs)} tensors; it joins two")
    left, right = layer.inputs
    axes = layer.settings.integers("axes") or ()
    axes = axes * 2 if len(axes) == 1 else axes
    if left.rank not in (2, 3) or right.rank not in (2, 3) or len(axes) != 2:
        layer.refuse("takes two tensors of 2 or 3 axes, and one axis of each")
    at_left, at_right = axes[0] % left.rank, axes[1] % right.rank
    if 0 in (at_left, at_right) or left.shape[at_left] != right.shape[at_right]:
        layer.settings.refuse("axes", "an axis of each, of one size")
    if layer.settings.flag("normalize", False):
        left = unit_length(layer, left, (at_left,), 1e-12)
        right = unit_length(layer, right, (at_right,), 1e-12)
    graph, name = layer.graph, layer.name
    rows, columns = left.rank == 3, right.rank == 3
    if not rows:
        one: TensorShape = (left.shape[0], 1, left.shape[1])
        left, at_left = graph.apply("Unsqueeze", [left, graph.integers([1])], one, name), 2
    if not columns:
        one = (right.shape[0], right.shape[1], 1)
        right, at_right = graph.apply("Unsqueeze", [right, graph.integers([2])], one, name), 1
    left = left if at_left == 2 else transposed(layer, left, (0, 2, 1))
    right = right if at_right == 1 else transposed(layer, right, (0, 2, 1))
    shape: TensorShape = (left.shape[0], left.shape[1], right.shape[2])
    result = graph.apply("MatMul", [left, right], shape, name)
    gone = [axis for axis, kept in ((1, rows), (2, columns)) if not kept]
    if len(gone) == 2:
        gone = [2]  # Keras gives [batch, 1]
    if not gone:
        return result
    left_over = tuple(size for axis, size in enumerate(shape) if axis not in gone)
    return graph.apply("Squeeze", [result, graph.integers(gone)], left_over, name)


def write_scaled_residual(layer: Layer) -> Tensor:
    """CustomScaleLayer of InceptionResNetV2: the first tensor plus the second times a number."""
    if len(layer.inputs) != 2:
        layer.refuse(f"is called with {len(layer.inputs)} tensors; it joins two")
    first, second = layer.inputs
    factor = np.asarray(layer.settings.number("scale"), np.float32)
    return combined(layer, "Add", first, scaled(layer, second, factor, np.zeros((), np.float32)))
