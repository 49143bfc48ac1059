"""A normalization comes in; operators with its statistics and weights go out."""

import numpy as np
from jaxtyping import Float32

from lagotto.models.keras.configuration import LayerConfig
from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.layer import Layer, Variables
from lagotto.models.keras.layers.scaling import scaled


def affine_variables(config: LayerConfig) -> Variables:
    """gamma and beta, where they are switched on."""
    return Variables(_affine(config))


def batch_variables(config: LayerConfig) -> Variables:
    """gamma and beta, and the moving averages."""
    return Variables(_affine(config), ("moving_mean", "moving_variance"))


def gamma_variables(config: LayerConfig) -> Variables:
    """gamma alone."""
    return Variables(("gamma",))


def scale_variables(config: LayerConfig) -> Variables:
    """The scale of an RMSNormalization."""
    return Variables(("scale",))


def _affine(config: LayerConfig) -> tuple[str, ...]:
    names = {"gamma": "scale", "beta": "center"}
    return tuple(name for name, key in names.items() if config.settings.get(key) is not False)


def read_axes(layer: Layer, default: tuple[int, ...] = (-1,)) -> tuple[int, ...]:
    """The axes in the settings, counted from 0, in order; not the batch."""
    rank = layer.input.rank
    axes = layer.settings.integers("axis")
    found = sorted({axis % rank for axis in axes or default if -rank <= axis < rank})
    if not found or found[0] == 0 or len(found) != len(axes or default):
        layer.settings.refuse("axis", f"axes 1 to {rank - 1} of the input")
    return tuple(found)


def write_batch_normalization(layer: Layer) -> Tensor:
    """BatchNormalization with its moving averages, as a trained model runs it."""
    tensor, graph, name = layer.input, layer.graph, layer.name
    axes = read_axes(layer)
    if len(axes) != 1:
        layer.settings.refuse("axis", "one axis")
    size = layer.known(tensor.shape[axes[0]], "number of channels")
    epsilon = layer.settings.number("epsilon", 1e-3)
    scale = layer.settings.flag("scale", True)
    center = layer.settings.flag("center", True)
    gamma = layer.weight("gamma", (size,)) if scale else np.ones(size, np.float32)
    beta = layer.weight("beta", (size,)) if center else np.zeros(size, np.float32)
    mean = layer.weight("moving_mean", (size,))
    variance = layer.weight("moving_variance", (size,))
    is_last = axes[0] == tensor.rank - 1
    if not is_last and axes[0] != 1:
        factor = gamma / np.sqrt(variance + np.float32(epsilon))
        shape = [1] * tensor.rank
        shape[axes[0]] = size
        return scaled(layer, tensor, factor.reshape(shape), (beta - mean * factor).reshape(shape))
    parts = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    constants = [graph.constant(value, f"{name}/{part}") for part, value in parts.items()]
    moves = is_last and tensor.rank > 2
    graph.see(tensor)
    given = graph.moved(tensor) if moves else graph.plain(tensor)
    (output,) = graph.operator("BatchNormalization", [given, *constants], name, epsilon=epsilon)
    return Tensor(output, tensor.shape, moves)


def write_layer_normalization(layer: Layer) -> Tensor:
    """LayerNormalization over the last axes, or over any."""
    if layer.settings.flag("rms_scaling", False):
        layer.settings.refuse("rms_scaling", "false")
    tensor, graph = layer.input, layer.graph
    axes = read_axes(layer)
    shape = tuple(layer.known(tensor.shape[axis], "normalized axis") for axis in axes)
    scale = layer.settings.flag("scale", True)
    center = layer.settings.flag("center", True)
    gamma = layer.weight("gamma", shape) if scale else np.ones(shape, np.float32)
    beta = layer.weight("beta", shape) if center else None
    epsilon = layer.settings.number("epsilon", 1e-3)
    if axes == tuple(range(tensor.rank - len(axes), tensor.rank)):
        constants = [graph.constant(gamma, f"{layer.name}/gamma")]
        if beta is not None:
            constants.append(graph.constant(beta, f"{layer.name}/beta"))
        return graph.apply(
            "LayerNormalization",
            [tensor, *constants],
            tensor.shape,
            layer.name,
            axis=axes[0],
            epsilon=epsilon,
        )
    spread = [size if axis in axes else 1 for axis, size in enumerate(tensor.shape)]
    wide = [1 if size is None else size for size in spread]
    centered = standardized(layer, tensor, axes, epsilon)
    offset = np.zeros(shape, np.float32) if beta is None else beta
    return scaled(layer, centered, gamma.reshape(wide), offset.reshape(wide))


