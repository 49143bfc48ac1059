"""A graph and one of its tensors come in; how its values are read goes out."""

from lagotto.models.files.activation import Activation
from lagotto.models.files.onnx_graph import OnnxGraph
from lagotto.models.files.tensors import OutputTensor, Quantization

# For operators with integer results: which input holds the scale; the zero point comes next.
_RESULT_SCALE_AT = {"QuantizeLinear": 1, "QLinearSoftmax": 3, "QLinearSigmoid": 3, "QGemm": 7}
_RESULT_SCALE_AT |= {"QLinearMatMul": 6, "QLinearConv": 6, "QLinearAdd": 6}

_DTYPES = {"float": "float32", "double": "float64"}
"""numpy names of the types that onnxruntime calls otherwise."""


def output_tensor(
    graph: OnnxGraph, published: str, ending: Activation | None, cut: bool
) -> OutputTensor:
    """The tensor that is read for a published output, whose graph ends in an activation or none.

    With `cut`, it is the one that feeds the activation.
    """
    if ending is None:
        return OutputTensor(published, None, False, result_quantization(graph, published))
    if not cut or not ending.same_classes:
        quantization = result_quantization(graph, published)
        gain, step = ending.gain, ending.step
        return OutputTensor(published, ending.kind, False, quantization, gain, step, ending.is_log)
    quantization = None
    if ending.node.op.startswith("QLinear"):
        quantization = read_quantization(graph, ending.node.inputs, 1)
    return OutputTensor(ending.feed, ending.kind, True, quantization)


def result_quantization(graph: OnnxGraph, tensor: str) -> Quantization | None:
    """The quantization that the operator which makes a tensor gives it; None without one."""
    node = graph.producers.get(tensor)
    if node is None or node.op not in _RESULT_SCALE_AT:
        return None
    return read_quantization(graph, node.inputs, _RESULT_SCALE_AT[node.op])


def read_quantization(graph: OnnxGraph, inputs: tuple[str, ...], at: int) -> Quantization | None:
    """The quantization in the inputs of an operator: its scale at `at`, its zero point behind."""
    if len(inputs) <= at:
        return None
    return graph.quantization(inputs[at], inputs[at + 1] if len(inputs) > at + 1 else None)


def numpy_name(kind: str) -> str:
    """The numpy name of a type of onnxruntime (tensor(float)); other types stay as they are."""
    inner = kind.removeprefix("tensor(").removesuffix(")")
    return _DTYPES.get(inner, inner if kind.startswith("tensor(") else kind)


def known_sizes(shape: list[int | str | None]) -> tuple[int | None, ...]:
    """A shape as onnxruntime says it; None for a dimension that is open or has a name."""
    return tuple(size if isinstance(size, int) and size > 0 else None for size in shape)
