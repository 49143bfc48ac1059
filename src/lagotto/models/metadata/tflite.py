"""A TFLite file comes in; its metadata (normalization, colors, labels) goes out.

The labels are in a zip archive that is appended to the model. The reader of flatbuffers is ours and
is bounded; zipfile is that of the standard library.
"""

import io
import json
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from lagotto.core.errors import ModelError, reason
from lagotto.core.parsing.name_forms.entries import NotNamesError
from lagotto.core.parsing.name_forms.flow import Pairs, Tree, parse_flow, parse_json
from lagotto.core.types import Channels, JsonValue
from lagotto.models.files.flatbuffer import FlatTable, root_table
from lagotto.models.metadata.description import (
    Description,
    InputDescription,
    label_lines,
)
from lagotto.models.metadata.embedded import (
    MAX_EMBEDDED_BYTES,
    EmbeddedMetadata,
    normalization,
    read_properties,
)

# Slots by table: of the TFLite schema, then of the schema of its metadata.
_MODEL_BUFFERS, _MODEL_METADATA = 4, 6
_ENTRY_NAME, _ENTRY_BUFFER = 0, 1
_BUFFER_DATA = 0
_META_GRAPHS, _GRAPH_INPUTS, _GRAPH_OUTPUTS = 3, 2, 3
_TENSOR_CONTENT, _TENSOR_UNITS, _TENSOR_FILES = 3, 4, 6
_UNION_KIND, _UNION_VALUE = 0, 1
_IMAGE_PROPERTIES, _IMAGE_COLORS = 2, 0
_NORMALIZATION, _NORMALIZATION_MEAN, _NORMALIZATION_STD = 1, 0, 1
_FILE_NAME, _FILE_KIND, _FILE_LOCALE = 0, 2, 3
_LABEL_KINDS = (2, 3)  # names along the axis of the output, or of its values
_COLORS: dict[int, Channels] = {1: "RGB", 2: "L"}

_MARK = "TFLITE_METADATA"
_MOST_LISTS = 16
_PROPERTY_FILES = ("metadata.json", "meta.txt")
_CODE = re.compile(r"/[a-z]{1,2}/[\w/]+|[nmq]?\d+|[a-z]\d{5,}", re.IGNORECASE)
_ENGLISH = re.compile(r"(?:^|[-_.])en(?:[-_.](?:us|gb))?(?:[-_.]|$)", re.IGNORECASE)
_ZIP_REFUSALS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
)


@dataclass(frozen=True, slots=True)
class _LabelList:
    """A list of labels in a file, with the locale that the metadata gives it, "" for none."""

    name: str
    locale: str
    names: tuple[str, ...]


def read_tflite_metadata(data: bytes) -> EmbeddedMetadata:
    """The metadata of a TFLite file; empty, with a note, if it cannot be read."""
    try:
        found = _read(data)
    except ModelError as error:
        return EmbeddedMetadata(notes=(f"metadata left out: {error}",))
    if found.description.labels is not None:
        return found
    exported = read_properties(_properties(data))
    if exported == EmbeddedMetadata():
        return found
    return replace(exported, notes=found.notes)


