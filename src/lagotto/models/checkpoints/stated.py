"""The values of a checkpoint come in; the labels, the input and the settings it states go out.

What is looked through, in this order: the module itself, the top of the file, and the dicts and
objects in it, at most 5 deep. Of several lists of labels the first counts whose length is
that of a tensor of the head.
"""

import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast, get_args

from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_list import NameList, parse_name_list
from lagotto.core.types import JsonObject, JsonValue, Resample
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.checkpoints.modules import is_module
from lagotto.models.checkpoints.pickles.inert import InertTensor, Record, Value
from lagotto.models.checkpoints.pickles.plain_values import NotPlainError, PlainReader
from lagotto.models.metadata.description import MAX_EDGE, InputDescription
from lagotto.models.metadata.embedded import normalization

_MAX_DEPTH = 5
MAX_PLACES = 2_000
"""Dicts and objects that are looked through; one with more keys counts once for each thousand."""

MAX_LABELS = 200_000
MAX_SETTINGS = 200
_SETTING_PARTS = 1_000

_LABELS = (
    *("class_names", "classnames", "classes", "names", "idx_to_class", "idx2class", "id2label"),
    *("index_to_class", "idx2label", "idx_to_label", "class_to_idx", "class2idx", "label2id"),
    *("class_to_index", "label_to_idx", "label2idx", "label_names", "labels", "class_labels"),
    *("categories", "classes_", "category_names", "label_map", "class_map", "labels_map", "vocab"),
    *("int_to_class", "cat_to_idx", "target_names", "label_list", "class_list", "class_dict"),
)
_SIZES = (
    *("crop_size", "input_size", "image_size", "img_size", "imgsz", "imagesize", "input_shape"),
    *("test_input_size", "im_size", "image_shape", "img_shape", "img_dim", "input_resolution"),
    *("resolution", "resize", "resize_to", "image_resize"),
)
_MEANS = ("mean", "img_mean", "image_mean", "pixel_mean", "norm_mean", "rgb_mean", "means")
_STDS = ("std", "img_std", "image_std", "pixel_std", "norm_std", "rgb_std", "stds")
_FRACTIONS = ("crop_pct", "crop_ratio", "crop_fraction")
_NETWORKS = (
    *("arch", "architecture", "model_name", "model_arch", "model_type", "backbone", "encoder_name"),
    *("backbone_name", "base_model", "encoder", "network", "net_type", "model", "timm_model"),
)
_OF_OMEGACONF = "_content"
"""The attribute in which omegaconf keeps its values."""

_WORD = re.compile(r"[A-Za-z][\w.\-/:]{2,80}")


@dataclass(frozen=True, slots=True)
class Stated:
    """What a checkpoint states of its network, beside the weights."""

    labels: NameList | None = None
    input: InputDescription = field(default_factory=InputDescription)
    settings: JsonObject = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_stated(
    value: Value,
    owner: Record,
    shapes: Mapping[str, tuple[int, ...]],
    numbers: Callable[[InertTensor], list[float]],
) -> Stated:
    """The labels, the input and the settings that a checkpoint states.

    Args:
        value: The value of the whole file.
        owner: The module or dict whose tensors are read.
        shapes: The shapes of these tensors.
        numbers: Gives the values of a small tensor.
    """
    places = list(_places(value, owner))
    labels, label_notes = _labels(places, shapes, numbers)
    settings = _settings(places)
    described, input_notes = _input(places, numbers)
    return Stated(labels, described, settings, (*label_notes, *input_notes))


@dataclass(frozen=True, slots=True)
class _Place:
    """One dict or object of a checkpoint, with its values by their keys in lower case."""

    path: tuple[str, ...]
    values: dict[str, Value]

    def named(self, key: str) -> str:
        """How notes name a value: "args.img_size", also where omegaconf lies between."""
        return ".".join((*(part for part in self.path if part != _OF_OMEGACONF), key))


def _places(value: Value, owner: Record) -> Iterator[_Place]:
    """The dicts and objects that may state something, from the outside in."""
    waiting: deque[tuple[tuple[str, ...], Value]] = deque([((), owner), ((), value)])
    visited: set[int] = set()
    left = MAX_PLACES
    while waiting and left > 0:
        path, current = waiting.popleft()
        if id(current) in visited:
            continue
        visited.add(id(current))
        if isinstance(current, Record):
            values = _values(current)
            left -= 1 + len(values) // 1000
            yield _Place(path, {_plain(key): item for key, item in values.items()})
            inner = list(values.items()) if len(path) < _MAX_DEPTH else []
            waiting += [((*path, key), item) for key, item in inner if isinstance(item, Record)]
        elif isinstance(current, list | tuple) and not path:
            waiting += [((), item) for item in current[:10]]


