"""An operation that arranges or sums values comes in; its operator goes out."""

from collections.abc import Callable

from lagotto.models.keras.call_arguments import ELLIPSIS, Argument, Slice, TensorReference
from lagotto.models.keras.graph import Tensor, TensorShape
from lagotto.models.keras.layers.layer import Layer
from lagotto.models.keras.layers.merging import concatenated, spread
from lagotto.models.keras.layers.normalization import unit_length
from lagotto.models.keras.layers.pooling import reduced
from lagotto.models.keras.layers.resizing import resized
from lagotto.models.keras.layers.shaping import reshaped, sliced, transposed, without_axes
from lagotto.models.keras.operations.arguments import (
    flag_of,
    number_of,
    tensor_of,
    whole_of,
    wholes_of,
)

_FLOATS = ("float16", "float32", "float64", "bfloat16")
_MOST_EDGE = 4096


def reduction(op: str) -> Callable[[Layer], Tensor]:
    """Sums, means or extremes over axes."""

    def write(layer: Layer) -> Tensor:
        axes, keeps = wholes_of(layer, "axis"), flag_of(layer, "keepdims")
        return reduced(layer, tensor_of(layer, "x"), op, axes, keeps)

    return write


def write_reshape_operation(layer: Layer) -> Tensor:
    """Another shape; the first size is that of the batch."""
    value = layer.argument("shape")
    raw = value if isinstance(value, list) else [value]
    sizes = [-1 if item is None else item for item in raw]
    whole = [item for item in sizes if isinstance(item, int) and not isinstance(item, bool)]
    tensor = tensor_of(layer, "x")
    if len(whole) != len(sizes) or not whole or whole[0] not in (-1, tensor.shape[0]):
        layer.refuse("is called with a shape that is not -1 for the batch and whole numbers")
    return reshaped(layer, tensor, tuple(whole[1:]))


def write_transpose(layer: Layer) -> Tensor:
    """The axes in another order."""
    tensor = tensor_of(layer, "x")
    order = wholes_of(layer, "axes")
    if order is None or sorted(order) != list(range(tensor.rank)) or order[0] != 0:
        layer.refuse("moves the axis of pictures, or has no order of all axes")
    return transposed(layer, tensor, order)


def write_expand(layer: Layer) -> Tensor:
    """One more axis of size 1."""
    return widened(layer, tensor_of(layer, "x"), whole_of(layer, "axis"))


def widened(layer: Layer, tensor: Tensor, axis: int | None) -> Tensor:
    """A tensor with one more axis of size 1."""
    if axis is None or not -tensor.rank - 1 <= axis <= tensor.rank:
        layer.refuse("is called with an axis that its input lacks")
    at = axis % (tensor.rank + 1)
    if at == 0:
        layer.refuse("adds an axis before that of pictures")
    shape = (*tensor.shape[:at], 1, *tensor.shape[at:])
    graph = layer.graph
    inputs = [graph.plain(tensor), graph.integers([at])]
    (name,) = graph.operator("Unsqueeze", inputs, layer.name)
    graph.hand_on([tensor], name)
    return Tensor(name, shape)


def write_squeeze(layer: Layer) -> Tensor:
    """Axes of size 1 taken away."""
    tensor, given = tensor_of(layer, "x"), wholes_of(layer, "axis")
    axes = given or tuple(at for at, size in enumerate(tensor.shape) if at and size == 1)
    gone = {axis % tensor.rank for axis in axes}
    if any(tensor.shape[axis] != 1 for axis in gone) or 0 in gone:
        layer.refuse("takes away an axis that is not of size 1")
    shape = without_axes(tensor, gone)
    return layer.graph.apply(
        "Squeeze", [tensor, layer.graph.integers(sorted(gone))], shape, layer.name
    )


def write_concatenation(layer: Layer) -> Tensor:
    """Tensors one after the other along an axis."""
    value = layer.argument("x")
    items = value if isinstance(value, list) else [value]
    tensors = [layer.tensors[item] for item in items if isinstance(item, TensorReference)]
    axis = whole_of(layer, "axis", 0 if layer.config.kind.startswith("ops.") else None)
    if len(tensors) != len(items) or axis is None:
        layer.refuse("joins constants, or does not say along which axis")
    return concatenated(layer, tensors, axis)


def write_stack(layer: Layer) -> Tensor:
    """Tensors of one shape, one after the other along an axis of their own."""
    value = layer.argument("x")
    items = value if isinstance(value, list) else [value]
    tensors = [layer.tensors[item] for item in items if isinstance(item, TensorReference)]
    axis = whole_of(layer, "axis", 0)
    if len(tensors) != len(items) or len({tensor.shape for tensor in tensors}) != 1:
        layer.refuse("joins constants, or tensors of different shapes")
    wide = [widened(layer, tensor, axis) for tensor in tensors]
    return concatenated(layer, wide, axis or 0)


