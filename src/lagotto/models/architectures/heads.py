"""Tensors that belong to no known network come in; the classifier that they are goes out.

People put classifiers of their own behind a known network: one linear layer, or a few with
activations and dropout between them. The layers follow from the shapes. Activations leave no
tensor: in an `nn.Sequential` the numbers of the layers show where something stands, and there ReLU
is assumed, with a note. A whole pickled module has its activations, and these are taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lagotto.core.errors import ModelError
from lagotto.models.architectures.activations import (
    ACTIVATIONS,
    RELU,
    Steps,
    activation_steps,
)
from lagotto.models.architectures.fingerprint import Shape
from lagotto.models.checkpoints.checkpoint import PlainLayer

HeadLayerKind = Literal["linear", "batch_norm", "layer_norm", "activation"]
_MOST_LAYERS = 12
_OF_OUTPUTS = frozenset({"Sigmoid"})
"""Activations that stand behind the last layer more often than between layers."""

_WITHOUT_EFFECT = ("Dropout", "Identity", "AlphaDropout", "Flatten")
_COUNTER = "num_batches_tracked"
_RUNNING = "running_mean"


@dataclass(frozen=True, slots=True)
class HeadLayer:
    """A layer of a classifier.

    `path` is the name of its module in the checkpoint, without the ending `.weight`; for an
    activation it is its class, and `steps` are its operators. `has_bias` is False for a linear
    layer without one.
    """

    kind: HeadLayerKind
    path: str = ""
    inputs: int = 0
    outputs: int = 0
    has_bias: bool = True
    steps: Steps = ()


@dataclass(frozen=True, slots=True)
class Head:
    """A classifier: its layers in order, and notes on what was assumed."""

    layers: tuple[HeadLayer, ...]
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        """The number of features that it takes."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """The number of its classes."""
        return self.layers[-1].outputs


def read_head(tensors: Mapping[str, Shape], plain: Mapping[str, PlainLayer] | None = None) -> Head:
    """The classifier that some tensors are.

    Args:
        tensors: Names and shapes, in the order of the file.
        plain: The layers without tensors, by path, where the file has them. Then no activation is
            assumed that is not among them.

    Raises:
        ModelError: They are no chain of linear layers and normalizations, or have an activation
            that is not known.
    """
    layers = [_layer(path, parts) for path, parts in _by_module(tensors)]
    if not layers or len(layers) > _MOST_LAYERS:
        raise ModelError(f"its classifier has {len(layers)} layers; allowed: 1 to {_MOST_LAYERS}")
    if layers[-1].kind != "linear":
        raise ModelError(f"its last layer {layers[-1].path!a} is no linear layer")
    for before, after in pairwise(layers):
        if before.outputs != after.inputs:
            raise ModelError(
                f"{before.path!a} gives {before.outputs:,} values and {after.path!a} takes "
                f"{after.inputs:,}: the layers of its classifier are no chain"
            )
    named = _with_known_activations(layers, plain or {})
    if named is not None:
        return Head(tuple(named))
    return _with_activations(layers, plain or {})


def _by_module(tensors: Mapping[str, Shape]) -> Iterator[tuple[str, dict[str, Shape]]]:
    modules: dict[str, dict[str, Shape]] = {}
    for name, shape in tensors.items():
        path, _, part = name.rpartition(".")
        if part != _COUNTER:
            modules.setdefault(path, {})[part] = shape
    yield from modules.items()


def _layer(path: str, parts: Mapping[str, Shape]) -> HeadLayer:
    weight = parts.get("weight", ())
    has_bias = "bias" in parts
    plain = parts.keys() <= {"weight", "bias"}
    if len(weight) == 4 and weight[2:] == (1, 1):
        weight = weight[:2]  # a convolution of one pixel is a linear layer
    if plain and len(weight) == 2:
        return HeadLayer("linear", path, weight[1], weight[0], has_bias)
    if parts.keys() >= {"weight", "bias", _RUNNING, "running_var"} and len(weight) == 1:
        return HeadLayer("batch_norm", path, weight[0], weight[0])
    if plain and has_bias and len(weight) == 1:
        return HeadLayer("layer_norm", path, weight[0], weight[0])
    listed = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in parts.items())
    raise ModelError(f"{path!a} ({listed[:120]}) is no layer of a classifier that is known")


def _only_activation(layers: Sequence[HeadLayer], plain: Mapping[str, PlainLayer]) -> PlainLayer:
    """The activation of a classifier whose layers are called by code: the only one beside them.

    ReLU if there is none, since code may call a function. Raises ModelError if there are several.
    """
    parents = {layer.path.rpartition(".")[0] for layer in layers}
    beside = [
        layer
        for path, layer in plain.items()
        if path.rpartition(".")[0] in parents and layer.kind in ACTIVATIONS
    ]
    between = [layer for layer in beside if layer.kind not in _OF_OUTPUTS]
    choices = {(layer.kind, activation_steps(layer)): layer for layer in between}
    if len(choices) > 1:
        kinds = ", ".join(sorted({kind for kind, _ in choices}))
        raise ModelError(
            f"beside its classifier are {len(choices)} activations ({kinds}), and the file does "
            "not say which stands between its layers"
        )
    return next(iter(choices.values()), RELU)


def _with_activations(layers: Sequence[HeadLayer], plain: Mapping[str, PlainLayer]) -> Head:
    """The layers with an activation between linear layers where something may stand."""
    placed = [layers[0]]
    assumed = []
    linear = [at for at, layer in enumerate(layers) if layer.kind == "linear"]
    ends = {}
    for first, second in pairwise(linear):
        at = _activation_place(layers[first : second + 1])
        if at is not None:
            ends[first + at] = layers[second].path
            assumed.append(layers[first].path)
    activation = _only_activation(layers, plain) if assumed else RELU
    for at, layer in enumerate(layers[1:]):
        if at in ends:
            placed.append(_activation(activation, layers[at].outputs))
        placed.append(layer)
    if not assumed:
        return Head(tuple(placed))
    after = ", ".join(repr(path) for path in assumed)
    note = f"{activation.kind} assumed after {after}: a checkpoint does not say it"
    return Head(tuple(placed), (note,))


def _activation(layer: PlainLayer, size: int) -> HeadLayer:
    return HeadLayer("activation", layer.kind, size, size, steps=activation_steps(layer))


def _with_known_activations(
    layers: Sequence[HeadLayer], plain: Mapping[str, PlainLayer]
) -> list[HeadLayer] | None:
    """The layers with the activations of a list that the file has; None if it has no such list.

    Raises ModelError for a layer that is not known.
    """
    parents = {layer.path.rpartition(".")[0] for layer in layers}
    numbers = [_number(layer.path) for layer in layers]
    if not plain or len(parents) > 1 or None in numbers:
        return None
    (parent,) = parents
    placed = {
        f"{parent}.{number}" if parent else str(number): layer
        for number, layer in zip(numbers, layers, strict=True)
    }
    last = max(number or 0 for number in numbers)
    found = []
    for number in range(last + 1):
        path = f"{parent}.{number}" if parent else str(number)
        if path in placed:
            found.append(placed[path])
            continue
        layer = plain.get(path)
        kind = "layer" if layer is None else layer.kind
        if layer is not None and kind in ACTIVATIONS:
            found.append(_activation(layer, found[-1].outputs if found else layers[0].inputs))
        elif kind not in _WITHOUT_EFFECT:
            raise ModelError(f"its classifier has a {kind} in {path!a}, not known here")
    return found


def _activation_place(layers: Sequence[HeadLayer]) -> int | None:
    """After which of some layers, two linear ones at the ends, an activation stands."""
    parents = {layer.path.rpartition(".")[0] for layer in layers}
    numbers = [number for layer in layers if (number := _number(layer.path)) is not None]
    if len(parents) > 1 or len(numbers) < len(layers):
        return len(layers) - 2  # after the normalization, if there is one
    gaps = (after - before > 1 for before, after in pairwise(numbers))
    return next((at for at, is_gap in enumerate(gaps) if is_gap), None)


def _number(path: str) -> int | None:
    last = path.rpartition(".")[2]
    return int(last) if last.isdecimal() and len(last) < 6 else None