def _values(record: Record) -> dict[str, Value]:
    """The pairs of a dict; the public attributes of a module, and those of what it wraps."""
    if not is_module(record):
        held = {key: item for key, item in record.attributes().items() if key[:1] != "_"}
        return held | record.entries()
    attributes = record.attributes()
    values = {key: item for key, item in attributes.items() if key[:1] != "_"}
    inner = attributes.get("_modules")
    if isinstance(inner, Record):
        wrapped = inner.entries()
        if len(wrapped) == 1:
            values |= {key: item for key, item in wrapped.items() if is_module(item)}
    return {key: item for key, item in values.items() if key != "training"}


def _plain(key: str) -> str:
    return key.lower().replace("-", "_").replace(" ", "_")


# ------------------------------------------------------------------------------------- labels


def _labels(
    places: list[_Place],
    shapes: Mapping[str, tuple[int, ...]],
    numbers: Callable[[InertTensor], list[float]],
) -> tuple[NameList | None, tuple[str, ...]]:
    found: list[tuple[str, NameList]] = []
    notes: list[str] = []
    reader = PlainReader(MAX_LABELS, numbers)
    for place in places:
        for key in _LABELS:
            if key not in place.values:
                continue
            try:
                plain = reader.read(place.values[key])
                names = _name_list(plain, place.named(key)) if plain else None
            except NotPlainError:
                names = None
            except UsageError as error:
                if key not in ("names", "labels", "vocab"):  # these have many other uses
                    notes.append(str(error))
                names = None
            if names is not None:
                found.append((place.named(key), names))
    if not found:
        return None, tuple(notes[:1])
    widths = {shape[0] for shape in list(shapes.values())[-_HEAD_TENSORS:] if len(shape) in (1, 2)}
    fitting = [item for item in found if any(item[1].for_outputs(w) is not None for w in widths)]
    name, labels = (fitting or found)[0]
    others = [other for other, names in found if len(names.names) != len(labels.names)]
    if others:
        notes.append(f"labels from {name!a}, not from {others[0]!a}, which has another length")
    return labels, tuple(notes)


_HEAD_TENSORS = 4


def _name_list(plain: JsonValue, source: str) -> NameList | None:
    """The names in a list, or in a dict from or to numbers."""
    if not isinstance(plain, list | dict) or len(plain) < _FEWEST:
        return None
    if isinstance(plain, dict) and not _is_map(plain):
        return None
    if isinstance(plain, list) and not all(isinstance(item, str | list | dict) for item in plain):
        return None
    data = json.dumps(plain).encode()
    return parse_name_list(data, ".json", f"{source!a} in the checkpoint")


_FEWEST = 2


def _is_map(plain: JsonObject) -> bool:
    """Whether a dict places names by numbers: {"0": "cat"} or {"cat": 0}."""
    by_number = all(key.isdigit() for key in plain)
    return by_number or all(
        isinstance(item, int | float | str) and not isinstance(item, bool)
        for item in plain.values()
    )


# -------------------------------------------------------------------------------------- input


def _input(
    places: list[_Place], numbers: Callable[[InertTensor], list[float]]
) -> tuple[InputDescription, tuple[str, ...]]:
    size, size_key = None, ""
    scaled = InputDescription()
    for key in _SIZES:
        for place in places:
            if size is None and key in place.values:
                size, size_key = _size(_read(place.values[key], numbers)), place.named(key)
    for place in places:
        for mean_key, std_key in zip(_MEANS, _STDS, strict=True):
            if scaled == InputDescription() and {mean_key, std_key} <= place.values.keys():
                mean = _channels(_read(place.values[mean_key], numbers))
                std = _channels(_read(place.values[std_key], numbers))
                scaled = _normalization(mean, std)
    notes = (f"picture size from {size_key!a} in the checkpoint",) if size else ()
    fraction = _first_plain(places, _FRACTIONS, numbers)
    is_fraction = isinstance(fraction, float | int) and _LEAST_FRACTION <= fraction <= 1
    resample = _first_plain(places, ("interpolation",), numbers)
    described = InputDescription(
        size=size,
        scale=scaled.scale,
        mean=scaled.mean,
        std=scaled.std,
        resize="crop" if is_fraction else None,
        crop_fraction=float(cast(float, fraction)) if is_fraction else None,
        resample=cast(Resample, resample) if resample in get_args(Resample) else None,
    )
    return described, notes


def _first_plain(
    places: list[_Place],
    keys: tuple[str, ...],
    numbers: Callable[[InertTensor], list[float]],
) -> JsonValue:
    """The plain value of the first of the keys that is there, from the outside in."""
    held = (place.values[key] for key in keys for place in places if key in place.values)
    return next((_read(value, numbers) for value in held), None)


def _read(value: Value, numbers: Callable[[InertTensor], list[float]]) -> JsonValue:
    try:
        return PlainReader(_SETTING_PARTS, numbers).read(value)
    except NotPlainError:
        return None


