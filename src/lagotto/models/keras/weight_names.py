"""The layers of a network and the arrays of its file come in; the weights of each layer go out.

Keras writes weights in three ways: a list for each layer of the outermost model (.h5), a tree of
groups named after classes (.keras), and names alone (TensorFlow.js).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.keras.configuration import LayerConfig, NetworkConfig
from lagotto.models.keras.layers.layer import Variables
from lagotto.models.keras.network import layer_kind
from lagotto.models.keras.saved_model import LayerPath, LayerWeights

_SHOWN = 60
_NUMBERED = re.compile(r"(?::\d+)?$")
_COUNTED = re.compile(r"_\d+$")
_FIRST_NAMES = {"W": "kernel", "b": "bias"}
_FIRST_KERAS = re.compile(r"(.+)_(W|b|gamma|beta|running_mean|running_std)")
_OTHER_NAMES = {
    "depthwise_kernel": ("kernel",),  # of a DepthwiseConv in Keras 3
    "gamma": ("variable", "layer_scale"),
    "moving_mean": ("running_mean",),
    "moving_variance": ("running_std", "moving_var"),
}
"""Names that other versions of Keras gave to a weight."""

Wanted = tuple[LayerPath, str]
"""A layer, and the name of one of its weights."""


def leaves(network: NetworkConfig, path: LayerPath = ()) -> Iterator[tuple[LayerPath, LayerConfig]]:
    """All layers that compute something themselves, with the models in which they lie, in order."""
    for layer in network.layers:
        if layer.model is not None:
            yield from leaves(layer.model, (*path, layer.name))
        elif layer.kind != "InputLayer":
            yield (*path, layer.name), layer


def _variables(layer: LayerConfig) -> Variables:
    return layer_kind(layer).variables(layer)


# ------------------------------------------------------------------------------------- .h5


def weights_by_list(
    network: NetworkConfig, lists: Mapping[str, Sequence[tuple[str, StoredTensor]]]
) -> LayerWeights:
    """The weights of each layer, of a file with a list for each layer of the outermost model.

    Args:
        network: The outermost model.
        lists: By the name of such a layer: the names and arrays, in the order of the file.

    Raises:
        ModelError: A layer lacks weights, or it cannot be told which are whose.
    """
    found: dict[LayerPath, dict[str, StoredTensor]] = {}
    for layer in network.layers:
        wanted = _in_order(layer)
        if not wanted:
            continue
        given = lists.get(layer.name)
        if not given:
            raise ModelError(f"{layer.text} has no weights in the file; save the whole model")
        for (path, name), tensor in _matched(layer, wanted, given):
            found.setdefault(path, {})[name] = tensor
    return found


def _in_order(layer: LayerConfig) -> list[Wanted]:
    """What a layer of the outermost model holds: first all that is trained, then the rest."""
    if layer.kind == "InputLayer":
        return []
    inside: list[tuple[LayerPath, LayerConfig]] = [((layer.name,), layer)]
    if layer.model is not None:
        inside = list(leaves(layer.model, (layer.name,)))
    trained: list[Wanted] = []
    fixed: list[Wanted] = []
    for path, item in inside:
        variables = _variables(item)
        frozen = item.settings.get("trainable") is False
        (fixed if frozen else trained).extend((path, name) for name in variables.trained)
        fixed += [(path, name) for name in variables.fixed]
    return trained + fixed


def _matched(
    layer: LayerConfig, wanted: Sequence[Wanted], given: Sequence[tuple[str, StoredTensor]]
) -> list[tuple[Wanted, StoredTensor]]:
    """Which array is which weight: by the names if these are plain, else by the order."""
    by_name: dict[Wanted, StoredTensor] = {}
    for item in wanted:
        fits = [tensor for name, tensor in given if _is_called(name, item, True)]
        if len(fits) == 1:
            by_name[item] = fits[0]
    if len(by_name) == len(wanted) == len(given):
        return list(by_name.items())
    in_order = len(wanted) == len(given) and all(
        _is_called(name, item, False) for item, (name, _) in zip(wanted, given, strict=True)
    )
    if in_order:
        return [(item, tensor) for item, (_, tensor) in zip(wanted, given, strict=True)]
    raise ModelError(
        f"{layer.text} needs {len(wanted)} weights ({_listed(n for _, n in wanted)}); the file has "
        f"{len(given)} ({_listed(n for n, _ in given)}), and which is which cannot be told"
    )


def _is_called(stored: str, wanted: Wanted, with_layer: bool) -> bool:
    """Whether a name in a file is that of a weight; with `with_layer`, of that very layer."""
    path, name = wanted
    parts = _parts(stored)
    for variable in (name, *_OTHER_NAMES.get(name, ())):
        inner = variable.split("/")
        ends_so = parts[-len(inner) :] == inner or (
            parts[-len(inner) : -1] == inner[:-1] and _COUNTED.sub("", parts[-1]) == inner[-1]
        )
        if not ends_so:
            continue
        layer = path[-1].split("/")  # older names of layers have slashes themselves
        if not with_layer or parts[: -len(inner)][-len(layer) :] == layer:
            return True
    return False


def _parts(stored: str) -> list[str]:
    """A name in a file, split into the layer and the weight; Keras 1 wrote dense_1_W for both."""
    plain = _NUMBERED.sub("", stored)
    first = _FIRST_KERAS.fullmatch(plain)
    if first is not None:
        return [*first[1].split("/"), _FIRST_NAMES.get(first[2], first[2])]
    return plain.split("/")


def _listed(names: Iterator[str]) -> str:
    shown = [name[:_SHOWN] for _, name in zip(range(4), names, strict=False)]
    return ", ".join(shown) + (", ..." if len(shown) == 4 else "")


# ---------------------------------------------------------------------------------- .keras


def weights_by_place(
    network: NetworkConfig, arrays: Mapping[str, StoredTensor], names: Mapping[str, str]
) -> LayerWeights:
    """The weights of each layer, of a file with a group for each layer, named after its class.

    Args:
        network: The outermost model.
        arrays: All arrays by their places, for example "layers/conv2d_1/vars/0".
        names: The names of layers that some versions note at their groups ("layers/conv2d/vars").

    Raises:
        ModelError: A layer lacks weights, or a group belongs to another layer.
    """
    found: dict[LayerPath, dict[str, StoredTensor]] = {}
    home = "layers"
    if not any(place.startswith("layers/") for place in arrays):
        home = "_layer_checkpoint_dependencies"
    _place_all(network, (), home, arrays, names, found)
    return found


def _place_all(
    network: NetworkConfig,
    path: LayerPath,
    home: str,
    arrays: Mapping[str, StoredTensor],
    names: Mapping[str, str],
    found: dict[LayerPath, dict[str, StoredTensor]],
) -> None:
    counts: Counter[str] = Counter()
    for layer in network.layers:
        if layer.kind.startswith("ops."):
            continue  # an operation of Keras 3 is no layer
        stem = _snake(_class_name(layer))
        number = counts[stem]
        counts[stem] += 1
        place = f"{home}/{stem}_{number}" if number else f"{home}/{stem}"
        inner = (*path, layer.name)
        if layer.model is not None:
            _place_all(layer.model, inner, f"{place}/{home.split('/')[-1]}", arrays, names, found)
        elif layer.kind != "InputLayer":
            found[inner] = _at_place(layer, place, arrays, names)


def _at_place(
    layer: LayerConfig,
    place: str,
    arrays: Mapping[str, StoredTensor],
    names: Mapping[str, str],
) -> dict[str, StoredTensor]:
    noted = names.get(f"{place}/vars")
    variables = _variables(layer).names
    if noted is not None and noted != layer.name and variables:
        raise ModelError(f"{layer.text} would get the weights of {noted[:_SHOWN]!r}; save it anew")
    result: dict[str, StoredTensor] = {}
    counts: Counter[str] = Counter()
    for name in variables:
        part = name.rpartition("/")[0]
        places = [f"{place}/vars"]
        if part:
            short = part.removeprefix("attention_")
            places = [f"{place}/{short}_dense/vars", f"{place}/_{short}_dense/vars"]
        index = counts[part]
        counts[part] += 1
        tensors = [arrays[f"{item}/{index}"] for item in places if f"{item}/{index}" in arrays]
        if len(tensors) != 1:
            raise ModelError(f"{layer.text} has no weight {name!r} in the file; save it again")
        result[name] = tensors[0]
    return result


def _class_name(layer: LayerConfig) -> str:
    if layer.model is not None:
        return layer.model.kind
    kind = layer.kind
    if kind.startswith("tf."):
        return "SlicingOpLambda" if kind == "tf.__operators__.getitem" else "TFOpLambda"
    return kind.rpartition(".")[2]


def _snake(name: str) -> str:
    """The name of a class as Keras writes it in lower case: Conv2D is conv2d, ReLU is re_lu."""
    plain = re.sub(r"\W+", "", name)
    split = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", plain)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", split).lower()


# -------------------------------------------------------------------------- TensorFlow.js


def weights_by_name(network: NetworkConfig, arrays: Mapping[str, StoredTensor]) -> LayerWeights:
    """The weights of each layer, of a file that has names alone; ModelError if one is missing."""
    by_last: dict[str, list[str]] = {}
    for name in arrays:
        by_last.setdefault(_NUMBERED.sub("", name).split("/")[-1], []).append(name)
    found: dict[LayerPath, dict[str, StoredTensor]] = {}
    for path, layer in leaves(network):
        for variable in _variables(layer).names:
            wanted = (path, variable)
            last = variable.split("/")[-1]
            spellings = (last, *_OTHER_NAMES.get(variable, ()))
            near = [name for spelling in spellings for name in by_last.get(spelling, ())]
            fits = [name for name in near if _is_called(name, wanted, True)]
            if len(fits) > 1:
                fits = [name for name in fits if all(part in name.split("/") for part in path)]
            if len(fits) != 1:
                why = "no" if not fits else "several arrays for its"
                raise ModelError(f"{layer.text} has {why} weight {variable!r} in the file")
            found.setdefault(path, {})[variable] = arrays[fits[0]]
    return found
