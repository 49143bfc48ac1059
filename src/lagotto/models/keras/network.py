"""The layers of a network, with their weights, come in; its ONNX graph goes out."""

from collections.abc import Mapping, Sequence

from lagotto.core.errors import ModelError
from lagotto.core.registry import suggest
from lagotto.core.types import JsonValue
from lagotto.models.keras.call_arguments import Argument, Call, TensorReference
from lagotto.models.keras.configuration import LayerConfig, NetworkConfig
from lagotto.models.keras.graph import Graph, Tensor, TensorShape
from lagotto.models.keras.layers.layer import Layer, LayerKind, is_neutral
from lagotto.models.keras.layers.settings import LayerSettings
from lagotto.models.keras.saved_model import LayerPath, LayerWeights
from lagotto.models.keras.table import (
    COMMON_IGNORED,
    IGNORED_ENDINGS,
    LAYERS,
    REFUSED,
)

_HALF = ("float16", "mixed_float16", "bfloat16", "mixed_bfloat16", "float64")
_SWITCHES = ("training", "mask", "name", "dtype", "return_attention_scores", "use_causal_mask")
MAX_CALLS = 10_000
"""Calls of layers at most; models that call each other several times can hide billions."""

_EXPORT = "export the model as ONNX (model.export('model.onnx', format='onnx')) or TFLite"
_SHOWN = 60


def layer_kind(layer: LayerConfig) -> LayerKind:
    """The entry of a layer in the table; ModelError names a layer that is not in it."""
    if layer.kind in LAYERS:
        return LAYERS[layer.kind]
    if layer.kind in REFUSED:
        raise ModelError(f"{layer.text} {REFUSED[layer.kind]}; {_EXPORT}")
    where = "an operation" if layer.kind.startswith(("ops.", "tf.")) else "a layer"
    hint = suggest(layer.kind, sorted(LAYERS)) if where == "a layer" else ""
    raise ModelError(f"{layer.text} is {where} that is not translated;{hint} {_EXPORT}")


def check_settings(layer: LayerConfig, kind: LayerKind) -> None:
    """Raises ModelError for a setting that is not in the table and says something."""
    if "*" in kind.ignored:
        return
    for key, value in layer.settings.items():
        if key in kind.keys or key in kind.ignored or key in COMMON_IGNORED:
            continue
        if key == "dtype" or key.endswith(IGNORED_ENDINGS) or is_neutral(value):
            continue
        raise ModelError(
            f"{layer.text} has the setting {key[:_SHOWN]!r} = {ascii(value)[:_SHOWN]}, which is "
            f"not translated; {_EXPORT}"
        )


def precision(layer: LayerConfig) -> str:
    """The type in which a layer computes; ModelError for one that is no plain number."""
    value: JsonValue = layer.settings.get("dtype")
    if isinstance(value, dict):
        config = value.get("config")
        value = config.get("name") if isinstance(config, dict) else None
    if value is None:
        return "float32"
    if not isinstance(value, str) or value not in ("float32", *_HALF):
        raise ModelError(
            f"{layer.text} computes in {ascii(value)[:_SHOWN]}; allowed: float32, "
            f"{', '.join(_HALF)}: {_EXPORT}"
        )
    return value