def _size(plain: JsonValue) -> tuple[int, int] | None:
    """(height, width) of a number, of [height, width], or of a shape with 1 or 3 channels."""
    if isinstance(plain, str) and plain.isdigit() and len(plain) < 5:
        plain = int(plain)
    edges = plain if isinstance(plain, list) else [plain, plain]
    whole = [
        int(edge)
        for edge in edges
        if isinstance(edge, int | float) and not isinstance(edge, bool) and edge == int(edge)
    ]
    if len(whole) != len(edges):
        return None
    if len(whole) == 1:
        whole *= 2
    if len(whole) == _COLOURS:
        whole = whole[1:] if whole[0] in (1, 3) else whole[:2] if whole[2] in (1, 3) else []
    if len(whole) != 2 or not all(_SMALLEST <= edge <= MAX_EDGE for edge in whole):
        return None
    return whole[0], whole[1]


_COLOURS = 3
_SMALLEST = 8


def _channels(plain: JsonValue) -> tuple[float, ...]:
    values = plain if isinstance(plain, list) else [plain]
    found = [
        float(item)
        for item in values
        if isinstance(item, int | float) and not isinstance(item, bool)
    ]
    return tuple(found) if len(found) == len(values) and len(found) in (1, _COLOURS) else ()


def _normalization(mean: tuple[float, ...], std: tuple[float, ...]) -> InputDescription:
    """The input that is normalized by these numbers, of pixels up to 1 or up to 255."""
    if not mean or len(mean) != len(std) or min(std) <= 0:
        return InputDescription()
    if all(0 <= m <= 1 for m in mean) and all(_LEAST_STD <= s <= 1 for s in std):
        return InputDescription(scale="0..1", mean=mean, std=std)
    if all(1 < m <= 255 for m in mean) and max(std) > 1:
        return normalization(mean, std)
    return InputDescription()


_LEAST_STD = 0.01
_LEAST_FRACTION = 0.05


def inner_normalization(
    tensors: Mapping[str, StoredTensor],
) -> tuple[dict[str, StoredTensor], InputDescription, tuple[str, ...]]:
    """The network without a first layer that normalizes pictures, and the input that it makes.

    Such a layer has a mean and a standard deviation of the colours, and no weights. Its network
    takes pictures from 0 to 1 and is the same as one that is fed normalized ones.

    Args:
        tensors: The tensors by their names as saved.

    Returns:
        (tensors, input, notes); the input is empty if there is no such layer.
    """
    for name, tensor in tensors.items():
        found = _MEAN_BUFFER.fullmatch(name)
        other = found and f"{found['layer']}{_DEVIATIONS[found['mean']]}"
        if not other or other not in tensors:
            continue
        mean, std = (_channel_values(item) for item in (tensor, tensors[other]))
        described = _normalization(mean, std)
        if described.mean and len(tensors) > 2:
            network = {key: item for key, item in tensors.items() if key not in (name, other)}
            note = f"the network normalizes pictures itself; {name} and {other} are its input"
            return network, described, (note,)
    return dict(tensors), InputDescription(), ()


_DEVIATIONS = {"mean": "std", "mu": "sigma", "_mean": "_std", "pixel_mean": "pixel_std"}
_MEAN_BUFFER = re.compile(
    r"(?P<layer>(\w+\.){0,3}?((\w*norm\w*|\w*preproc\w*|\w*transform\w*)\.)?)"
    r"(?P<mean>mean|mu|_mean|pixel_mean)"
)


def _channel_values(tensor: StoredTensor) -> tuple[float, ...]:
    """The numbers of a tensor of one or three; none if it is another."""
    count = math.prod(tensor.shape)
    if count not in (1, _COLOURS) or tensor.dtype.startswith("complex"):
        return ()
    return tuple(float(value) for value in tensor.read().ravel())


# ----------------------------------------------------------------------------------- settings


def _settings(places: list[_Place]) -> JsonObject:
    """The plain values at the top of the file; "arch" is the first name of a network anywhere."""
    found: JsonObject = {}
    for place in places[:_OUTER]:
        for key, value in place.values.items():
            if place.path or len(found) >= MAX_SETTINGS or key in found or key in _LABELS:
                continue
            if isinstance(value, InertTensor) or is_module(value):
                continue
            try:
                found[key] = PlainReader(_SETTING_PARTS, _no_numbers).read(value)
            except NotPlainError:
                continue
    network = _network(places)
    return found | ({"arch": network} if network else {})


_OUTER = 4


def _no_numbers(tensor: InertTensor) -> list[float]:
    raise NotPlainError


def _network(places: list[_Place]) -> str:
    for key in _NETWORKS:
        for place in places:
            value = place.values.get(key)
            if isinstance(value, str) and _WORD.fullmatch(value):
                return value
    return ""
