"""An operation of keras.ops or TensorFlow comes in; its operator, with every argument, goes out."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32

from lagotto.models.keras.call_arguments import Argument, Reference, Slice
from lagotto.models.keras.graph import Shape, Tensor
from lagotto.models.keras.layers.activation import ACTIVATIONS, clip, gelu, softmax
from lagotto.models.keras.layers.layer import Layer, LayerKind
from lagotto.models.keras.layers.merging import combined, concatenated, spread
from lagotto.models.keras.layers.normalization import unit_length
from lagotto.models.keras.layers.pooling import reduced
from lagotto.models.keras.layers.preprocessing import numbers
from lagotto.models.keras.layers.resizing import resized
from lagotto.models.keras.layers.scaling import lay_like, scaled
from lagotto.models.keras.layers.settings import scalar
from lagotto.models.keras.layers.shaping import reshaped, sliced, transposed, without_axes

_FLOATS = ("float16", "float32", "float64", "bfloat16")


def _tensor(layer: Layer, name: str) -> Tensor:
    """An argument that must be a tensor."""
    value = layer.argument(name)
    if not isinstance(value, Reference):
        layer.refuse(f"is called with a constant as {name}")
    return layer.tensors[value]


def _constant(layer: Layer, value: Argument) -> Float32[np.ndarray, "..."]:
    array = None if isinstance(value, Slice | Reference) else numbers(value)  # type: ignore[arg-type]
    if array is None:
        layer.refuse("is called with a constant that is no array of numbers")
    return array


def _whole(layer: Layer, name: str, default: int | None = None) -> int | None:
    value = layer.argument(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        layer.refuse(f"is called with {name} that is no whole number")
    return value


def _wholes(layer: Layer, name: str) -> tuple[int, ...] | None:
    value = layer.argument(name)
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    whole = [item for item in items if isinstance(item, int) and not isinstance(item, bool)]
    if len(whole) != len(items):
        layer.refuse(f"is called with {name} that is no list of whole numbers")
    return tuple(whole)


def _flag(layer: Layer, name: str) -> bool:
    value = layer.argument(name)
    if value not in (None, True, False):
        layer.refuse(f"is called with {name} that is neither true nor false")
    return bool(value)


def _number(layer: Layer, name: str, default: float | None = None) -> float | None:
    value = layer.argument(name)
    if value is None:
        return default
    number = None if isinstance(value, Slice | Reference | list) else scalar(value)  # type: ignore[arg-type]
    if number is None:
        layer.refuse(f"is called with {name} that is no number")
    return number


def _binary(op: str) -> Callable[[Layer], Tensor]:
    def write(layer: Layer) -> Tensor:
        left, right = layer.argument("x"), layer.argument("y")
        if isinstance(left, Reference) and isinstance(right, Reference):
            return combined(layer, op, layer.tensors[left], layer.tensors[right])
        if isinstance(left, Reference):
            return _with_constant(layer, op, layer.tensors[left], _constant(layer, right), False)
        if not isinstance(right, Reference):
            layer.refuse("is called with constants alone")
        return _with_constant(layer, op, layer.tensors[right], _constant(layer, left), True)

    return write


def _with_constant(
    layer: Layer, op: str, tensor: Tensor, value: Float32[np.ndarray, "..."], is_left: bool
) -> Tensor:
    """A tensor and a constant; `is_left` if the constant is the first of the two."""
    if spread(layer, tensor.shape, tuple(value.shape)) != tensor.shape:
        layer.refuse("joins a tensor with a constant that is larger")
    one, zero = np.ones((), np.float32), np.zeros((), np.float32)
    if op == "Add":
        return scaled(layer, tensor, one, value)
    if op == "Sub":
        return scaled(layer, tensor, -one, value) if is_left else scaled(layer, tensor, one, -value)
    if op == "Mul":
        return scaled(layer, tensor, value, zero)
    if op == "Div" and not is_left and (value != 0).all():
        return scaled(layer, tensor, np.float32(1) / value, zero)
    graph = layer.graph
    lying = lay_like(value, tensor)
    given = tensor if lying is not None else Tensor(graph.plain(tensor), tensor.shape)
    constant = graph.constant(value if lying is None else lying, layer.name)
    graph.see(tensor)
    names = (constant, given.name) if is_left else (given.name, constant)
    return Tensor(graph.operator(op, names, layer.name)[0], given.shape, given.is_moved)


def _unary(op: str) -> Callable[[Layer], Tensor]:
    def write(layer: Layer) -> Tensor:
        return layer.graph.each(op, _tensor(layer, "x"), layer.name)

    return write


def _named(activation: str) -> Callable[[Layer], Tensor]:
    def write(layer: Layer) -> Tensor:
        return ACTIVATIONS[activation](layer.graph, _tensor(layer, "x"), layer.name)

    return write


def _hard_sigmoid(layer: Layer) -> Tensor:
    tensor = _tensor(layer, "x")
    return layer.graph.each("HardSigmoid", tensor, layer.name, alpha=1 / 6, beta=0.5)


def _square(layer: Layer) -> Tensor:
    tensor = _tensor(layer, "x")
    return combined(layer, "Mul", tensor, tensor)


def _reciprocal_root(layer: Layer) -> Tensor:
    root = layer.graph.each("Sqrt", _tensor(layer, "x"), layer.name)
    return layer.graph.each("Reciprocal", root, layer.name)


def _gelu(layer: Layer) -> Tensor:
    value = layer.argument("approximate")
    if value is None:  # keras.ops takes the approximation where nothing is said; TensorFlow not
        value = layer.config.kind.startswith("ops.")
    if not isinstance(value, bool):
        layer.refuse("is called with approximate that is neither true nor false")
    return gelu(layer.graph, _tensor(layer, "x"), value, layer.name)


def _leaky(layer: Layer) -> Tensor:
    slope = _number(layer, "slope", 0.2)
    return layer.graph.each("LeakyRelu", _tensor(layer, "x"), layer.name, alpha=slope)


def _elu(layer: Layer) -> Tensor:
    alpha = _number(layer, "alpha", 1.0)
    return layer.graph.each("Elu", _tensor(layer, "x"), layer.name, alpha=alpha)


def _soft(op: str) -> Callable[[Layer], Tensor]:
    def write(layer: Layer) -> Tensor:
        tensor = _tensor(layer, "x")
        axis = _whole(layer, "axis", -1)
        if axis is None or not -tensor.rank <= axis < tensor.rank:
            layer.refuse("is called with an axis that its input lacks")
        return softmax(layer.graph, tensor, axis, layer.name, op)

    return write


def _clip(layer: Layer) -> Tensor:
    low, high = _number(layer, "low"), _number(layer, "high")
    return clip(layer.graph, _tensor(layer, "x"), low, high, layer.name)


def _reduction(op: str) -> Callable[[Layer], Tensor]:
    def write(layer: Layer) -> Tensor:
        axes, keeps = _wholes(layer, "axis"), _flag(layer, "keepdims")
        return reduced(layer, _tensor(layer, "x"), op, axes, keeps)

    return write


def _reshape(layer: Layer) -> Tensor:
    value = layer.argument("shape")
    raw = value if isinstance(value, list) else [value]
    sizes = [-1 if item is None else item for item in raw]
    whole = [item for item in sizes if isinstance(item, int) and not isinstance(item, bool)]
    tensor = _tensor(layer, "x")
    if len(whole) != len(sizes) or not whole or whole[0] not in (-1, tensor.shape[0]):
        layer.refuse("is called with a shape that is not -1 for the batch and whole numbers")
    return reshaped(layer, tensor, tuple(whole[1:]))


def _transpose(layer: Layer) -> Tensor:
    tensor = _tensor(layer, "x")
    order = _wholes(layer, "axes")
    if order is None or sorted(order) != list(range(tensor.rank)) or order[0] != 0:
        layer.refuse("moves the axis of pictures, or has no order of all axes")
    return transposed(layer, tensor, order)


def _expand(layer: Layer) -> Tensor:
    tensor, axis = _tensor(layer, "x"), _whole(layer, "axis")
    if axis is None or not -tensor.rank - 1 <= axis <= tensor.rank:
        layer.refuse("is called with an axis that its input lacks")
    at = axis % (tensor.rank + 1)
    if at == 0:
        layer.refuse("adds an axis before that of pictures")
    shape = (*tensor.shape[:at], 1, *tensor.shape[at:])
    axes = layer.graph.integers([at])
    return layer.graph.apply("Unsqueeze", [tensor, axes], shape, layer.name)


def _squeeze(layer: Layer) -> Tensor:
    tensor, given = _tensor(layer, "x"), _wholes(layer, "axis")
    axes = given or tuple(at for at, size in enumerate(tensor.shape) if at and size == 1)
    gone = {axis % tensor.rank for axis in axes}
    if any(tensor.shape[axis] != 1 for axis in gone) or 0 in gone:
        layer.refuse("takes away an axis that is not of size 1")
    shape = without_axes(tensor, gone)
    return layer.graph.apply(
        "Squeeze", [tensor, layer.graph.integers(sorted(gone))], shape, layer.name
    )


def _concatenate(layer: Layer) -> Tensor:
    value = layer.argument("x")
    items = value if isinstance(value, list) else [value]
    tensors = [layer.tensors[item] for item in items if isinstance(item, Reference)]
    axis = _whole(layer, "axis", 0 if layer.config.kind.startswith("ops.") else None)
    if len(tensors) != len(items) or axis is None:
        layer.refuse("joins constants, or does not say along which axis")
    return concatenated(layer, tensors, axis)


def _product(layer: Layer) -> Tensor:
    left, right = _tensor(layer, "x"), _tensor(layer, "y")
    if left.rank != right.rank or left.rank < 3 or left.shape[-1] != right.shape[-2]:
        layer.refuse("multiplies tensors that are not two stacks of matrices that fit")
    for name in ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b"):
        if _flag(layer, name):
            layer.refuse(f"is called with {name}")
    first = spread(layer, left.shape[:-2], right.shape[:-2])
    shape: Shape = (*first, left.shape[-2], right.shape[-1])
    return layer.graph.apply("MatMul", [left, right], shape, layer.name)


def _get_item(layer: Layer) -> Tensor:
    """Slices of axes, as in x[:, ::-1, 0:2]; single numbers take their axis away."""
    tensor, value = _tensor(layer, "x"), layer.argument("key")
    items = value if isinstance(value, list) else [value]
    if any(item == "Ellipsis" for item in items if isinstance(item, str)):
        at = items.index("Ellipsis")
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
    axes = layer.graph.integers(sorted(gone))
    return layer.graph.apply("Squeeze", [result, axes], without_axes(result, gone), layer.name)


def _bound(layer: Layer, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        layer.refuse("has a slice with bounds that are no whole numbers")
    return value


def _cast(layer: Layer) -> Tensor:
    kind = layer.argument("dtype")
    if kind not in _FLOATS:
        layer.refuse(f"makes {ascii(kind)[:40]} of its numbers; allowed: {', '.join(_FLOATS)}")
    return _tensor(layer, "x")


def _same(layer: Layer) -> Tensor:
    return _tensor(layer, "x")


def _resize(layer: Layer) -> Tensor:
    for name in (
        "antialias",
        "preserve_aspect_ratio",
        "crop_to_aspect_ratio",
        "pad_to_aspect_ratio",
    ):
        if _flag(layer, name):
            layer.refuse(f"is called with {name}")
    size, mode = _wholes(layer, "size"), layer.argument("method")
    if size is None or len(size) != 2 or not all(0 < edge <= 4096 for edge in size):
        layer.refuse("is called with a size that is not two whole numbers")
    if mode not in (None, "bilinear", "nearest") or layer.argument("data_format") not in (
        None,
        "channels_last",
    ):
        layer.refuse("resizes otherwise than bilinear or nearest, with the channels last")
    tensor = _tensor(layer, "x")
    if tensor.rank != 4:
        layer.refuse("resizes something else than pictures")
    return resized(layer, tensor, (size[0], size[1]), mode if isinstance(mode, str) else "bilinear")


def _unit(layer: Layer) -> Tensor:
    tensor = _tensor(layer, "x")
    axes = _wholes(layer, "axis") or (-1,)
    if _whole(layer, "order", 2) != 2 or any(
        not -tensor.rank <= axis < tensor.rank for axis in axes
    ):
        layer.refuse("is called with an order other than 2, or an axis that its input lacks")
    least = _number(layer, "epsilon", 1e-12) or 0.0
    return unit_length(layer, tensor, tuple(axis % tensor.rank for axis in axes), least)


def _kind(write: Callable[[Layer], Tensor], *parameters: str, note: str = "") -> LayerKind:
    """An entry for both: parameters are call arguments, or settings in Keras 3."""
    names = frozenset(name for several in parameters for name in several.split("|"))
    return LayerKind(write, names, frozenset({"function"}), parameters, note=note)


_PAIR = ("x|x1|a|value", "y|x2|b|bias")
_ONE = ("x|features|input|input_tensor|tensor|t|a|logits|images|inputs",)
_REDUCED = (*_ONE, "axis", "keepdims")

OPERATIONS: Mapping[str, LayerKind] = {
    **{
        name: _kind(_binary(op), *_PAIR)
        for op, names in {
            "Add": ("ops.Add", "tf.math.add", "tf.__operators__.add", "tf.nn.bias_add"),
            "Sub": ("ops.Subtract", "tf.math.subtract"),
            "Mul": ("ops.Multiply", "tf.math.multiply"),
            "Div": ("ops.Divide", "ops.TrueDivide", "tf.math.truediv", "tf.math.divide"),
            "Max": ("ops.Maximum", "tf.math.maximum"),
            "Min": ("ops.Minimum", "tf.math.minimum"),
            "Pow": ("ops.Power", "tf.math.pow"),
        }.items()
        for name in names
    },
    **{
        name: _kind(_unary(op), *_ONE)
        for op, names in {
            "Neg": ("ops.Negative", "tf.math.negative"),
            "Abs": ("ops.Absolute", "tf.math.abs"),
            "Exp": ("ops.Exp", "tf.math.exp"),
            "Log": ("ops.Log", "tf.math.log"),
            "Sqrt": ("ops.Sqrt", "tf.math.sqrt"),
        }.items()
        for name in names
    },
    **{
        name: _kind(_named(activation), *_ONE)
        for activation, names in {
            "relu": ("ops.Relu", "tf.nn.relu"),
            "relu6": ("ops.Relu6", "tf.nn.relu6"),
            "sigmoid": ("ops.Sigmoid", "tf.math.sigmoid", "tf.nn.sigmoid"),
            "swish": ("ops.Silu", "tf.nn.silu", "tf.nn.swish"),
            "tanh": ("ops.Tanh", "tf.math.tanh", "tf.nn.tanh"),
            "softplus": ("ops.Softplus", "tf.math.softplus", "tf.nn.softplus"),
            "softsign": ("ops.Softsign", "tf.nn.softsign", "tf.math.softsign"),
            "selu": ("ops.Selu", "tf.nn.selu"),
            "hard_swish": ("ops.HardSilu",),
            "mish": ("ops.Mish",),
            "log_sigmoid": ("ops.LogSigmoid",),
        }.items()
        for name in names
    },
    **dict.fromkeys(("ops.Square", "tf.math.square"), _kind(_square, *_ONE)),
    **dict.fromkeys(("ops.Rsqrt", "tf.math.rsqrt"), _kind(_reciprocal_root, *_ONE)),
    "ops.HardSigmoid": _kind(_hard_sigmoid, *_ONE),
    **dict.fromkeys(("ops.Gelu", "tf.nn.gelu"), _kind(_gelu, *_ONE, "approximate")),
    **dict.fromkeys(
        ("ops.LeakyRelu", "tf.nn.leaky_relu"), _kind(_leaky, *_ONE, "slope|negative_slope|alpha")
    ),
    **dict.fromkeys(("ops.Elu", "tf.nn.elu"), _kind(_elu, *_ONE, "alpha")),
    **dict.fromkeys(("ops.Softmax", "tf.nn.softmax"), _kind(_soft("Softmax"), *_ONE, "axis")),
    **dict.fromkeys(
        ("ops.LogSoftmax", "tf.nn.log_softmax"), _kind(_soft("LogSoftmax"), *_ONE, "axis")
    ),
    **dict.fromkeys(
        ("ops.Clip", "tf.clip_by_value"),
        _kind(_clip, *_ONE, "low|x_min|clip_value_min", "high|x_max|clip_value_max"),
    ),
    **{
        name: _kind(_reduction(op), *_REDUCED)
        for op, names in {
            "ReduceMean": ("ops.Mean", "tf.math.reduce_mean"),
            "ReduceSum": ("ops.Sum", "tf.math.reduce_sum"),
            "ReduceMax": ("ops.Max", "ops.Amax", "tf.math.reduce_max"),
            "ReduceMin": ("ops.Min", "ops.Amin", "tf.math.reduce_min"),
        }.items()
        for name in names
    },
    **dict.fromkeys(("ops.Reshape", "tf.reshape"), _kind(_reshape, *_ONE, "shape|newshape")),
    **dict.fromkeys(("ops.Transpose", "tf.transpose"), _kind(_transpose, *_ONE, "axes|perm")),
    **dict.fromkeys(("ops.ExpandDims", "tf.expand_dims"), _kind(_expand, *_ONE, "axis")),
    **dict.fromkeys(("ops.Squeeze", "tf.squeeze"), _kind(_squeeze, *_ONE, "axis")),
    **dict.fromkeys(("ops.Concatenate", "tf.concat"), _kind(_concatenate, "x|xs|values", "axis")),
    "ops.Matmul": _kind(_product, *_PAIR),
    "tf.linalg.matmul": _kind(
        _product, *_PAIR, "transpose_a", "transpose_b", "adjoint_a", "adjoint_b"
    ),
    "ops.GetItem": _kind(_get_item, *_ONE, "key"),
    "tf.__operators__.getitem": _kind(_get_item, *_ONE, "key|slice_spec"),
    **dict.fromkeys(("ops.Cast", "tf.cast"), _kind(_cast, *_ONE, "dtype")),
    **dict.fromkeys(("ops.Identity", "tf.identity", "tf.stop_gradient"), _kind(_same, *_ONE)),
    "ops.Resize": _kind(
        _resize,
        *_ONE,
        "size",
        "method|interpolation",
        "antialias",
        "data_format",
        "crop_to_aspect_ratio",
        "pad_to_aspect_ratio",
        "fill_mode",
        "fill_value",
    ),
    "tf.image.resize": _kind(
        _resize, *_ONE, "size", "method", "preserve_aspect_ratio", "antialias"
    ),
    "ops.Normalize": _kind(_unit, *_ONE, "axis", "order", "epsilon"),
    **dict.fromkeys(
        ("tf.math.l2_normalize", "tf.nn.l2_normalize"), _kind(_unit, *_ONE, "axis", "epsilon")
    ),
}
"""Operations by their name: "ops." and its class in Keras 3, "tf." and its place in TensorFlow."""
