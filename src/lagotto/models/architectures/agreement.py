"""A skeleton and the layers of a pickled module come in; they agree, or an error says where not.

Tensors do not show strides, paddings, pooling or the epsilon of a normalization. A module that is
pickled whole has them beside its tensors. If one of them is another than that of the architecture,
the logits would be wrong, and the module is refused.
"""

import math
from collections.abc import Iterator, Mapping

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonValue
from lagotto.models.architectures.operators import (
    LayerSetting,
    SkeletonOperator,
    read_operators,
)
from lagotto.models.architectures.recognition import Recognition
from lagotto.models.architectures.skeletons import Skeleton
from lagotto.models.architectures.unknown import EXPORT_HINT
from lagotto.models.checkpoints.checkpoint import Checkpoint, PlainLayer

_OPERATORS = {
    "ReLU": {"Relu"},
    "ReLU6": {"Clip"},
    "LeakyReLU": {"LeakyRelu"},
    "ELU": {"Elu"},
    "CELU": {"Celu"},
    "SELU": {"Selu"},
    "GELU": {"Erf", "Gelu", "Tanh"},
    "SiLU": {"Sigmoid"},
    "Mish": {"Softplus", "Mish"},
    "Hardswish": {"HardSwish", "HardSigmoid", "Clip"},
    "Softplus": {"Softplus"},
    "Tanh": {"Tanh"},
    "PReLU": {"PRelu"},
}
"""Operators of ONNX, of which one at least stands for a layer of torch."""

_EPSILON = 1e-5
"""That of the normalizations of a classifier of the user's own; see assembly.py."""


def check_layers(skeleton: Skeleton, found: Recognition, checkpoint: Checkpoint) -> None:
    """Raises ModelError if a pickled module computes something else than its architecture."""
    if not checkpoint.layers and not checkpoint.weighted:
        return
    operators = list(read_operators(b"".join(skeleton.parts)))
    problems = (
        *_activations(operators, found, checkpoint),
        *_of_weights(operators, found, checkpoint),
        *_pools(operators, checkpoint),
        *_own_norms(found, checkpoint),
    )
    for path, problem in problems:
        raise ModelError(
            f"its tensors are those of {found.architecture.name}, but {path[:80]!a} {problem}; "
            f"{EXPORT_HINT}"
        )


def _activations(
    operators: list[SkeletonOperator], found: Recognition, checkpoint: Checkpoint
) -> Iterator[tuple[str, str]]:
    kinds = {item.kind for item in operators}
    of_head = {item.path.rpartition(".")[0] for item in found.head.layers} if found.head else ()
    for path, layer in checkpoint.layers.items():
        needed = _OPERATORS.get(layer.kind, set())
        is_of_head = path.rpartition(".")[0] in of_head or not path.startswith(found.root)
        if needed and not needed & kinds and not is_of_head:
            yield path, f"is a {layer.kind}, which that network has not"


def _of_weights(
    operators: list[SkeletonOperator], found: Recognition, checkpoint: Checkpoint
) -> Iterator[tuple[str, str]]:
    """Convolutions and normalizations with other settings than their operators have."""
    by_weight = {item.inputs[1]: item for item in operators if len(item.inputs) > 1}
    for name, given in found.names.items():
        if name not in by_weight:
            continue
        path, operator = given.rpartition(".")[0], by_weight[name]
        layer = checkpoint.weighted.get(path)
        for setting, wanted in _expected(operator):
            stated = None if layer is None else layer.settings.get(setting)
            if stated is not None and not _equal(stated, wanted):
                yield path, f"has {setting} {_text(stated)} in place of {_text(wanted)}"


def _expected(operator: SkeletonOperator) -> Iterator[tuple[str, JsonValue]]:
    """The settings of the layer of torch that an operator stands for."""
    settings = operator.settings
    if operator.kind in ("BatchNormalization", "LayerNormalization"):
        yield "eps", operator.epsilon
    if operator.kind != "Conv":
        return
    yield "padding_mode", "zeros"
    for setting, name in (("stride", "strides"), ("dilation", "dilations")):
        value = settings.get(name, (1, 1))
        yield setting, [*value] if isinstance(value, tuple) else value
    pads = settings.get("pads", (0, 0, 0, 0))
    if isinstance(pads, tuple) and pads[:2] == pads[2:]:
        yield "padding", [*pads[:2]]
    group = settings.get("group", 1)
    yield "groups", int(group) if isinstance(group, int | float) else 1


def _pools(operators: list[SkeletonOperator], checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    pools = [item.settings for item in operators if item.kind == "MaxPool"]
    has_global = any(item.kind in ("GlobalMaxPool", "ReduceMax") for item in operators)
    for path, layer in checkpoint.layers.items():
        name = path.rpartition(".")[2].lower()
        if layer.kind == "AdaptiveMaxPool2d" and not has_global:
            yield path, "is an AdaptiveMaxPool2d, which that network has not"
        elif layer.kind == "Identity" and "maxpool" in name and pools:
            yield path, "is an Identity, where that network has a MaxPool2d"
        elif layer.kind == "MaxPool2d" and not any(_is_pool(layer, item) for item in pools):
            yield path, "is a MaxPool2d of other settings than those of that network"


def _is_pool(layer: PlainLayer, settings: Mapping[str, LayerSetting]) -> bool:
    """Whether a layer has the settings of an operator, as far as they are in the file.

    TorchScript has them in its code only.
    """
    kernel = layer.settings.get("kernel_size")
    stated = {
        "kernel_shape": _pair(kernel),
        "strides": _pair(layer.settings.get("stride") or kernel),
        "pads": _pair(layer.settings.get("padding")) * 2,
    }
    return all(not value or settings.get(name) in (value, None) for name, value in stated.items())


def _pair(value: JsonValue) -> tuple[int, ...]:
    numbers = value if isinstance(value, list) else [value, value]
    return tuple(item for item in numbers if isinstance(item, int))


def _own_norms(found: Recognition, checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    for item in found.head.layers if found.head else ():
        layer = checkpoint.weighted.get(item.path)
        epsilon = layer.settings.get("eps", _EPSILON) if layer else _EPSILON
        if item.kind in ("batch_norm", "layer_norm") and not _equal(epsilon, _EPSILON):
            yield item.path, f"has eps {_text(epsilon)} in place of {_EPSILON}"


def _equal(stated: JsonValue, wanted: JsonValue) -> bool:
    """Whether a setting of a file is that of the architecture; "same" and such are not compared."""
    if isinstance(stated, float) and isinstance(wanted, float):
        return math.isclose(stated, wanted, rel_tol=1e-3)
    if isinstance(stated, str) and not isinstance(wanted, str):
        return True
    if isinstance(stated, int | float) and isinstance(wanted, list):
        stated = [stated] * len(wanted)
    return stated == wanted


def _text(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)[:40]