def _properties(data: bytes) -> dict[str, str]:
    """The key-value pairs that ultralytics zips into a file, as texts; empty if there are none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()[:_MOST_LISTS]
            name = next((item for item in names if item.endswith(_PROPERTY_FILES)), None)
            if name is None or archive.getinfo(name).file_size > MAX_EMBEDDED_BYTES:
                return {}
            with archive.open(name) as stream:
                text = stream.read(MAX_EMBEDDED_BYTES).decode("utf-8", "replace")
        tree = parse_json(text) if name.endswith(".json") else parse_flow(text)
    except (*_ZIP_REFUSALS, NotNamesError):
        return {}
    if not isinstance(tree, Pairs):
        return {}
    return {
        key: value if isinstance(value, str) else json.dumps(_as_json(value))
        for key, value in tree.entries
    }


def _as_json(value: Tree) -> JsonValue:
    if isinstance(value, Pairs):
        return {key: _as_json(inner) for key, inner in value.entries}
    return [_as_json(inner) for inner in value] if isinstance(value, list) else value


def _read(data: bytes) -> EmbeddedMetadata:
    root = _metadata(data)
    if root is None:
        return EmbeddedMetadata()
    described, files = InputDescription(), []
    for graph in root.tables(_META_GRAPHS)[:1]:
        for tensor in graph.tables(_GRAPH_INPUTS)[:1]:
            described = _input(tensor)
        for tensor in graph.tables(_GRAPH_OUTPUTS)[:1]:
            files = [
                (file.text(_FILE_NAME), file.text(_FILE_LOCALE).lower())
                for file in tensor.tables(_TENSOR_FILES)
                if file.integer(_FILE_KIND, "b") in _LABEL_KINDS
            ]
    lists: list[_LabelList] = []
    notes: list[str] = []
    for name, locale in files[:_MOST_LISTS]:
        try:
            lists.append(_LabelList(name, locale, _zipped_labels(data, name)))
        except _ZIP_REFUSALS as error:
            notes.append(f"embedded labels left out: {reason(error)}")
    if not lists:
        return EmbeddedMetadata(Description(input=described), tuple(notes))
    chosen = min(lists, key=_rank)  # of equal rank, the first
    if len(lists) > 1:
        others = ", ".join(repr(item.name[:60]) for item in lists if item is not chosen)
        notes.append(f"labels from {chosen.name[:60]!r} in the file, not from {others}")
    return EmbeddedMetadata(Description(labels=chosen.names, input=described), tuple(notes))


def _rank(item: _LabelList) -> tuple[bool, bool, int]:
    """Sort key of lists of labels: words before codes, then English, then no language."""
    is_code = sum(map(_is_code, item.names)) * 2 > len(item.names)
    language = item.locale.replace("_", "-").split("-")[0]
    is_english = language == "en" or (not language and _ENGLISH.search(item.name) is not None)
    return is_code, not is_english, bool(language)


def _is_code(name: str) -> bool:
    """Whether a label is a code of a machine, such as /m/01x, n01440764, Q42 or a number."""
    return _CODE.fullmatch(name) is not None


def _metadata(data: bytes) -> FlatTable | None:
    """The root of the metadata, None if the file has none."""
    model = root_table(data)
    buffers = model.tables(_MODEL_BUFFERS)
    for entry in model.tables(_MODEL_METADATA):
        index = entry.integer(_ENTRY_BUFFER, "I")
        if entry.text(_ENTRY_NAME) == _MARK and index < len(buffers):
            start, length = buffers[index].vector(_BUFFER_DATA, "B")
            return root_table(data[start : start + length])
    return None


def _input(tensor: FlatTable) -> InputDescription:
    described = InputDescription()
    for unit in tensor.tables(_TENSOR_UNITS):
        options = unit.table(_UNION_VALUE)
        if unit.integer(_UNION_KIND, "B") == _NORMALIZATION and options is not None:
            described = normalization(
                _floats(options, _NORMALIZATION_MEAN), _floats(options, _NORMALIZATION_STD)
            )
    content = tensor.table(_TENSOR_CONTENT)
    if content is not None and content.integer(_UNION_KIND, "B") == _IMAGE_PROPERTIES:
        properties = content.table(_UNION_VALUE)
        if properties is not None:
            described = replace(
                described, channels=_COLORS.get(properties.integer(_IMAGE_COLORS, "b"))
            )
    return described


def _floats(table: FlatTable, slot: int) -> tuple[float, ...]:
    start, length = table.vector(slot, "f")
    return struct.unpack_from(f"<{length}f", table.data, start)


def _zipped_labels(data: bytes, name: str) -> tuple[str, ...]:
    """The lines of a text file in the archive that is appended to the model."""
    if PurePosixPath(name).name != name:
        raise ValueError(f"odd file name {name[:60]!r}")
    with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(name) as stream:
        text = stream.read(MAX_EMBEDDED_BYTES + 1)
    if len(text) > MAX_EMBEDDED_BYTES:
        raise ValueError(f"{name} is larger than {MAX_EMBEDDED_BYTES >> 20} MB")
    return label_lines(text)