def standardized(layer: Layer, tensor: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    """A tensor minus its mean over some axes, over its standard deviation there."""
    graph, name = layer.graph, layer.name
    small = tuple(1 if axis in axes else size for axis, size in enumerate(tensor.shape))
    over = list(axes)
    mean = graph.apply("ReduceMean", [tensor], small, name, axes=over)
    centered = graph.apply("Sub", [tensor, mean], tensor.shape, name)
    square = graph.apply("Mul", [centered, centered], tensor.shape, name)
    variance = graph.apply("ReduceMean", [square], small, name, axes=over)
    raised = graph.apply("Add", [variance, graph.number(epsilon)], small, name)
    deviation = graph.apply("Sqrt", [raised], small, name)
    return graph.apply("Div", [centered, deviation], tensor.shape, name)


def write_group_normalization(layer: Layer) -> Tensor:
    """GroupNormalization: each group of channels of a picture by itself."""
    tensor, graph, name = layer.input, layer.graph, layer.name
    axes = read_axes(layer)
    if len(axes) != 1 or axes[0] not in (1, tensor.rank - 1):
        layer.settings.refuse("axis", "the first or the last axis")
    size = layer.known(tensor.shape[axes[0]], "number of channels")
    groups = layer.settings.integers("groups")
    if groups is None or len(groups) != 1 or groups[0] == 0:
        layer.settings.refuse("groups", "a whole number")
    count = size if groups[0] < 0 else groups[0]
    if size % count:
        layer.settings.refuse("groups", f"a divisor of {size}")
    is_last = axes[0] == tensor.rank - 1
    graph.see(tensor)
    given = graph.moved(tensor) if is_last else graph.plain(tensor)
    (flat,) = graph.operator("Reshape", [given, graph.integers([0, count, -1])], name)
    ones, zeros = (graph.constant(make(count, np.float32), name) for make in (np.ones, np.zeros))
    epsilon = layer.settings.number("epsilon", 1e-3)
    (even,) = graph.operator("InstanceNormalization", [flat, ones, zeros], name, epsilon=epsilon)
    (sizes,) = graph.operator("Shape", [given], name)
    (back,) = graph.operator("Reshape", [even, sizes], name)
    result = Tensor(back, tensor.shape, is_last and tensor.rank > 2)
    shape = [1] * tensor.rank
    shape[axes[0]] = size
    scale = layer.settings.flag("scale", True)
    center = layer.settings.flag("center", True)
    gamma = layer.weight("gamma", (size,)) if scale else np.ones(size, np.float32)
    beta = layer.weight("beta", (size,)) if center else np.zeros(size, np.float32)
    return scaled(layer, result, gamma.reshape(shape), beta.reshape(shape))


def write_unit_normalization(layer: Layer) -> Tensor:
    """UnitNormalization: vectors of length 1 along some axes."""
    return unit_length(layer, layer.input, read_axes(layer), 1e-12)


def unit_length(layer: Layer, tensor: Tensor, axes: tuple[int, ...], least: float) -> Tensor:
    """A tensor over its length along some axes; the square of the length is at least `least`."""
    graph, name = layer.graph, layer.name
    small = tuple(1 if axis in axes else size for axis, size in enumerate(tensor.shape))
    square = graph.apply("Mul", [tensor, tensor], tensor.shape, name)
    over = graph.integers(axes)
    total = graph.apply("ReduceSum", [square, over], small, name, keepdims=1)
    total = graph.apply("Max", [total, graph.number(least)], small, name)
    length = graph.apply("Sqrt", [total], small, name)
    return graph.apply("Div", [tensor, length], tensor.shape, name)


def write_rms_normalization(layer: Layer) -> Tensor:
    """RMSNormalization over the last axis."""
    tensor, graph, name = layer.input, layer.graph, layer.name
    axes = read_axes(layer)
    if axes != (tensor.rank - 1,):
        layer.settings.refuse("axis", "the last axis")
    size = layer.known(tensor.shape[-1], "last axis")
    small = (*tensor.shape[:-1], 1)
    square = graph.apply("Mul", [tensor, tensor], tensor.shape, name)
    mean = graph.apply("ReduceMean", [square], small, name, axes=[tensor.rank - 1])
    epsilon = graph.number(layer.settings.number("epsilon", 1e-6))
    length = graph.apply("Sqrt", [graph.apply("Add", [mean, epsilon], small, name)], small, name)
    even = graph.apply("Div", [tensor, length], tensor.shape, name)
    weight: Float32[np.ndarray, " size"] = layer.weight("scale", (size,))
    return scaled(layer, even, weight, np.zeros((), np.float32))


def write_layer_scale(layer: Layer) -> Tensor:
    """LayerScale of ConvNeXt: a factor for each channel."""
    tensor = layer.input
    size = layer.settings.integer("projection_dim")
    if tensor.shape[-1] != size:
        layer.settings.refuse("projection_dim", "the number of channels of the input")
    return scaled(layer, tensor, layer.weight("gamma", (size,)), np.zeros((), np.float32))
