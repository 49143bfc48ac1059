"""A dense layer comes in; a matrix product with its bias and activation goes out."""

from lagotto.models.keras.configuration import LayerConfig
from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.activation import activated
from lagotto.models.keras.layers.layer import Layer, Variables


def dense_variables(config: LayerConfig) -> Variables:
    """kernel and bias."""
    return Variables(
        ("kernel",) if config.settings.get("use_bias") is False else ("kernel", "bias")
    )


def write_dense(layer: Layer) -> Tensor:
    """Dense, on the last axis of an input of any rank."""
    tensor, graph = layer.input, layer.graph
    if tensor.rank < 2:
        layer.refuse("is given single numbers; it takes at least 2 axes")
    width = layer.known(tensor.shape[-1], "last axis")
    units = layer.settings.integer("units")
    kernel = graph.constant(layer.weight("kernel", (width, units)), f"{layer.name}/kernel")
    shape = (*tensor.shape[:-1], units)
    if not layer.settings.flag("use_bias", True):
        return activated(layer, graph.apply("MatMul", [tensor, kernel], shape, layer.name))
    bias = graph.constant(layer.weight("bias", (units,)), f"{layer.name}/bias")
    if tensor.rank == 2:
        return activated(layer, graph.apply("Gemm", [tensor, kernel, bias], shape, layer.name))
    product = graph.apply("MatMul", [tensor, kernel], shape, layer.name)
    return activated(layer, graph.apply("Add", [product, bias], shape, layer.name))
