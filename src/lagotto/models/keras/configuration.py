"""The JSON of a model's configuration comes in; its layers, and how they are joined, go out.

Keras wrote it in three forms: with `config` as a plain list (Keras 1), with `inbound_nodes` as
nested lists (Keras 2 and TensorFlow.js), and with `args` and `kwargs` (Keras 3).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonObject, JsonValue
from lagotto.models.keras.call_arguments import Call, TensorReference, parse_calls, references
from lagotto.models.keras.first_keras import modern_layer

MAX_CONFIG_BYTES = 32 << 20
"""The configuration of the largest network of keras.applications has 1.3 MB."""

MAX_CONFIG_LAYERS = 20_000
MAX_MODEL_DEPTH = 16
_MODELS = ("Sequential", "Functional", "Model")
_HOMES = ("keras", "tf_keras", "tensorflow", "keras_core", "builtins")
_OPERATIONS = ("keras.src.ops.", "keras.ops.", "keras.src.backend", "keras.operations.")
_OF_LAYERS = {"trainable", "dtype", "batch_shape"}
"""Settings of which every layer of Keras 3 has one, and no operation any."""

_NAME_SHOWN = 60


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """A layer as its configuration describes it.

    `kind` is its class; "ops.Add" for an operation of Keras 3, "tf.math.add" for one of TensorFlow.
    `version` is the major version of Keras. `calls` are all its uses, each with its arguments.
    """

    kind: str
    name: str
    settings: Mapping[str, JsonValue]
    version: int
    calls: tuple[Call, ...] = ()
    model: "NetworkConfig | None" = None

    @property
    def text(self) -> str:
        """The layer for a message: layer 'conv2d_1' (Conv2D)."""
        return f"layer {self.name[:_NAME_SHOWN]!r} ({self.kind[:_NAME_SHOWN]})"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A model, or one that lies in another as a layer.

    `inputs` and `outputs` refer to layers of it. `kind` is its class.
    """

    kind: str
    name: str
    layers: tuple[LayerConfig, ...]
    inputs: tuple[TensorReference, ...]
    outputs: tuple[TensorReference, ...]


def parse_configuration(data: bytes, what: str) -> JsonObject:
    """The JSON object in some bytes; ModelError, in which `what` names them, if there is none."""
    if len(data) > MAX_CONFIG_BYTES:
        raise ModelError(f"{what} has {len(data)} bytes; at most {MAX_CONFIG_BYTES} are read")
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ModelError(f"{what} is nested too deeply") from error
    except ValueError as error:
        why = " ".join(str(error).split())[:120]
        raise ModelError(f"{what} is not JSON: {why}; save the model again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{what} is no JSON object; save the model again")
    return value


def parse_network(topology: JsonObject, version: int) -> NetworkConfig:
    """The network in a configuration.

    Args:
        topology: {"class_name": "Functional", "config": {...}}.
        version: The major version of Keras that wrote it.

    Raises:
        ModelError: It is no Sequential or Functional model, or not of a known form.
    """
    try:
        return _Parser(version).network(topology, 0)
    except RecursionError as error:
        raise ModelError("the configuration of the model is nested too deeply") from error


