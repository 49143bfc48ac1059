"""A pooling layer comes in; MaxPool, AveragePool or a reduction goes out."""

from collections.abc import Sequence

from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.convolution import (
    Window,
    has_channels_first,
    joined,
    spatial_rank,
    split_axes,
    with_channels_second,
)
from lagotto.models.keras.layers.layer import Layer


def write_pooling(layer: Layer) -> Tensor:
    """MaxPooling and AveragePooling; an average does not count the positions that were padded."""
    rank, settings, graph = spatial_rank(layer), layer.settings, layer.graph
    tensor = layer.ranked(rank + 2)
    sizes = settings.sizes("pool_size", rank, 2)
    strides = sizes if settings.raw("strides") is None else settings.sizes("strides", rank)
    padding = settings.choice("padding", "valid", "valid", "same")
    window = Window(sizes, strides, (1,) * rank, padding)
    spatial, channels = split_axes(layer, tensor)
    results = [window.output(axis, size) for axis, size in enumerate(spatial)]
    if any(size is not None and size < 1 for size in results):
        layer.refuse(f"has a window larger than its input of {'x'.join(map(str, spatial))}")
    pads = window.pads(spatial)
    where = {"auto_pad": "SAME_UPPER"} if pads is None else {"pads": list(pads)}
    is_max = layer.config.kind.startswith("Max")
    counting = {} if is_max else {"count_include_pad": 0}
    (name,) = graph.operator(
        "MaxPool" if is_max else "AveragePool",
        [with_channels_second(layer, tensor)],
        layer.name,
        kernel_shape=list(sizes),
        strides=list(strides),
        **where,
        **counting,
    )
    shape = joined(layer, tensor.shape[0], results, channels)
    return Tensor(name, shape, not has_channels_first(layer))


def write_global_pooling(layer: Layer) -> Tensor:
    """GlobalAveragePooling and GlobalMaxPooling."""
    rank, graph = spatial_rank(layer), layer.graph
    tensor = layer.ranked(rank + 2)
    _, channels = split_axes(layer, tensor)
    is_max = layer.config.kind.startswith("GlobalMax")
    op = "GlobalMaxPool" if is_max else "GlobalAveragePool"
    (name,) = graph.operator(op, [with_channels_second(layer, tensor)], layer.name)
    batch = tensor.shape[0]
    if layer.settings.flag("keepdims", False):
        shape = joined(layer, batch, (1,) * rank, channels)
        return Tensor(name, shape, not has_channels_first(layer))
    (flat,) = graph.operator("Flatten", [name], layer.name, axis=1)
    return Tensor(flat, (batch, channels))


def reduced(
    layer: Layer, tensor: Tensor, op: str, axes: Sequence[int] | None, keeps: bool
) -> Tensor:
    """A tensor summed, averaged... over some axes, or over all of them."""
    graph = layer.graph
    rank = tensor.rank
    if axes is not None and any(not -rank <= axis < rank for axis in axes):
        layer.refuse(f"reduces axes {list(axes)} of {rank}")
    over = sorted({axis % rank for axis in axes}) if axes is not None else list(range(rank))
    if 0 in over:
        layer.refuse("mixes the pictures of a batch")
    sizes = [
        (1 if axis in over else size)
        for axis, size in enumerate(tensor.shape)
        if keeps or axis not in over
    ]
    inputs: list[Tensor | str] = [tensor]
    attributes: dict[str, object] = {"keepdims": int(keeps)}
    if op == "ReduceSum":
        inputs.append(graph.integers(over))
    else:
        attributes["axes"] = over
    return graph.apply(op, inputs, tuple(sizes), layer.name, **attributes)
