"""An activation comes in, by its name or as a layer; the operators that compute it go out."""

from collections.abc import Callable, Mapping

import numpy as np

from lagotto.core.types import JsonValue
from lagotto.models.keras.configuration import LayerConfig
from lagotto.models.keras.graph import Graph, Tensor
from lagotto.models.keras.layers.layer import Layer, Variables

SELU_ALPHA, SELU_GAMMA = 1.6732632423543772, 1.0507009873554805
_SHOWN = 60


def _single(op: str, **attributes: float) -> Callable[[Graph, Tensor, str], Tensor]:
    def write(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
        return graph.each(op, tensor, hint, **attributes)

    return write


def _linear(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return tensor


def clip(graph: Graph, tensor: Tensor, low: float | None, high: float | None, hint: str) -> Tensor:
    """The values, not below `low` nor above `high`."""
    bounds = [graph.number(low) if low is not None else ""]
    if high is not None:
        bounds.append(graph.number(high))
    return graph.each("Clip", tensor, hint, *bounds)


def _relu6(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return clip(graph, tensor, 0.0, 6.0, hint)


def times(graph: Graph, left: Tensor, right: Tensor, hint: str, op: str = "Mul") -> Tensor:
    """Two tensors of one shape that lie alike, combined number by number."""
    graph.see(left)
    (name,) = graph.operator(op, (left.name, right.name), hint)
    return Tensor(name, left.shape, left.is_moved)


def _swish(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return times(graph, tensor, graph.each("Sigmoid", tensor, hint), hint)


def _mish(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    soft = graph.each("Tanh", graph.each("Softplus", tensor, hint), hint)
    return times(graph, tensor, soft, hint)


def _gelu(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return gelu(graph, tensor, False, hint)


def gelu(graph: Graph, tensor: Tensor, approximate: bool, hint: str) -> Tensor:
    """x times the normal distribution up to x, exactly or by a tanh."""
    if approximate:
        cube = times(graph, times(graph, tensor, tensor, hint), tensor, hint)
        inner = times(graph, tensor, _times_number(graph, cube, 0.044715, hint), hint, "Add")
        inner = _times_number(graph, inner, float(np.sqrt(2 / np.pi)), hint)
        half = graph.each("Tanh", inner, hint)
    else:
        half = graph.each("Erf", _times_number(graph, tensor, float(np.sqrt(0.5)), hint), hint)
    raised = graph.each("Add", half, hint, graph.number(1.0))
    return _times_number(graph, times(graph, tensor, raised, hint), 0.5, hint)


def _times_number(graph: Graph, tensor: Tensor, factor: float, hint: str) -> Tensor:
    return graph.each("Mul", tensor, hint, graph.number(factor))


def _hard_sigmoid_2(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return graph.each("HardSigmoid", tensor, hint, alpha=0.2, beta=0.5)


def _hard_sigmoid_3(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return graph.each("HardSigmoid", tensor, hint, alpha=1 / 6, beta=0.5)


def _hard_swish(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return times(graph, tensor, _hard_sigmoid_3(graph, tensor, hint), hint)


def _log_sigmoid(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    negative = graph.each("Softplus", graph.each("Neg", tensor, hint), hint)
    return graph.each("Neg", negative, hint)


def _hard_tanh(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return clip(graph, tensor, -1.0, 1.0, hint)


def _tanh_shrink(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return times(graph, tensor, graph.each("Tanh", tensor, hint), hint, "Sub")


def softmax_over(graph: Graph, tensor: Tensor, axis: int, hint: str, op: str = "Softmax") -> Tensor:
    """A softmax over one axis, counted as Keras sees them."""
    return graph.apply(op, [tensor], tensor.shape, hint, axis=axis)


def _softmax(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return softmax_over(graph, tensor, -1, hint)


def _log_softmax(graph: Graph, tensor: Tensor, hint: str) -> Tensor:
    return softmax_over(graph, tensor, -1, hint, "LogSoftmax")


ACTIVATIONS: Mapping[str, Callable[[Graph, Tensor, str], Tensor]] = {
    "linear": _linear,
    "relu": _single("Relu"),
    "relu6": _relu6,
    "sigmoid": _single("Sigmoid"),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "tanh": _single("Tanh"),
    "elu": _single("Elu", alpha=1.0),
    "selu": _single("Selu", alpha=SELU_ALPHA, gamma=SELU_GAMMA),
    "celu": _single("Celu", alpha=1.0),
    "softplus": _single("Softplus"),
    "softsign": _single("Softsign"),
    "swish": _swish,
    "silu": _swish,
    "gelu": _gelu,
    "hard_sigmoid": _hard_sigmoid_2,
    "hard_swish": _hard_swish,
    "hard_silu": _hard_swish,
    "hard_tanh": _hard_tanh,
    "tanh_shrink": _tanh_shrink,
    "log_sigmoid": _log_sigmoid,
    "mish": _mish,
    "exponential": _single("Exp"),
    "leaky_relu": _single("LeakyRelu", alpha=0.2),
}
"""Activations by their name; hard_sigmoid as Keras 1 and 2 have it."""

_CAMEL = {"hardSigmoid": "hard_sigmoid", "hardSwish": "hard_swish", "leakyRelu": "leaky_relu"}


def activated(layer: Layer, tensor: Tensor) -> Tensor:
    """A tensor after the activation in the settings of a layer."""
    return apply_activation(layer, layer.settings.raw("activation"), tensor)


def apply_activation(layer: Layer, value: JsonValue, tensor: Tensor) -> Tensor:
    """A tensor after an activation as Keras saves it: a name, or an object with its name."""
    if value is None:
        return tensor
    name = activation_name(value)
    if name is None:
        layer.settings.refuse("activation", "the name of a known activation")
    if name == "hard_sigmoid" and layer.config.version >= 3:
        return _hard_sigmoid_3(layer.graph, tensor, layer.name)
    return ACTIVATIONS[name](layer.graph, tensor, layer.name)


def activation_name(value: JsonValue) -> str | None:
    """The name of an activation in the table; None if it is none of these."""
    if isinstance(value, dict):
        settings, kind = value.get("config"), value.get("class_name")
        if kind == "function":
            value = settings
        elif isinstance(kind, str) and settings in ({}, None):
            value = kind
        elif isinstance(kind, str) and isinstance(settings, dict):
            return _layer_as_activation(kind, settings)
    if not isinstance(value, str):
        return None
    name = _CAMEL.get(value, value).removeprefix("keras.activations.")
    return name if name in ACTIVATIONS else None


def _layer_as_activation(kind: str, settings: Mapping[str, JsonValue]) -> str | None:
    """A layer without further settings that stands for an activation."""
    plain = {"ReLU": "relu", "Softmax": "softmax"}
    odd = {
        key: value
        for key, value in settings.items()
        if key not in ("name", "dtype", "trainable") and value not in (None, 0, 0.0, -1)
    }
    return plain.get(kind) if not odd else None


def write_activation(layer: Layer) -> Tensor:
    """The layer Activation."""
    return activated(layer, layer.input)


def write_relu(layer: Layer) -> Tensor:
    """The layer ReLU, with all that it can do: f(x) = slope * (x - threshold) below threshold."""
    slope = layer.settings.number("negative_slope", 0.0)
    threshold = layer.settings.number("threshold", 0.0)
    high = layer.settings.optional_number("max_value")
    return general_relu(layer, layer.input, slope, threshold, high)


def general_relu(
    layer: Layer, tensor: Tensor, slope: float, threshold: float, high: float | None
) -> Tensor:
    """A rectifier with a slope below a threshold, and a greatest value."""
    graph, hint = layer.graph, layer.name
    if threshold == 0.0 and slope == 0.0:
        return (
            clip(graph, tensor, 0.0, high, hint)
            if high is not None
            else graph.each("Relu", tensor, hint)
        )
    if threshold == 0.0:
        above = graph.each("LeakyRelu", tensor, hint, alpha=slope)
    else:
        limit = graph.number(threshold)
        passes = graph.each("GreaterOrEqual", tensor, hint, limit)
        below = graph.each("Mul", graph.each("Sub", tensor, hint, limit), hint, graph.number(slope))
        (name,) = graph.operator("Where", (passes.name, tensor.name, below.name), hint)
        above = Tensor(name, tensor.shape, tensor.is_moved)
    return above if high is None else clip(graph, above, None, high, hint)


def write_leaky_relu(layer: Layer) -> Tensor:
    """LeakyReLU; its slope is `alpha` before Keras 3, and 0.3 where it is not said."""
    older = layer.settings.number("alpha", 0.3)
    slope = layer.settings.number("negative_slope", older)
    return layer.graph.each("LeakyRelu", layer.input, layer.name, alpha=slope)


def write_elu(layer: Layer) -> Tensor:
    """The layer ELU."""
    alpha = layer.settings.number("alpha", 1.0)
    return layer.graph.each("Elu", layer.input, layer.name, alpha=alpha)


def write_thresholded_relu(layer: Layer) -> Tensor:
    """ThresholdedReLU: x where it is above theta, else 0."""
    theta = layer.settings.number("theta", 1.0)
    return layer.graph.each("ThresholdedRelu", layer.input, layer.name, alpha=theta)


def write_softmax(layer: Layer) -> Tensor:
    """The layer Softmax over one axis."""
    tensor = layer.input
    axes = layer.settings.integers("axis") or (-1,)
    if len(axes) != 1 or not -tensor.rank <= axes[0] < tensor.rank:
        layer.settings.refuse("axis", "one axis of the input")
    return softmax_over(layer.graph, tensor, axes[0], layer.name)


def alpha_variables(config: LayerConfig) -> Variables:
    """The slopes of a PReLU."""
    return Variables(("alpha",))


def write_prelu(layer: Layer) -> Tensor:
    """PReLU, with a slope for each position and channel, but one along `shared_axes`."""
    tensor, graph = layer.input, layer.graph
    shared = set(layer.settings.integers("shared_axes") or ())
    shape = tuple(1 if axis in shared else size for axis, size in enumerate(tensor.shape))[1:]
    slopes = layer.weight("alpha", shape)
    if None in shape:
        layer.refuse("needs a fixed input size")
    below = graph.constant(slopes[None], f"{layer.name}/alpha")
    return graph.apply("PRelu", [tensor, below], tensor.shape, layer.name)