def write_product(layer: Layer) -> Tensor:
    """Products of matrices."""
    left, right = tensor_of(layer, "x"), tensor_of(layer, "y")
    if left.rank != right.rank or left.rank < 3 or left.shape[-1] != right.shape[-2]:
        layer.refuse("multiplies tensors that are not two stacks of matrices that fit")
    for name in ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b"):
        if flag_of(layer, name):
            layer.refuse(f"is called with {name}")
    first = spread(layer, left.shape[:-2], right.shape[:-2])
    shape: TensorShape = (*first, left.shape[-2], right.shape[-1])
    return layer.graph.apply("MatMul", [left, right], shape, layer.name)


def write_get_item(layer: Layer) -> Tensor:
    """Slices of axes, as in x[:, ::-1, 0:2]; single numbers take their axis away."""
    tensor, value = tensor_of(layer, "x"), layer.argument("key")
    items = value if isinstance(value, list) else [value]
    if any(item == ELLIPSIS for item in items if isinstance(item, str)):
        at = items.index(ELLIPSIS)
        full: list[Argument] = [Slice(None, None, None)] * (tensor.rank - len(items) + 1)
        items = [*items[:at], *full, *items[at + 1 :]]
    if len(items) > tensor.rank:
        layer.refuse("takes more axes than its input has")
    bounds: dict[int, tuple[int | None, int | None, int]] = {}
    gone: set[int] = set()
    for axis, item in enumerate(items):
        if isinstance(item, Slice):
            start, stop, step = (
                _bound(layer, bound) for bound in (item.start, item.stop, item.step)
            )
            if step == 0:
                layer.refuse("has a slice of step 0")
            if (start or None, stop, step or 1) == (None, None, 1):
                continue
            bounds[axis] = (start, stop, step or 1)
        elif isinstance(item, int) and not isinstance(item, bool):
            bounds[axis] = (item, item + 1 if item != -1 else None, 1)
            gone.add(axis)
        else:
            layer.refuse("is indexed by something else than slices and whole numbers")
    if 0 in bounds:
        layer.refuse("takes a part of the pictures of a batch")
    result = sliced(layer, tensor, bounds)
    if not gone:
        return result
    graph = layer.graph
    inputs = [graph.plain(result), graph.integers(sorted(gone))]
    (name,) = graph.operator("Squeeze", inputs, layer.name)
    graph.hand_on([result], name)
    return Tensor(name, without_axes(result, gone))


def _bound(layer: Layer, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        layer.refuse("has a slice with bounds that are no whole numbers")
    return value


def write_cast(layer: Layer) -> Tensor:
    """Another type of numbers: all are computed in float32."""
    kind = layer.argument("dtype")
    if kind not in _FLOATS:
        layer.refuse(f"makes {ascii(kind)[:40]} of its numbers; allowed: {', '.join(_FLOATS)}")
    return tensor_of(layer, "x")


def write_same(layer: Layer) -> Tensor:
    """The tensor itself."""
    return tensor_of(layer, "x")


def write_resize(layer: Layer) -> Tensor:
    """Pictures in another size."""
    for name in (
        "antialias",
        "preserve_aspect_ratio",
        "crop_to_aspect_ratio",
        "pad_to_aspect_ratio",
    ):
        if flag_of(layer, name):
            layer.refuse(f"is called with {name}")
    size, mode = wholes_of(layer, "size"), layer.argument("method")
    if size is None or len(size) != 2 or not all(0 < edge <= _MOST_EDGE for edge in size):
        layer.refuse("is called with a size that is not two whole numbers")
    if mode not in (None, "bilinear", "nearest") or layer.argument("data_format") not in (
        None,
        "channels_last",
    ):
        layer.refuse("resizes otherwise than bilinear or nearest, with the channels last")
    tensor = tensor_of(layer, "x")
    if tensor.rank != 4:
        layer.refuse("resizes something else than pictures")
    return resized(layer, tensor, (size[0], size[1]), mode if isinstance(mode, str) else "bilinear")


def write_unit(layer: Layer) -> Tensor:
    """Vectors of length 1."""
    tensor = tensor_of(layer, "x")
    axes = wholes_of(layer, "axis") or (-1,)
    if whole_of(layer, "order", 2) != 2 or any(
        not -tensor.rank <= axis < tensor.rank for axis in axes
    ):
        layer.refuse("is called with an order other than 2, or an axis that its input lacks")
    least = number_of(layer, "epsilon", 1e-12) or 0.0
    return unit_length(layer, tensor, tuple(axis % tensor.rank for axis in axes), least)
