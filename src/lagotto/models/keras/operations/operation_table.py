"""The name of an operation comes in; how it is translated, and its arguments, go out."""

from collections.abc import Callable, Mapping

from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.layer import Layer, LayerKind
from lagotto.models.keras.operations.arithmetic import (
    binary,
    named,
    soft,
    unary,
    write_clip,
    write_elu_operation,
    write_gelu,
    write_hard_sigmoid,
    write_leaky,
    write_reciprocal_root,
    write_square,
)
from lagotto.models.keras.operations.arrangement import (
    reduction,
    write_cast,
    write_concatenation,
    write_expand,
    write_get_item,
    write_product,
    write_reshape_operation,
    write_resize,
    write_same,
    write_squeeze,
    write_stack,
    write_transpose,
    write_unit,
)


def _kind(write: Callable[[Layer], Tensor], *parameters: str, note: str = "") -> LayerKind:
    """An entry for both: parameters are call arguments, or settings in Keras 3."""
    names = frozenset(name for several in parameters for name in several.split("|"))
    return LayerKind(write, names, frozenset({"function"}), parameters, note=note)


_PAIR = ("x|x1|a|value", "y|x2|b|bias")
_ONE = ("x|features|input|input_tensor|tensor|t|a|logits|images|inputs",)
_REDUCED = (*_ONE, "axis", "keepdims")

OPERATIONS: Mapping[str, LayerKind] = {
    **{
        name: _kind(binary(op), *_PAIR)
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
        name: _kind(unary(op), *_ONE)
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
        name: _kind(named(activation), *_ONE)
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
    **dict.fromkeys(("ops.Square", "tf.math.square"), _kind(write_square, *_ONE)),
    **dict.fromkeys(("ops.Rsqrt", "tf.math.rsqrt"), _kind(write_reciprocal_root, *_ONE)),
    "ops.HardSigmoid": _kind(write_hard_sigmoid, *_ONE),
    **dict.fromkeys(("ops.Gelu", "tf.nn.gelu"), _kind(write_gelu, *_ONE, "approximate")),
    **dict.fromkeys(
        ("ops.LeakyRelu", "tf.nn.leaky_relu"),
        _kind(write_leaky, *_ONE, "slope|negative_slope|alpha"),
    ),
    **dict.fromkeys(("ops.Elu", "tf.nn.elu"), _kind(write_elu_operation, *_ONE, "alpha")),
    **dict.fromkeys(("ops.Softmax", "tf.nn.softmax"), _kind(soft("Softmax"), *_ONE, "axis")),
    **dict.fromkeys(
        ("ops.LogSoftmax", "tf.nn.log_softmax"), _kind(soft("LogSoftmax"), *_ONE, "axis")
    ),
    **dict.fromkeys(
        ("ops.Clip", "tf.clip_by_value"),
        _kind(write_clip, *_ONE, "low|x_min|clip_value_min", "high|x_max|clip_value_max"),
    ),
    **{
        name: _kind(reduction(op), *_REDUCED)
        for op, names in {
            "ReduceMean": ("ops.Mean", "tf.math.reduce_mean"),
            "ReduceSum": ("ops.Sum", "tf.math.reduce_sum"),
            "ReduceMax": ("ops.Max", "ops.Amax", "tf.math.reduce_max"),
            "ReduceMin": ("ops.Min", "ops.Amin", "tf.math.reduce_min"),
        }.items()
        for name in names
    },
    **dict.fromkeys(
        ("ops.Reshape", "tf.reshape"), _kind(write_reshape_operation, *_ONE, "shape|newshape")
    ),
    **dict.fromkeys(
        ("ops.Transpose", "tf.transpose", "tf.compat.v1.transpose"),
        _kind(write_transpose, *_ONE, "axes|perm"),
    ),
    **dict.fromkeys(("ops.ExpandDims", "tf.expand_dims"), _kind(write_expand, *_ONE, "axis")),
    **dict.fromkeys(("ops.Squeeze", "tf.squeeze"), _kind(write_squeeze, *_ONE, "axis")),
    **dict.fromkeys(
        ("ops.Concatenate", "tf.concat"), _kind(write_concatenation, "x|xs|values", "axis")
    ),
    **dict.fromkeys(("ops.Stack", "tf.stack"), _kind(write_stack, "x|values", "axis")),
    "ops.Matmul": _kind(write_product, *_PAIR),
    "tf.linalg.matmul": _kind(
        write_product, *_PAIR, "transpose_a", "transpose_b", "adjoint_a", "adjoint_b"
    ),
    "ops.GetItem": _kind(write_get_item, *_ONE, "key"),
    "tf.__operators__.getitem": _kind(write_get_item, *_ONE, "key|slice_spec"),
    **dict.fromkeys(("ops.Cast", "tf.cast"), _kind(write_cast, *_ONE, "dtype")),
    **dict.fromkeys(("ops.Identity", "tf.identity", "tf.stop_gradient"), _kind(write_same, *_ONE)),
    **dict.fromkeys(
        ("ops.Resize", "tf.image.resize"),
        _kind(
            write_resize,
            *_ONE,
            "size",
            "method|interpolation",
            "preserve_aspect_ratio",
            "antialias",
            "crop_to_aspect_ratio",
            "pad_to_aspect_ratio",
            "data_format",
            "fill_mode",
            "fill_value",
            note="bilinear or nearest, without smoothing",
        ),
    ),
    "ops.Normalize": _kind(write_unit, *_ONE, "axis", "order", "epsilon"),
    **dict.fromkeys(
        ("tf.math.l2_normalize", "tf.nn.l2_normalize"),
        _kind(write_unit, *_ONE, "axis", "epsilon", "order"),
    ),
}
"""Operations by their name: "ops." and its class in Keras 3, "tf." and its place in TensorFlow."""
