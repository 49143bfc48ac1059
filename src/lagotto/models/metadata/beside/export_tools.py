"""A folder comes in; what the files of an export tool in it say of the model goes out.

Known are Teachable Machine (metadata.json), Custom Vision (cvexport.manifest and
metadata_properties.json), Edge Impulse (model_metadata.h and model_variables.h), Lobe
(signature.json) and AutoML Vision (tflite_metadata.json). Only what their
files say plainly is taken; what their sample code does besides is not.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_list import NameList, parse_name_list
from lagotto.core.types import JsonObject
from lagotto.models.metadata.description import MAX_EDGE, InputDescription
from lagotto.models.metadata.embedded import read_properties

TEACHABLE_MACHINE = "metadata.json"
CUSTOM_VISION = "cvexport.manifest"
CUSTOM_VISION_PROPERTIES = "metadata_properties.json"
EDGE_IMPULSE = ("model_variables.h", "model_metadata.h")
EDGE_IMPULSE_EXPORT = "deployment-metadata.json"
LOBE, AUTO_ML = "signature.json", "tflite_metadata.json"
TOOL_FILES = (
    *(TEACHABLE_MACHINE, CUSTOM_VISION, CUSTOM_VISION_PROPERTIES),
    *(EDGE_IMPULSE_EXPORT, *EDGE_IMPULSE, LOBE, AUTO_ML),
)
"""Names of the files that are read."""

MAX_TOOL_BYTES = 1 << 20
NOTHING = InputDescription()
"""An empty description."""

_CATEGORIES = re.compile(
    r"ei_classifier_inferencing_categories(?:_[0-9_]{1,40})?\s{0,9}\[[^\]]{0,40}\]\s{0,9}="
    r"\s{0,9}\{([^}]{0,60000})\}"
)
_TEXT = re.compile(r'"((?:[^"\\\n]|\\.){0,400})"')
_EDGE = r"#define\s{1,40}EI_CLASSIFIER_INPUT_%s\s{1,40}(\d{1,5})\b"


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """What one file of an export tool says; `origin` is its name.

    `labels_file` is the name of a file of labels that it points to.
    """

    origin: str
    labels: NameList | None = None
    labels_file: str | None = None
    input: InputDescription = NOTHING
    notes: tuple[str, ...] = ()


def read_tool_files(folder: Path) -> tuple[ToolFacts, ...]:
    """What the files of export tools in a folder say; files that are none of theirs say nothing."""
    found = []
    roots = link_roots(folder)
    readers = {
        TEACHABLE_MACHINE: _teachable_machine,
        CUSTOM_VISION: _custom_vision,
        CUSTOM_VISION_PROPERTIES: _custom_vision_properties,
        EDGE_IMPULSE_EXPORT: _edge_impulse_export,
        LOBE: _lobe,
        AUTO_ML: _auto_ml,
    }
    for name, read in readers.items():
        text = _text(folder / name, roots)
        if text is None:
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(read(value))
    for name in EDGE_IMPULSE:
        text = _text(folder / name, roots)
        if text is not None:
            found.append(_edge_impulse(name, text))
    return tuple(found)


def _teachable_machine(value: JsonObject) -> ToolFacts:
    """The labels and the edge of the picture; other tools' metadata.json gives its labels only."""
    names = value.get("labels")
    labels = _listed(names) if isinstance(names, list) else None
    package = value.get("packageName")
    is_image = package == "@teachablemachine/image" or (package is None and "tmVersion" in value)
    edge = value.get("imageSize")
    if is_image and isinstance(edge, int) and not isinstance(edge, bool) and 1 <= edge <= MAX_EDGE:
        return ToolFacts(TEACHABLE_MACHINE, labels, input=InputDescription(size=(edge, edge)))
    return ToolFacts(TEACHABLE_MACHINE, labels)


def _custom_vision(value: JsonObject) -> ToolFacts:
    labels_file, domain = value.get("LabelFileName"), value.get("DomainType")
    notes: tuple[str, ...] = ()
    if isinstance(domain, str) and "classification" not in domain.lower():
        notes = (f"{CUSTOM_VISION}: the model is for {domain[:60]!a}, not for classification",)
    return ToolFacts(
        CUSTOM_VISION,
        labels_file=labels_file if isinstance(labels_file, str) else None,
        notes=notes,
    )


def _custom_vision_properties(value: JsonObject) -> ToolFacts:
    texts = {key: text for key, text in value.items() if isinstance(text, str)}
    return ToolFacts(CUSTOM_VISION_PROPERTIES, input=read_properties(texts).description.input)


def _edge_impulse_export(value: JsonObject) -> ToolFacts:
    names = value.get("classes")
    return ToolFacts(EDGE_IMPULSE_EXPORT, _listed(names) if isinstance(names, list) else None)


def _lobe(value: JsonObject) -> ToolFacts:
    classes = value.get("classes")
    names = classes.get("Label") if isinstance(classes, dict) else None
    return ToolFacts(LOBE, _listed(names) if isinstance(names, list) else None)


def _auto_ml(value: JsonObject) -> ToolFacts:
    edges = (value.get("imageHeight"), value.get("imageWidth"))
    match edges:
        case (int(height), int(width)) if 1 <= height <= MAX_EDGE and 1 <= width <= MAX_EDGE:
            return ToolFacts(AUTO_ML, input=InputDescription(size=(height, width)))
    return ToolFacts(AUTO_ML)


def _edge_impulse(name: str, text: str) -> ToolFacts:
    """The categories and the size of the picture in a C++ header; it is searched, not compiled."""
    listed = _CATEGORIES.search(text)
    labels = _listed(_TEXT.findall(listed[1])) if listed is not None else None
    edges = [re.search(_EDGE % axis, text) for axis in ("HEIGHT", "WIDTH")]
    height, width = (int(edge[1]) if edge is not None else 0 for edge in edges)
    is_size = 1 <= height <= MAX_EDGE and 1 <= width <= MAX_EDGE
    return ToolFacts(
        name, labels, input=InputDescription(size=(height, width) if is_size else None)
    )


def _listed(names: object) -> NameList | None:
    try:
        return parse_name_list(json.dumps(names).encode(), ".json", "labels")
    except UsageError:
        return None


def _text(file: Path, roots: tuple[Path, ...]) -> str | None:
    try:
        if not file.is_file() or not stays_inside(file, roots):
            return None
        with file.open("rb") as stream:
            data = stream.read(MAX_TOOL_BYTES + 1)
    except OSError:
        return None
    return None if len(data) > MAX_TOOL_BYTES else data.decode("utf-8-sig", errors="replace")