class _Parser:
    """Reads the layers of a model and of the models in it; counts them all."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._layers = 0

    def network(self, topology: JsonObject, depth: int) -> NetworkConfig:
        """A model that lies `depth` models deep."""
        kind = _text(topology.get("class_name"))
        if kind not in _MODELS:
            raise ModelError(
                f"the model is a {kind[:_NAME_SHOWN]!r}, a class of its own; only Sequential and "
                "Functional models say how they compute: export it as ONNX or TFLite"
            )
        if depth > MAX_MODEL_DEPTH:
            raise ModelError(f"models lie more than {MAX_MODEL_DEPTH} deep in each other")
        config = topology.get("config")
        name = _text(config.get("name")) if isinstance(config, dict) else ""
        raw = config.get("layers") if isinstance(config, dict) else config
        if not isinstance(raw, list):
            raise ModelError(f"model {name[:_NAME_SHOWN]!r} has no list of layers")
        self._layers += len(raw)
        if self._layers > MAX_CONFIG_LAYERS:
            raise ModelError(
                f"the model has over {MAX_CONFIG_LAYERS:,} layers; it is no classifier"
            )
        name = name or kind.lower()
        layers = [self._layer(item, depth) for item in raw]
        if kind == "Sequential":
            return _sequential(name, layers, config)
        return self._functional(kind, name, layers, config if isinstance(config, dict) else {})

    def _functional(
        self, kind: str, name: str, layers: list[LayerConfig], config: JsonObject
    ) -> NetworkConfig:
        names = [layer.name for layer in layers]
        if len(set(names)) != len(names):
            raise ModelError(f"model {name[:_NAME_SHOWN]!r} has two layers of one name")
        inputs = references(config.get("input_layers"))
        outputs = references(config.get("output_layers"))
        if not inputs or not outputs:
            raise ModelError(f"model {name[:_NAME_SHOWN]!r} does not say its inputs and outputs")
        return NetworkConfig(kind, name, tuple(layers), inputs, outputs)

    def _layer(self, raw: JsonValue, depth: int) -> LayerConfig:
        if not isinstance(raw, dict):
            raise ModelError("the configuration has a layer that is no JSON object")
        kind = _text(raw.get("class_name"))
        settings = raw.get("config")
        given = settings if isinstance(settings, dict) else {}
        name = _text(raw.get("name")) or _text(given.get("name")) or kind.lower()
        calls = parse_calls(raw.get("inbound_nodes"), name)
        if kind in _MODELS:
            model = self.network(raw, depth + 1)
            return LayerConfig(kind, name, {}, self._version, calls, model)
        if self._version == 1:
            kind, given = modern_layer(kind, given, name)
        kind = _kind(raw, kind, given, self._version)
        return LayerConfig(kind, name, given, self._version, calls)


def _kind(raw: JsonObject, kind: str, settings: JsonObject, version: int) -> str:
    """The name under which the table has a layer; a stranger's class keeps its full name."""
    module = raw.get("module")
    registered = raw.get("registered_name")
    if isinstance(module, str) and module.startswith(_OPERATIONS):
        return f"ops.{kind}"
    is_called = version >= 3 and bool(raw.get("inbound_nodes"))
    if is_called and module is None and registered is None and not _OF_LAYERS & set(settings):
        return f"ops.{kind}"  # an .h5 file of Keras 3 names no modules
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        function = settings.get("function")
        return f"tf.{function}" if isinstance(function, str) else kind
    stranger = isinstance(registered, str) and ">" in registered
    if stranger and not cast(str, registered).startswith(("keras>", "keras_core>", "Keras>")):
        return cast(str, registered)
    if isinstance(module, str) and module.partition(".")[0] not in _HOMES:
        return f"{module}.{kind}"
    return kind.removeprefix("keras>").removeprefix("Keras>")


def _sequential(name: str, layers: list[LayerConfig], config: JsonValue) -> NetworkConfig:
    """Layers in a row, each called once with what the one before gives."""
    if not layers or layers[0].kind != "InputLayer":
        layers.insert(0, _first_input(name, layers, config))
    names: dict[str, int] = {}
    chained: list[LayerConfig] = []
    for layer in layers:
        number = names.get(layer.name, 0)
        names[layer.name] = number + 1
        if number:
            raise ModelError(f"model {name[:_NAME_SHOWN]!r} has two layers of one name")
        calls = (Call((TensorReference(chained[-1].name, 0, 0),)),) if chained else ()
        if len(chained) and layer.kind == "InputLayer":
            raise ModelError(f"{layer.text} lies in the middle of a Sequential model")
        chained.append(
            LayerConfig(layer.kind, layer.name, layer.settings, layer.version, calls, layer.model)
        )
    first, last = TensorReference(chained[0].name, 0, 0), TensorReference(chained[-1].name, 0, 0)
    return NetworkConfig("Sequential", name, tuple(chained), (first,), (last,))


def _first_input(name: str, layers: Sequence[LayerConfig], config: JsonValue) -> LayerConfig:
    """The input that a Sequential model without an InputLayer implies."""
    shape: JsonValue = None
    dtype: JsonValue = None
    first = layers[0] if layers else None
    while first is not None and first.model is not None:
        inner = first.model.layers[0]
        first = inner if inner is not first else None
    if first is not None:
        shape = first.settings.get("batch_input_shape") or first.settings.get("batch_shape")
        dtype = first.settings.get("dtype") if first.kind == "InputLayer" else None
    if shape is None and isinstance(config, dict):
        shape = config.get("build_input_shape")
    settings: dict[str, JsonValue] = {"batch_shape": shape}
    if isinstance(dtype, str):
        settings["dtype"] = dtype
    version = layers[0].version if layers else 2
    return LayerConfig("InputLayer", f"{name}:input", settings, version)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def version_of(text: JsonValue) -> int:
    """The major version of Keras in a text such as "2.3.1-tf" or "tfjs-layers 1.7.4".

    Raises:
        ModelError: It is newer than those that are known.
    """
    if not isinstance(text, str):
        return 2
    if text.startswith("tfjs"):
        return 2
    match = re.match(r"\d{1,3}", text)
    major = int(match.group()) if match else 2
    if major > 3:
        raise ModelError(
            f"the file was saved by Keras {text[:20]!a}; versions 1 to 3 are read: save it with "
            "Keras 3, or export it as ONNX"
        )
    return max(major, 1)
