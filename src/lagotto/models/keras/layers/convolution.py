"""A convolution comes in; Conv or ConvTranspose, with weights as ONNX wants them, goes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lagotto.models.keras.configuration import LayerConfig
from lagotto.models.keras.graph import Tensor, TensorShape
from lagotto.models.keras.layers.activation import activated
from lagotto.models.keras.layers.layer import Layer, Variables

CONVOLUTION_KEYS = frozenset(
    {
        *("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"),
        *("groups", "activation", "use_bias"),
    }
)
DEPTHWISE_KEYS = CONVOLUTION_KEYS - {"filters"} | {"depth_multiplier"}
SEPARABLE_KEYS = CONVOLUTION_KEYS | {"depth_multiplier"}
TRANSPOSED_KEYS = CONVOLUTION_KEYS | {"output_padding"}


@dataclass(frozen=True, slots=True)
class Window:
    """How a window moves over the spatial axes."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: str

    def reach(self, axis: int) -> int:
        """The number of positions from the first to the last that the window reads."""
        return self.dilations[axis] * (self.sizes[axis] - 1) + 1

    def output(self, axis: int, size: int | None) -> int | None:
        """The size of an axis after the window has moved over it."""
        if size is None:
            return None
        stride = self.strides[axis]
        if self.padding == "valid":
            return (size - self.reach(axis)) // stride + 1
        return -(-size // stride)

    def pads(self, sizes: Sequence[int | None]) -> tuple[int, ...] | None:
        """Zeros before each axis, then after each; None if an open size decides them."""
        before, after = [], []
        for axis, size in enumerate(sizes):
            reach, stride = self.reach(axis), self.strides[axis]
            if self.padding == "valid":
                total, first = 0, 0
            elif self.padding == "causal":
                total = first = reach - 1
            elif stride == 1:
                total = reach - 1
                first = total // 2
            elif size is None:
                return None
            else:
                total = max((-(-size // stride) - 1) * stride + reach - size, 0)
                first = total // 2
            before.append(first)
            after.append(total - first)
        return (*before, *after)


def spatial_rank(layer: Layer) -> int:
    """The number of spatial axes that a layer is for, by the name of its class."""
    return 1 if "1D" in layer.config.kind else 2


def has_channels_first(layer: Layer) -> bool:
    """Whether the data_format of a layer has the channels before the spatial axes."""
    choices = ("channels_last", "channels_first")
    return layer.settings.choice("data_format", "channels_last", *choices) == "channels_first"


def read_window(layer: Layer, paddings: tuple[str, ...] = ("valid", "same")) -> Window:
    """The window of a convolution."""
    rank, settings = spatial_rank(layer), layer.settings
    allowed = (*paddings, "causal") if layer.config.kind == "Conv1D" else paddings
    return Window(
        settings.sizes("kernel_size", rank),
        settings.sizes("strides", rank, 1),
        settings.sizes("dilation_rate", rank, 1),
        settings.choice("padding", "valid", *allowed),
    )


def split_axes(layer: Layer, tensor: Tensor) -> tuple[tuple[int | None, ...], int]:
    """The spatial sizes of an input, and its number of channels."""
    if has_channels_first(layer):
        return tensor.shape[2:], layer.known(tensor.shape[1], "number of channels")
    return tensor.shape[1:-1], layer.known(tensor.shape[-1], "number of channels")


def joined(
    layer: Layer, batch: int | None, spatial: Sequence[int | None], channels: int
) -> TensorShape:
    """The shape that a layer gives."""
    if has_channels_first(layer):
        return (batch, channels, *spatial)
    return (batch, *spatial, channels)


def with_channels_second(layer: Layer, tensor: Tensor) -> str:
    """The name of the input as ONNX wants it."""
    layer.graph.see(tensor)
    return layer.graph.plain(tensor) if has_channels_first(layer) else layer.graph.moved(tensor)


def convolution_variables(config: LayerConfig) -> Variables:
    """kernel and bias."""
    return Variables(("kernel", *_bias(config)))


def depthwise_variables(config: LayerConfig) -> Variables:
    """depthwise_kernel and bias; Keras 3 calls the first of them kernel."""
    return Variables(("depthwise_kernel", *_bias(config)))


def separable_variables(config: LayerConfig) -> Variables:
    """Both kernels and the bias."""
    return Variables(("depthwise_kernel", "pointwise_kernel", *_bias(config)))


def _bias(config: LayerConfig) -> tuple[str, ...]:
    return () if config.settings.get("use_bias") is False else ("bias",)


def write_convolution(layer: Layer) -> Tensor:
    """Conv1D and Conv2D."""
    rank = spatial_rank(layer)
    _, channels = split_axes(layer, layer.ranked(rank + 2))
    window = read_window(layer)
    filters = layer.settings.integer("filters")
    groups = layer.settings.integer("groups", 1)
    if channels % groups or filters % groups:
        layer.refuse(f"has {channels} channels and {filters} filters in {groups} groups")
    kernel = layer.weight("kernel", (*window.sizes, channels // groups, filters))
    turned = kernel.transpose(rank + 1, rank, *range(rank))
    result = _convolve(layer, layer.input, turned, window, groups, _bias_of(layer, filters))
    return activated(layer, result)


def write_depthwise(layer: Layer) -> Tensor:
    """DepthwiseConv1D and DepthwiseConv2D."""
    layer.ranked(spatial_rank(layer) + 2)
    turned, window, channels = _depthwise_kernel(layer)
    if layer.settings.integer("groups", 1) not in (1, channels):
        layer.settings.refuse("groups", "1")
    bias = _bias_of(layer, len(turned))
    return activated(layer, _convolve(layer, layer.input, turned, window, channels, bias))


def write_separable(layer: Layer) -> Tensor:
    """SeparableConv1D and SeparableConv2D: a depthwise convolution, then one of size 1."""
    rank = spatial_rank(layer)
    layer.ranked(rank + 2)
    if layer.settings.integer("groups", 1) != 1:
        layer.settings.refuse("groups", "1")
    turned, window, channels = _depthwise_kernel(layer)
    filters = layer.settings.integer("filters")
    between = _convolve(layer, layer.input, turned, window, channels, None)
    kernel = layer.weight("pointwise_kernel", (*(1,) * rank, len(turned), filters))
    point = Window((1,) * rank, (1,) * rank, (1,) * rank, "valid")
    pointwise = kernel.transpose(rank + 1, rank, *range(rank))
    result = _convolve(layer, between, pointwise, point, 1, _bias_of(layer, filters))
    return activated(layer, result)


def _depthwise_kernel(layer: Layer) -> tuple[Float32[np.ndarray, "..."], Window, int]:
    rank = spatial_rank(layer)
    _, channels = split_axes(layer, layer.input)
    window = read_window(layer)
    if rank == 2 and len(set(window.strides)) > 1:
        layer.settings.refuse("strides", "two equal numbers")
    multiplier = layer.settings.integer("depth_multiplier", 1)
    kernel = layer.weight("depthwise_kernel", (*window.sizes, channels, multiplier))
    turned = kernel.reshape(*window.sizes, 1, channels * multiplier)
    return turned.transpose(rank + 1, rank, *range(rank)), window, channels


def _bias_of(layer: Layer, filters: int) -> Float32[np.ndarray, " filters"] | None:
    return layer.weight("bias", (filters,)) if layer.settings.flag("use_bias", True) else None


def _convolve(
    layer: Layer,
    tensor: Tensor,
    kernel: Float32[np.ndarray, "..."],
    window: Window,
    groups: int,
    bias: Float32[np.ndarray, " filters"] | None,
) -> Tensor:
    """A convolution with a kernel as ONNX has it: filters, channels, space."""
    if max(window.strides) > 1 and max(window.dilations) > 1:
        layer.settings.refuse("dilation_rate", "1 where strides are greater than 1")
    spatial, _ = split_axes(layer, tensor)
    graph, pads = layer.graph, window.pads(spatial)
    where = {"auto_pad": "SAME_UPPER"} if pads is None else {"pads": list(pads)}
    inputs = [with_channels_second(layer, tensor), graph.constant(kernel, f"{layer.name}/kernel")]
    if bias is not None:
        inputs.append(graph.constant(bias, f"{layer.name}/bias"))
    sizes = [window.output(axis, size) for axis, size in enumerate(spatial)]
    if any(size is not None and size < 1 for size in sizes):
        layer.refuse(f"has a kernel larger than its input of {'x'.join(map(str, spatial))}")
    (name,) = graph.operator(
        "Conv",
        inputs,
        layer.name,
        strides=list(window.strides),
        dilations=list(window.dilations),
        group=groups,
        kernel_shape=list(window.sizes),
        **where,
    )
    shape = joined(layer, tensor.shape[0], sizes, len(kernel))
    return Tensor(name, shape, not has_channels_first(layer))


def write_transposed(layer: Layer) -> Tensor:
    """Conv1DTranspose and Conv2DTranspose."""
    rank = spatial_rank(layer)
    spatial, channels = split_axes(layer, layer.ranked(rank + 2))
    window = read_window(layer)
    if layer.settings.integer("groups", 1) != 1:
        layer.settings.refuse("groups", "1")
    filters = layer.settings.integer("filters")
    kernel = layer.weight("kernel", (*window.sizes, filters, channels))
    extra = layer.settings.integers("output_padding")
    if extra is not None and len(extra) == 1:
        extra = extra * rank
    if extra is not None and len(extra) != rank:
        layer.settings.refuse("output_padding", f"{rank} numbers")
    sizes, before, after, added = [], [], [], []
    for axis, size in enumerate(spatial):
        known = layer.known(size, "input size")
        full = (known - 1) * window.strides[axis] + window.reach(axis)
        wanted = _transposed_size(window, axis, known, None if extra is None else extra[axis])
        start = 0 if window.padding == "valid" else max(full - wanted, 0) // 2
        sizes.append(wanted)
        before.append(start)
        after.append(max(full - start - wanted, 0))
        added.append(max(start + wanted - full, 0))
    graph = layer.graph
    turned = kernel.transpose(rank + 1, rank, *range(rank))
    inputs = [
        with_channels_second(layer, layer.input),
        graph.constant(turned, f"{layer.name}/kernel"),
    ]
    bias = _bias_of(layer, filters)
    if bias is not None:
        inputs.append(graph.constant(bias, f"{layer.name}/bias"))
    if any(more >= stride for more, stride in zip(added, window.strides, strict=True) if more):
        layer.settings.refuse("output_padding", "less than strides")
    (name,) = graph.operator(
        "ConvTranspose",
        inputs,
        layer.name,
        strides=list(window.strides),
        dilations=list(window.dilations),
        kernel_shape=list(window.sizes),
        pads=[*before, *after],
        output_padding=added,
    )
    shape = joined(layer, layer.input.shape[0], sizes, filters)
    return activated(layer, Tensor(name, shape, not has_channels_first(layer)))


def _transposed_size(window: Window, axis: int, size: int, extra: int | None) -> int:
    stride, reach = window.strides[axis], window.reach(axis)
    if extra is None:
        return size * stride + (max(reach - stride, 0) if window.padding == "valid" else 0)
    pad = reach // 2 if window.padding == "same" else 0
    return (size - 1) * stride + reach - 2 * pad + extra
