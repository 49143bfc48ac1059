"""Attention of several heads comes in; its products and softmax go out."""

import numpy as np

from lagotto.models.keras.call_arguments import TensorReference
from lagotto.models.keras.configuration import LayerConfig
from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.activation import softmax_over
from lagotto.models.keras.layers.layer import Layer, Variables
from lagotto.models.keras.layers.shaping import transposed

_PARTS = ("query", "key", "value", "attention_output")


def attention_variables(config: LayerConfig) -> Variables:
    """A kernel and a bias for each of the four projections."""
    has_bias = config.settings.get("use_bias") is not False
    names = [(f"{part}/kernel", f"{part}/bias") for part in _PARTS]
    return Variables(tuple(name for pair in names for name in pair[: 1 + has_bias]))


def write_attention(layer: Layer) -> Tensor:
    """MultiHeadAttention over the axis between batch and features."""
    query, value, key = _called_with(layer)
    heads, size = layer.settings.integer("num_heads"), layer.settings.integer("key_dim")
    value_size = layer.settings.integer("value_dim", size)
    axes = layer.settings.integers("attention_axes")
    if axes is not None and axes not in ((1,), (-2,)):
        layer.settings.refuse("attention_axes", "[1]")
    if any(tensor.rank != 3 for tensor in (query, value, key)):
        layer.refuse("is given tensors of other than 3 axes")
    wanted = layer.settings.integers("output_shape")
    if wanted is not None and len(wanted) != 1:
        layer.settings.refuse("output_shape", "one size")
    width = wanted[0] if wanted else layer.known(query.shape[-1], "last axis")
    graph, name = layer.graph, layer.name
    asked = _projected(layer, "query", query, heads, size)
    keys = _projected(layer, "key", key, heads, size)
    values = _projected(layer, "value", value, heads, value_size)
    scale = graph.number(float(1 / np.sqrt(float(size))))
    asked = graph.apply("Mul", [asked, scale], asked.shape, name)
    turned = transposed(layer, keys, (0, 1, 3, 2))
    shape = (asked.shape[0], heads, asked.shape[2], keys.shape[2])
    scores = softmax_over(graph, graph.apply("MatMul", [asked, turned], shape, name), -1, name)
    mixed_shape = (asked.shape[0], heads, asked.shape[2], value_size)
    mixed = graph.apply("MatMul", [scores, values], mixed_shape, name)
    together = transposed(layer, mixed, (0, 2, 1, 3))
    joined = (query.shape[0], query.shape[1], heads * value_size)
    rows = graph.integers([0, 0, heads * value_size])
    flat = graph.apply("Reshape", [together, rows], joined, name)
    kernel = layer.weight("attention_output/kernel", (heads, value_size, width))
    matrix = graph.constant(kernel.reshape(-1, width), f"{name}/output")
    result = graph.apply("MatMul", [flat, matrix], (*joined[:2], width), name)
    if not layer.settings.flag("use_bias", True):
        return result
    bias = graph.constant(layer.weight("attention_output/bias", (width,)), f"{name}/bias")
    return graph.apply("Add", [result, bias], result.shape, name)


def _projected(layer: Layer, part: str, tensor: Tensor, heads: int, size: int) -> Tensor:
    """The features of a tensor for each head: batch, heads, steps, size."""
    graph, name = layer.graph, layer.name
    width = layer.known(tensor.shape[-1], "last axis")
    kernel = layer.weight(f"{part}/kernel", (width, heads, size))
    matrix = graph.constant(kernel.reshape(width, -1), f"{name}/{part}")
    shape = (*tensor.shape[:-1], heads * size)
    flat = graph.apply("MatMul", [tensor, matrix], shape, name)
    if layer.settings.flag("use_bias", True):
        bias = layer.weight(f"{part}/bias", (heads, size)).reshape(-1)
        flat = graph.apply("Add", [flat, graph.constant(bias, f"{name}/bias")], shape, name)
    split = graph.integers([0, 0, heads, size])
    parts = graph.apply("Reshape", [flat, split], (*tensor.shape[:-1], heads, size), name)
    return transposed(layer, parts, (0, 2, 1, 3))


def _called_with(layer: Layer) -> tuple[Tensor, Tensor, Tensor]:
    """Query, value and key; the key is the value where it is not given."""
    found: list[Tensor | None] = []
    for position, name in enumerate(("query", "value", "key")):
        argument = layer.call.named.get(name)
        if position < len(layer.call.positional):
            argument = layer.call.positional[position]
        found.append(layer.tensors[argument] if isinstance(argument, TensorReference) else None)
    query, value, key = found
    if query is None or value is None:
        layer.refuse("is called without a query and a value")
    return query, value, value if key is None else key
