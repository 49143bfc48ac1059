"""A network of torch comes in; its graph without weights goes out, checked against the network."""

import io
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from architectures.catalogue import Architecture, classifiers_of, randomize
from architectures.open_sizes import any_size
from lagotto.models.architectures.assembly import filled_graph
from lagotto.models.architectures.fingerprint import is_counted, is_position
from lagotto.models.architectures.skeletons import PICTURE, SCORES, Cut, Skeleton

CLASSES = 7
TOLERANCE = 1e-4
SMALL = 160
"""Edge of the pictures that networks for any size are tried on."""

OPSET = 17

_BATCH, _HEIGHT, _WIDTH = {0: "batch"}, {2: "height"}, {3: "width"}


_GAINS = (1.5, 1.1, 0.85, 0.5)


class DrawingError(Exception):
    """The graph cannot be drawn, or does not give the logits of the network."""


def draw(architecture: Architecture) -> Skeleton:
    """The skeleton of an architecture; raises DrawingError with the reason."""
    network = architecture.build(CLASSES).eval()
    randomize(network)
    usual = tuple(architecture.feed["size"])
    channels = len(architecture.feed["mean"])
    small = usual if any(map(is_position, network.state_dict())) else _smaller(usual)
    last = classifiers_of(network, architecture.classifier, CLASSES)
    reasons = []
    for size, is_open, batch in ((small, True, None), (usual, False, None), (usual, False, 1)):
        try:
            model = _export(network, (channels, *size), is_open, batch)
            empty = Skeleton((b"",) * 3, ((),) * 3, Cut(), Cut(), size, is_open, batch, channels)
            skeleton = _split(network, model, last, empty)
            return _checked(architecture, network, skeleton)
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {' '.join(str(error).split())[:150]}")
    raise DrawingError(" | ".join(reasons))


def _checked(architecture: Architecture, network: nn.Module, skeleton: Skeleton) -> Skeleton:
    """The skeleton with its error.

    Very deep networks with random weights are chaotic: they blow up differences of rounding. Such
    a one is tried again with smaller weights.
    """
    for gain in _GAINS:
        randomize(network, gain=gain)
        try:
            error = _check(architecture, network, skeleton, gain)
        except DrawingError:
            if gain == _GAINS[-1]:
                raise
        else:
            return replace(skeleton, error=float(f"{error:.1e}"))
    return skeleton


def _smaller(size: tuple[int, int]) -> tuple[int, int]:
    return min(size[0], SMALL), min(size[1], SMALL)


def _export(
    network: nn.Module, size: tuple[int, int, int], is_open: bool, batch: int | None
) -> onnx.ModelProto:
    axes = {} if batch else dict(_BATCH)
    if is_open:
        axes |= _HEIGHT | _WIDTH
    stream = io.BytesIO()
    with any_size() if is_open else nullcontext():
        _trace(network, torch.rand(batch or 2, *size), stream, axes)
    return onnx.load_from_string(stream.getvalue())


def _trace(
    network: nn.Module, pictures: torch.Tensor, stream: io.BytesIO, axes: dict[int, str]
) -> None:
    torch.onnx.export(
        network,
        (pictures,),
        stream,
        dynamo=False,
        opset_version=OPSET,
        do_constant_folding=False,  # it would merge weights under names of its own
        training=torch.onnx.TrainingMode.PRESERVE,  # eval would fold normalizations into layers
        input_names=[PICTURE],
        output_names=[SCORES],
        dynamic_axes={PICTURE: axes} if axes else None,
    )


def _split(
    network: nn.Module, model: onnx.ModelProto, last: tuple[str, ...], empty: Skeleton
) -> Skeleton:
    graph = model.graph
    if len(graph.output) != 1:
        raise DrawingError(f"{len(graph.output)} outputs")
    saved = {name for name in network.state_dict() if is_counted(name)}
    inline = [item for item in graph.initializer if item.name not in saved]
    weights = {item.name for item in graph.initializer} - {item.name for item in inline}
    _share_constants(graph)
    _shorten_names(graph, weights)
    module = last[0].partition(".")[0]
    of_last = _nodes_after(graph, weights, last)
    of_neck = _nodes_after(graph, weights, (module,)) - of_last
    groups: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for at, node in enumerate(graph.node):
        groups[2 if at in of_last else 1 if at in of_neck else 0].append(node)
    used = [_used(group, weights) for group in groups]
    if sum(map(len, used)) != len(set().union(*used)):
        raise DrawingError("a weight is used by two parts")
    head = onnx.ModelProto(ir_version=8, opset_import=model.opset_import)
    head.graph.name = "network"
    head.graph.initializer.extend(inline)
    head.graph.node.extend(groups[0])
    rest = [onnx.ModelProto(), onnx.ModelProto()]
    for part, group in zip(rest, groups[1:], strict=True):
        part.graph.node.extend(group)
    parts = [part.SerializeToString(deterministic=True) for part in (head, *rest)]
    skeleton = replace(
        empty, parts=(parts[0], parts[1], parts[2]), weights=(used[0], used[1], used[2])
    )
    cuts = (
        _cut(network, skeleton, groups[1] + groups[2], groups[0]) if groups[1] else Cut(),
        _cut(network, skeleton, groups[2], groups[0] + groups[1]),
    )
    return replace(skeleton, before_neck=cuts[0], before_last=cuts[1])


