"""An operation on numbers comes in; the operator that computes it goes out."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from lagotto.models.keras.call_arguments import TensorReference
from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.activation import ACTIVATIONS, clip, gelu, softmax_over
from lagotto.models.keras.layers.layer import Layer
from lagotto.models.keras.layers.merging import combined, spread
from lagotto.models.keras.layers.scaling import lay_like, scaled
from lagotto.models.keras.operations.arguments import constant_of, number_of, tensor_of, whole_of


def binary(op: str) -> Callable[[Layer], Tensor]:
    """Two values, at least one of them a tensor, joined number by number."""

    def write(layer: Layer) -> Tensor:
        left, right = layer.argument("x"), layer.argument("y")
        if isinstance(left, TensorReference) and isinstance(right, TensorReference):
            return combined(layer, op, layer.tensors[left], layer.tensors[right])
        if isinstance(left, TensorReference):
            return _with_constant(layer, op, layer.tensors[left], constant_of(layer, right), False)
        if not isinstance(right, TensorReference):
            layer.refuse("is called with constants alone")
        return _with_constant(layer, op, layer.tensors[right], constant_of(layer, left), True)

    return write


def _with_constant(
    layer: Layer, op: str, tensor: Tensor, value: Float32[np.ndarray, "..."], is_left: bool
) -> Tensor:
    """A tensor and a constant; `is_left` if the constant is the first of the two."""
    if spread(layer, tensor.shape, tuple(value.shape)) != tensor.shape:
        layer.refuse("joins a tensor with a constant that is larger")
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    value = value.reshape(1) if value.ndim == 0 else value
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


def unary(op: str) -> Callable[[Layer], Tensor]:
    """Each number by itself, by one operator."""

    def write(layer: Layer) -> Tensor:
        return layer.graph.each(op, tensor_of(layer, "x"), layer.name)

    return write


def named(activation: str) -> Callable[[Layer], Tensor]:
    """An activation of the table of activations."""

    def write(layer: Layer) -> Tensor:
        return ACTIVATIONS[activation](layer.graph, tensor_of(layer, "x"), layer.name)

    return write


def write_hard_sigmoid(layer: Layer) -> Tensor:
    """hard_sigmoid as Keras 3 has it."""
    tensor = tensor_of(layer, "x")
    return layer.graph.each("HardSigmoid", tensor, layer.name, alpha=1 / 6, beta=0.5)


def write_square(layer: Layer) -> Tensor:
    """Each number times itself."""
    tensor = tensor_of(layer, "x")
    return combined(layer, "Mul", tensor, tensor)


def write_reciprocal_root(layer: Layer) -> Tensor:
    """One over the root of each number."""
    root = layer.graph.each("Sqrt", tensor_of(layer, "x"), layer.name)
    return layer.graph.each("Reciprocal", root, layer.name)


def write_gelu(layer: Layer) -> Tensor:
    """gelu, exact or approximate."""
    value = layer.argument("approximate")
    if value is None:  # keras.ops takes the approximation where nothing is said; TensorFlow not
        value = layer.config.kind.startswith("ops.")
    if not isinstance(value, bool):
        layer.refuse("is called with approximate that is neither true nor false")
    return gelu(layer.graph, tensor_of(layer, "x"), value, layer.name)


def write_leaky(layer: Layer) -> Tensor:
    """leaky_relu; 0.2 where no slope is given."""
    slope = number_of(layer, "slope", 0.2)
    return layer.graph.each("LeakyRelu", tensor_of(layer, "x"), layer.name, alpha=slope)


def write_elu_operation(layer: Layer) -> Tensor:
    """elu."""
    alpha = number_of(layer, "alpha", 1.0)
    return layer.graph.each("Elu", tensor_of(layer, "x"), layer.name, alpha=alpha)


def soft(op: str) -> Callable[[Layer], Tensor]:
    """A softmax, or its logarithm, over one axis."""

    def write(layer: Layer) -> Tensor:
        tensor = tensor_of(layer, "x")
        axis = whole_of(layer, "axis", -1)
        if axis is None or not -tensor.rank <= axis < tensor.rank:
            layer.refuse("is called with an axis that its input lacks")
        return softmax_over(layer.graph, tensor, axis, layer.name, op)

    return write


def write_clip(layer: Layer) -> Tensor:
    """The numbers, not below one bound nor above another."""
    low, high = number_of(layer, "low"), number_of(layer, "high")
    return clip(layer.graph, tensor_of(layer, "x"), low, high, layer.name)