class NetworkWriter:
    """Writes a network into a graph, each layer when all that it needs is there."""

    def __init__(self, graph: Graph, weights: LayerWeights) -> None:
        self._graph = graph
        self._weights = weights
        self._halves: set[str] = set()
        self._calls = 0

    def write(
        self, network: NetworkConfig, path: LayerPath, inputs: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """The results of a network on some inputs.

        Args:
            network: The network.
            path: The names of the models in which it lies.
            inputs: A tensor for each of its inputs.

        Raises:
            ModelError: A layer cannot be translated, or refers to one that is not there.
        """
        if len(inputs) != len(network.inputs):
            raise ModelError(
                f"model {network.name[:_SHOWN]!r} is called with {len(inputs)} tensors; it has "
                f"{len(network.inputs)} inputs"
            )
        layers = {layer.name: layer for layer in network.layers}
        offsets = _offsets(network)
        results: dict[tuple[str, int], tuple[Tensor, ...]] = {}
        for reference, tensor in zip(network.inputs, inputs, strict=True):
            results[(reference.layer, 0)] = (tensor,)
        pending = [_node(item, offsets) for item in reversed(network.outputs)]
        waiting: set[tuple[str, int]] = set()
        while pending:
            node = pending[-1]
            if node in results:
                pending.pop()
                continue
            layer, call = _called(layers, node, network)
            needed = [_node(item, offsets) for item in call.references()]
            missing = [item for item in needed if item not in results]
            if missing:
                if node in waiting:
                    raise ModelError(f"{layer.text} waits for its own result")
                waiting.add(node)
                pending += reversed(missing)
                continue
            tensors = {
                item: _result(results[_node(item, offsets)], item) for item in call.references()
            }
            results[node] = self._layer(layer, call, tensors, path)
            pending.pop()
        return tuple(_result(results[_node(item, offsets)], item) for item in network.outputs)

    def _layer(
        self,
        config: LayerConfig,
        call: Call,
        tensors: Mapping[TensorReference, Tensor],
        path: LayerPath,
    ) -> tuple[Tensor, ...]:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ModelError(f"the network calls over {MAX_CALLS:,} layers; it is no classifier")
        first = call.positional[0] if call.positional else None
        if first is None:
            first = next(iter(call.named.values()), None)
        inputs = tuple(_tensors(first, tensors))
        if config.model is not None:
            _check_call(config, call, ("inputs",))
            return self.write(config.model, (*path, config.name), inputs)
        kind = layer_kind(config)
        check_settings(config, kind)
        _check_call(config, call, kind.arguments or ("inputs",))
        self._note_precision(config)
        keys = kind.keys | kind.ignored
        layer = Layer(
            config=config,
            settings=LayerSettings(config.text, config.settings, keys),
            graph=self._graph,
            inputs=inputs,
            call=call,
            tensors=tensors,
            parameters=kind.arguments,
            stored=self._weights.get((*path, config.name), {}),
        )
        result = kind.write(layer)
        several = result if isinstance(result, tuple) else (result,)
        _check_rank(config, several)
        return several

    def _note_precision(self, config: LayerConfig) -> None:
        kind = precision(config)
        if kind != "float32" and kind not in self._halves:
            self._halves.add(kind)
            self._graph.notes.append(f"layers of {kind} are computed in float32")


def _check_rank(config: LayerConfig, tensors: Sequence[Tensor]) -> None:
    for tensor in tensors:
        if any(size is not None and size < 1 for size in tensor.shape):
            raise ModelError(f"{config.text} gives a tensor without any number")


def _check_call(config: LayerConfig, call: Call, parameters: tuple[str, ...]) -> None:
    """Raises ModelError for an argument that is not in the table and says something."""
    known = {name for several in parameters for name in several.split("|")}
    for position, value in enumerate(call.positional[len(parameters) :]):
        if not _says_nothing(value):
            raise ModelError(
                f"{config.text} is called with an argument {position + len(parameters) + 1} that "
                f"is not translated; {_EXPORT}"
            )
    for name, value in call.named.items():
        if name in known or _says_nothing(value):
            continue
        if name == "training" and config.version >= 3:
            continue  # Keras 3 notes how it was called, and does not mind that when it predicts
        if name == "data_format" and value in ("channels_last", "NHWC"):
            continue
        if name == "dtype" and value in ("float32", *_HALF):
            continue
        if name == "name" and isinstance(value, str):
            continue
        training = " (it behaves as in training)" if name == "training" else ""
        raise ModelError(
            f"{config.text} is called with {name[:_SHOWN]!r}, which is not translated{training}; "
            f"{_EXPORT}"
        )


def _says_nothing(value: Argument) -> bool:
    return value is None or value is False or value == [] or value == {}


def _tensors(argument: Argument, tensors: Mapping[TensorReference, Tensor]) -> list[Tensor]:
    """The tensors in the first argument of a call; constants in it are left to the layer."""
    if isinstance(argument, TensorReference):
        return [tensors[argument]]
    if isinstance(argument, list):
        return [tensor for item in argument for tensor in _tensors(item, tensors)]
    return []


def _offsets(network: NetworkConfig) -> Mapping[str, int]:
    """The number at which the calls of each layer begin.

    Keras 1 and 2 count the making of a model that lies in another as its first call.
    """
    used: dict[str, set[int]] = {}
    calls = [call for layer in network.layers for call in layer.calls]
    for reference in (*network.outputs, *(item for call in calls for item in call.references())):
        used.setdefault(reference.layer, set()).add(reference.call)
    offsets = {}
    for layer in network.layers:
        numbers = used.get(layer.name, set())
        if layer.model is None or not numbers or network.kind == "Sequential":
            continue
        past = max(numbers) >= len(layer.calls)
        if past or (layer.version < 3 and 0 not in numbers):
            offsets[layer.name] = 1
    return offsets


def _node(reference: TensorReference, offsets: Mapping[str, int]) -> tuple[str, int]:
    return reference.layer, reference.call - offsets.get(reference.layer, 0)


def _called(
    layers: Mapping[str, LayerConfig], node: tuple[str, int], network: NetworkConfig
) -> tuple[LayerConfig, Call]:
    name, number = node
    layer = layers.get(name)
    if layer is None or not 0 <= number < len(layer.calls):
        raise ModelError(
            f"model {network.name[:_SHOWN]!r} refers to a result of layer {name[:_SHOWN]!r} that "
            "it does not have"
        )
    return layer, layer.calls[number]


def _result(results: tuple[Tensor, ...], reference: TensorReference) -> Tensor:
    if not 0 <= reference.result < len(results):
        raise ModelError(
            f"result {reference.result} of layer {reference.layer[:_SHOWN]!r} is asked for; it has "
            f"{len(results)}"
        )
    return results[reference.result]


def input_shape(layer: LayerConfig) -> TensorShape:
    """The shape in an InputLayer, the batch first; ModelError if there is none."""
    raw = layer.settings.get("batch_shape") or layer.settings.get("batch_input_shape")
    if isinstance(raw, list) and 1 < len(raw) <= 8:
        sizes = [size for size in raw if _is_size(size)]
        if len(sizes) == len(raw):
            return tuple(size if isinstance(size, int) else None for size in sizes)
    raise ModelError(
        "the model does not say the shape of its input; call it on a picture and save it again"
    )


def _is_size(value: JsonValue) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)