def _share_constants(graph: onnx.GraphProto) -> None:
    """Keeps one of several constants with the same value."""
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = same.get(name, name)
        if node.op_type == "Constant":
            value = node.attribute[0].SerializeToString(deterministic=True)
            if first.setdefault(value, node.output[0]) != node.output[0]:
                same[node.output[0]] = first[value]
                continue
        nodes.append(node)
    constants = [node for node in nodes if node.op_type == "Constant"]
    others = [node for node in nodes if node.op_type != "Constant"]
    del graph.node[:]
    graph.node.extend(constants + others)


def _shorten_names(graph: onnx.GraphProto, weights: set[str]) -> None:
    """Numbers the tensors between operators, and takes off what is there for readers only."""
    kept = weights | {PICTURE, SCORES, ""}
    short: dict[str, str] = {}
    for item in graph.initializer:
        if item.name not in kept:
            short[item.name] = f"c{len(short)}"
            item.name = short[item.name]
    for node in graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
        for at, name in enumerate(node.input):
            node.input[at] = short.get(name, name)
        for at, name in enumerate(node.output):
            if name not in kept:
                short[name] = f"t{len(short)}"
                node.output[at] = short[name]


def _nodes_after(graph: onnx.GraphProto, weights: set[str], layers: tuple[str, ...]) -> set[int]:
    """The operators that depend on a weight of some layers."""
    reached = {name for name in weights if any(name.startswith(f"{item}.") for item in layers)}
    nodes = set()
    for at, node in enumerate(graph.node):
        if reached.intersection(node.input):
            nodes.add(at)
            reached.update(node.output)
    return nodes


def _used(nodes: Iterable[Any], weights: set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for node in nodes for name in node.input if name in weights))


def _cut(network: nn.Module, skeleton: Skeleton, after: list[Any], before: list[Any]) -> Cut:
    """The only tensor that `after` takes from the operators before, if it is a row a picture."""
    made = {name for node in after for name in node.output}
    constants = {node.output[0] for node in before if node.op_type == "Constant"}
    computed = {name for node in before for name in node.output} - constants
    taken = {name for node in after for name in node.input} & computed - made
    if len(taken) != 1:
        return Cut()
    (tensor,) = taken
    pictures = _pictures(skeleton, skeleton.size, skeleton.batch or 2)
    (values,) = _session(network, skeleton, tensor).run([tensor], {PICTURE: pictures.numpy()})
    return Cut(tensor, values.shape[1]) if values.ndim == 2 else Cut()


def _session(network: nn.Module, skeleton: Skeleton, *further: str) -> Any:
    """The skeleton with the weights of a network, opened, with further outputs."""
    tensors = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    data, weights = filled_graph(skeleton, tensors, skeleton.channels)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    if further:
        model = onnx.load_from_string(data)
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in further)
        data = model.SerializeToString()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    arrays = map(np.ascontiguousarray, weights.values())
    values = map(onnxruntime.OrtValue.ortvalue_from_numpy, arrays)
    options.add_external_initializers(list(weights), list(values))
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _check(
    architecture: Architecture, network: nn.Module, skeleton: Skeleton, gain: float
) -> float:
    """The largest error on pictures of all sizes that the skeleton says it takes."""
    height, width = skeleton.size
    session = _session(network, skeleton)
    error = _compare(network, session, skeleton, (height, width))
    if not skeleton.is_open:
        return error
    if not any(map(is_position, network.state_dict())):
        others = (
            _compare(network, session, skeleton, size) for size in _other_sizes(height, width)
        )
        return max(error, *others)
    edge = (height + 64) // 32 * 32
    other = architecture.build(CLASSES, img_size=edge).eval()
    randomize(other, gain=gain)
    return max(error, _compare(other, _session(other, skeleton), skeleton, (edge, edge)))


def _other_sizes(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Sizes smaller, larger, odd and not square, so that each branch of a code is taken."""
    yield max(height - 32, height // 2), width + 32
    yield height * 15 // 14 | 1, width * 13 // 14 | 1
    yield height * 9 // 5 // 8 * 8, width * 8 // 5 // 8 * 8


def _compare(network: nn.Module, session: Any, skeleton: Skeleton, size: tuple[int, int]) -> float:
    """The error of the logits on two pictures, as a share of the largest logit."""
    pictures = _pictures(skeleton, size, 2)
    with torch.no_grad():
        expected = network(pictures).numpy()
    step = skeleton.batch or len(pictures)
    pieces = [
        session.run([SCORES], {PICTURE: pictures[at : at + step].numpy()})[0]
        for at in range(0, len(pictures), step)
    ]
    logits = np.concatenate(pieces)
    if logits.shape != expected.shape:
        raise DrawingError(f"logits {logits.shape} for {expected.shape}")
    scale = float(np.abs(expected).max())
    spread = float(np.ptp(expected, axis=0).max())
    if not np.isfinite(expected).all() or not spread > 1e-4 * scale:
        raise DrawingError(f"random weights say nothing: scale {scale:.1e}, spread {spread:.1e}")
    error = float(np.abs(logits - expected).max()) / scale
    if not error <= TOLERANCE:
        raise DrawingError(f"logits differ by {error:.1e} at {size[0]}x{size[1]}")
    return error


def _pictures(skeleton: Skeleton, size: tuple[int, int], batch: int) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(1)
    coarse = torch.randn(batch, skeleton.channels, 9, 9, generator=drawn)
    return nn.functional.interpolate(coarse, size=size, mode="bicubic")
