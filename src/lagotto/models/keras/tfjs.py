"""A model.json of TensorFlow.js comes in; the configuration and the weights beside it go out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from lagotto.core.errors import ModelError
from lagotto.core.files import read_at_most
from lagotto.core.parsing.name_list import NameList
from lagotto.core.text.clean import clean_text
from lagotto.core.types import JsonObject, JsonValue
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.files.weights import check_size, inside
from lagotto.models.keras.configuration import MAX_CONFIG_BYTES, parse_configuration, version_of
from lagotto.models.keras.layers.settings import scalar
from lagotto.models.metadata.description import MAX_EDGE, InputDescription

_METADATA = "metadata.json"
_MAX_METADATA_BYTES = 1 << 20
_MAX_SHARDS, _MAX_WEIGHTS, _MAX_RANK, _MAX_LABELS = 10_000, 100_000, 8, 200_000
_TEACHABLE_MACHINE = "@teachablemachine/image"
_DTYPES = {"float32": "<f4", "int32": "<i4", "bool": "|u1", "uint8": "|u1", "float16": "<f2"}
_PACKED = {"uint8": "|u1", "uint16": "<u2", "float16": "<f2"}
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class _Packing:
    """How values are packed into fewer bytes: times `scale`, plus `least`."""

    dtype: str
    scale: float = 1.0
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class TfjsModel:
    """A layers model: its configuration, its arrays by their names, and what lies beside it."""

    topology: JsonObject
    version: int
    arrays: Mapping[str, StoredTensor]
    labels: NameList | None
    input: InputDescription
    notes: tuple[str, ...]


def read_tfjs(file: Path) -> TfjsModel:
    """The layers model of a model.json.

    Raises:
        ModelError: It is a graph model or no model, a shard is missing or short, or a weight has
            no known form.
    """
    model = _read_model(file)
    topology, version = _topology(model)
    arrays = _arrays(model, file)
    labels, described, notes = _metadata(file.parent)
    return TfjsModel(topology, version_of(version), arrays, labels, described, notes)


def shard_files(file: Path) -> tuple[Path, ...]:
    """The files beside a model.json that hold its weights, in order, each once.

    Raises:
        ModelError: It is no model of TensorFlow.js, or a shard is missing or outside the folder.
    """
    groups = _groups(_read_model(file))
    paths = [path for group in groups for path in _paths(group, file)]
    return tuple(dict.fromkeys(paths))


def is_tfjs(value: JsonValue) -> bool:
    """Whether a JSON value is a model of TensorFlow.js, of either kind."""
    return isinstance(value, dict) and "modelTopology" in value


def _read_model(file: Path) -> JsonObject:
    check_size(file)
    try:
        data = read_at_most(file, MAX_CONFIG_BYTES)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error
    if data is None:
        raise ModelError(f"{file.name} has over {MAX_CONFIG_BYTES} bytes; it is no model.json")
    model = parse_configuration(data, file.name)
    if not is_tfjs(model):
        raise ModelError(f"{file.name} is no model of TensorFlow.js (it has no modelTopology)")
    return model


def _topology(model: JsonObject) -> tuple[JsonObject, JsonValue]:
    """The configuration of a layers model, and the version that wrote it."""
    topology = model.get("modelTopology")
    is_graph = model.get("format") == "graph-model"
    if is_graph or (isinstance(topology, dict) and ("node" in topology or "library" in topology)):
        raise ModelError(
            "it is a graph model of TensorFlow.js, which no longer says its layers; convert the "
            "model from which it was made: tensorflowjs_converter --output_format=tfjs_layers_model"
        )
    if not isinstance(topology, dict):
        raise ModelError("the model has no modelTopology; it holds weights alone")
    version = topology.get("keras_version", model.get("generatedBy"))
    if isinstance(version, str) and not version[:1].isdigit():
        version = "tfjs"
    inner = topology.get("model_config", topology)
    if not isinstance(inner, dict):
        raise ModelError("the modelTopology of the model has no known form")
    return inner, version


# ------------------------------------------------------------------------------------ weights


def _groups(model: JsonObject) -> list[JsonObject]:
    manifest = model.get("weightsManifest")
    if not isinstance(manifest, list) or not all(isinstance(group, dict) for group in manifest):
        raise ModelError("the model has no weightsManifest; save it with its weights")
    return [group for group in manifest if isinstance(group, dict)]


def _paths(group: JsonObject, file: Path) -> list[Path]:
    names = group.get("paths")
    if not isinstance(names, list) or len(names) > _MAX_SHARDS:
        raise ModelError("the weightsManifest has no list of paths")
    paths = []
    for name in names:
        if not isinstance(name, str):
            raise ModelError("the weightsManifest has a path that is no text")
        paths.append(inside(file.parent, name, "a shard of the weights", _advice))
    return paths


def _advice() -> str:
    return "download all files of the model, and keep their names"


def _arrays(model: JsonObject, file: Path) -> dict[str, StoredTensor]:
    arrays: dict[str, StoredTensor] = {}
    for group in _groups(model):
        paths = _paths(group, file)
        check_size(file, paths)
        sizes = [path.stat().st_size for path in paths]
        shards = tuple(zip(paths, sizes, strict=True))
        weights = group.get("weights")
        if not isinstance(weights, list) or len(weights) > _MAX_WEIGHTS:
            raise ModelError("the weightsManifest has no list of weights")
        start = 0
        for weight in weights:
            name, stored, length = _weight(weight, shards, start)
            if name in arrays:
                raise ModelError(f"the weightsManifest has two weights {name[:_SHOWN]!r}")
            arrays[name] = stored
            start += length
        if start != sum(sizes):
            files = ", ".join(path.name[:_SHOWN] for path in paths[:3])
            raise ModelError(
                f"the weights take {start} bytes, but {sum(sizes)} are in {files}; download the "
                "model again"
            )
    return arrays


def _weight(
    raw: JsonValue, shards: Sequence[tuple[Path, int]], start: int
) -> tuple[str, StoredTensor, int]:
    """The name of a weight, its array, and the bytes that it takes."""
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        raise ModelError("the weightsManifest has a weight without a name")
    name, shape = str(raw["name"]), raw.get("shape")
    sizes = [size for size in shape if _is_size(size)] if isinstance(shape, list) else None
    if sizes is None or not isinstance(shape, list) or len(sizes) != len(shape):
        raise ModelError(f"weight {name[:_SHOWN]!r} has no shape of whole numbers")
    whole = tuple(size for size in sizes if isinstance(size, int))
    if len(whole) > _MAX_RANK:
        raise ModelError(f"weight {name[:_SHOWN]!r} has {len(whole)} axes")
    packing = _packing(raw, name)
    count = math.prod(whole)
    length = count * np.dtype(packing.dtype).itemsize
    if start + length > sum(size for _, size in shards):
        raise ModelError(
            f"weight {name[:_SHOWN]!r} takes more bytes than the shards have; download the model "
            "again"
        )

    def read() -> Shaped[np.ndarray, "..."]:
        values = _bytes(shards, start, length).view(packing.dtype).reshape(whole)
        if (packing.scale, packing.least) == (1.0, 0.0):
            return values
        return (values.astype(np.float32) * packing.scale + packing.least).astype(np.float32)

    is_plain = (packing.scale, packing.least) == (1.0, 0.0)
    dtype = np.dtype(packing.dtype).name if is_plain else "float32"
    return name, StoredTensor(dtype, whole, read), length


def _packing(raw: JsonObject, name: str) -> _Packing:
    quantization = raw.get("quantization")
    if quantization is None:
        dtype = raw.get("dtype")
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ModelError(
                f"weight {name[:_SHOWN]!r} is {ascii(dtype)[:_SHOWN]}; allowed: "
                f"{', '.join(_DTYPES)}"
            )
        return _Packing(_DTYPES[dtype])
    given = quantization if isinstance(quantization, dict) else {}
    dtype = given.get("dtype")
    if not isinstance(dtype, str) or dtype not in _PACKED:
        raise ModelError(
            f"weight {name[:_SHOWN]!r} is quantized to {ascii(dtype)[:_SHOWN]}; allowed: "
            f"{', '.join(_PACKED)}"
        )
    if dtype == "float16":
        return _Packing(_PACKED["float16"])
    scale, least = scalar(given.get("scale")), scalar(given.get("min"))
    if scale is None or least is None:
        raise ModelError(f"weight {name[:_SHOWN]!r} is quantized without a scale and a min")
    return _Packing(_PACKED[dtype], scale, least)


def _bytes(
    shards: Sequence[tuple[Path, int]], start: int, length: int
) -> UInt8[np.ndarray, " bytes"]:
    """A range of the bytes of all shards in a row."""
    pieces = []
    for path, size in shards:
        if start < size and length:
            taken = min(size - start, length)
            pieces.append(np.fromfile(path, np.uint8, taken, offset=start))
            start, length = size, length - taken
        start -= size
    return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, np.uint8), *pieces])


# ----------------------------------------------------------------------------------- metadata


def _metadata(folder: Path) -> tuple[NameList | None, InputDescription, tuple[str, ...]]:
    """What the metadata.json of Teachable Machine says: labels, and how pictures are fed."""
    path = folder / _METADATA
    try:
        if not path.is_file():
            return None, InputDescription(), ()
        found = inside(folder, _METADATA, _METADATA)
        data = read_at_most(found, _MAX_METADATA_BYTES)
        values = parse_configuration(data or b"", _METADATA)
    except (OSError, ModelError):
        return None, InputDescription(), (f"{_METADATA} cannot be read; it is not used",)
    return _labels(values), _teachable_input(values), ()


def _labels(values: JsonObject) -> NameList | None:
    raw = values.get("labels", values.get("wmlabels"))
    if not isinstance(raw, list) or not 0 < len(raw) <= _MAX_LABELS:
        return None
    names = tuple(clean_text(name) for name in raw if isinstance(name, str))
    return NameList(names, "list") if len(names) == len(raw) else None


def _teachable_input(values: JsonObject) -> InputDescription:
    """Teachable Machine cuts the middle square out of a picture and feeds it as -1..1."""
    if values.get("packageName") != _TEACHABLE_MACHINE:
        return InputDescription()
    edge = values.get("imageSize")
    size = (
        (edge, edge) if isinstance(edge, int) and _is_size(edge) and 0 < edge <= MAX_EDGE else None
    )
    grey = values.get("grayscale") is True
    return InputDescription(size=size, scale="-1..1", resize="crop", channels="L" if grey else None)


def _is_size(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40
