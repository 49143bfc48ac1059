"""Metadata found in a model file comes in; the description that it stands for goes out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_list import NameList, parse_name_list
from lagotto.core.types import Channels, Origin, Scale
from lagotto.models.metadata.description import (
    MAX_EDGE,
    Description,
    InputDescription,
)

NO_DESCRIPTION = Description()
NO_INPUT = InputDescription()
MAX_EMBEDDED_BYTES = 8 << 20
"""Bytes of one embedded text at most; a longer one is not read."""

_LABEL_KEYS = (
    *("names", "labels", "classes", "class_names", "classnames", "id2label", "idx_to_class"),
    *("label_names", "class_labels", "categories", "label2id", "class_to_idx", "output_labels"),
)
_SIZE_KEYS = ("imgsz", "image_size", "input_size")
_T = TypeVar("_T")

_FORMATS: dict[str, Channels] = {"gray8": "L", "rgb8": "RGB", "bgr8": "BGR"}
_RANGES: dict[str, Scale] = {
    "nominalrange_0_255": "0..255",
    "normalized_0_1": "0..1",
    "normalized_1_1": "-1..1",
}


@dataclass(frozen=True, slots=True)
class EmbeddedMetadata:
    """Metadata inside a model file; its `description` fills what model.json leaves out.

    The origins are "file"; or, where a format keeps its metadata in files of its own beside the
    weights, the names of these. `architecture` is the network that the weights belong to, "" if the
    file holds its own graph. `usual` is how the library of that network feeds it; it fills what
    nothing else says.
    """

    description: Description = NO_DESCRIPTION
    notes: tuple[str, ...] = ()
    input_origin: Origin = "file"
    labels_origin: Origin = "file"
    architecture: str = ""
    usual: InputDescription = NO_INPUT


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


def parse_names(text: str) -> NameList | None:
    """The class names in a text of a model file; None if there are none.

    The text is JSON, a list or dict as Python prints it, a comma list, or one name a line. No code
    is evaluated. One word alone is no list of names.
    """
    try:
        names = parse_name_list(text.encode("utf-8", "replace"), ".txt", "class names")
    except UsageError:
        return None
    return None if names.form == "lines" and len(names.names) < 2 else names


def _values(properties: Mapping[str, str], keys: Iterable[str]) -> Iterable[str]:
    return (properties[key] for key in keys if key in properties)


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def _size(text: str) -> tuple[int, int] | None:
    edges = [int(number) for number in re.findall(r"\d{1,5}", text[:100])]
    if len(edges) == 1:
        edges *= 2
    if len(edges) != 2 or not all(1 <= edge <= MAX_EDGE for edge in edges):
        return None
    return edges[0], edges[1]
