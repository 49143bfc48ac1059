"""Metadata found in a model file comes in; the description that it stands for goes out."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lagotto.core.text.clean import clean_text
from lagotto.core.types import Channels, JsonValue, Scale
from lagotto.models.metadata.description import (
    MAX_EDGE,
    Description,
    InputDescription,
)

NO_DESCRIPTION = Description()
MAX_EMBEDDED_BYTES = 8 << 20
"""Bytes of one embedded text at most; a longer one is not read."""

_LABEL_KEYS = ("names", "labels", "classes", "class_names", "id2label")
_SIZE_KEYS = ("imgsz", "image_size", "input_size")
_T = TypeVar("_T")

_FORMATS: dict[str, Channels] = {"gray8": "L", "rgb8": "RGB", "bgr8": "BGR"}
_RANGES: dict[str, Scale] = {
    "nominalrange_0_255": "0..255",
    "normalized_0_1": "0..1",
    "normalized_1_1": "-1..1",
}
_NUMBERED = re.compile(r"""(\d{1,6})['"]?\s*:\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""")
_LISTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")


@dataclass(frozen=True, slots=True)
class EmbeddedMetadata:
    """Metadata inside a model file; its `description` fills what model.json leaves out."""

    description: Description = NO_DESCRIPTION
    notes: tuple[str, ...] = ()


def normalization(mean: tuple[float, ...], std: tuple[float, ...]) -> InputDescription:
    """The input description of `(pixel - mean) / std`, with pixels from 0 to 255.

    It is a plain scale if the numbers amount to one, and empty if they cannot be a normalization.
    """
    usable = len(mean) in (1, 3) and len(std) in (1, 3)
    if not usable or not all(abs(x) < 1e6 for x in mean) or not all(1e-6 < s < 1e6 for s in std):
        return InputDescription()
    pairs = {(mean[i % len(mean)], std[i % len(std)]) for i in range(3)}
    if pairs == {(0.0, 1.0)}:
        return InputDescription(scale="0..255")
    if pairs == {(0.0, 255.0)}:
        return InputDescription(scale="0..1")
    if all(127 <= m <= 128 and 127 <= s <= 128 for m, s in pairs):
        return InputDescription(scale="-1..1")
    return InputDescription(scale="0..255", mean=mean, std=std)


def read_properties(properties: Mapping[str, str]) -> EmbeddedMetadata:
    """The metadata in key-value pairs as exporters write them.

    It reads the image properties of the ONNX standard (`Image.BitmapPixelFormat`,
    `Image.NominalPixelRange`), and the keys of common exporters for class names and picture size.
    """
    lower = {key.lower(): value for key, value in properties.items()}
    described = InputDescription(
        size=_first(map(_size, _values(lower, _SIZE_KEYS))),
        channels=_FORMATS.get(lower.get("image.bitmappixelformat", "").lower()),
        scale=_RANGES.get(lower.get("image.nominalpixelrange", "").lower()),
    )
    labels = _first(map(parse_names, _values(lower, _LABEL_KEYS)))
    return EmbeddedMetadata(Description(labels=labels, input=described))


def parse_names(text: str) -> tuple[str, ...] | None:
    """Class names in JSON, or in a list or dict as Python prints it; None if there are none.

    No code is evaluated. The keys of a dict must be the numbers from 0 without gaps.
    """
    if len(text) > MAX_EMBEDDED_BYTES:
        return None
    try:
        names = _named(json.loads(text))
    except (ValueError, RecursionError):
        stripped = text.strip()
        if stripped.startswith("{"):
            pairs = _NUMBERED.findall(stripped)
            names = _in_order({int(n): one or two for n, one, two in pairs})
        elif stripped.startswith(("[", "(")):
            names = tuple(one or two for one, two in _LISTED.findall(stripped))
        else:
            names = ()
    cleaned = tuple(clean_text(name) for name in names)
    return cleaned if any(cleaned) else None


def _values(properties: Mapping[str, str], keys: Iterable[str]) -> Iterable[str]:
    return (properties[key] for key in keys if key in properties)


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def _named(value: JsonValue) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(str(name) for name in value)
    if isinstance(value, dict) and all(key.isdecimal() and len(key) < 7 for key in value):
        return _in_order({int(key): str(name) for key, name in value.items()})
    return ()


def _in_order(names: Mapping[int, str]) -> tuple[str, ...]:
    numbers = sorted(names)
    return tuple(map(names.__getitem__, numbers)) if numbers == list(range(len(names))) else ()


def _size(text: str) -> tuple[int, int] | None:
    edges = [int(number) for number in re.findall(r"\d{1,5}", text[:100])]
    if len(edges) == 1:
        edges *= 2
    if len(edges) != 2 or not all(1 <= edge <= MAX_EDGE for edge in edges):
        return None
    return edges[0], edges[1]
