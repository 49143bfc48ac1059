"""A TFLite file comes in; its metadata (normalization, colors, labels) goes out.

The labels are in a zip archive that is appended to the model. The reader of flatbuffers is ours and
is bounded; zipfile is that of the standard library.
"""

import io
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import PurePosixPath

from lagotto.core.errors import ModelError
from lagotto.core.types import Channels
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
_FILE_NAME, _FILE_KIND = 0, 2
_LABEL_KINDS = (2, 3)  # names along the axis of the output, or of its values
_COLORS: dict[int, Channels] = {1: "RGB", 2: "L"}

_MARK = "TFLITE_METADATA"
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


def read_tflite_metadata(data: bytes) -> EmbeddedMetadata:
    """The metadata of a TFLite file; empty, with a note, if it cannot be read."""
    try:
        return _read(data)
    except ModelError as error:
        return EmbeddedMetadata(notes=(f"metadata left out: {error}",))


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
                file.text(_FILE_NAME)
                for file in tensor.tables(_TENSOR_FILES)
                if file.integer(_FILE_KIND, "b") in _LABEL_KINDS
            ]
    if not files:
        return EmbeddedMetadata(Description(input=described))
    try:
        labels = _zipped_labels(data, files[0])
    except _ZIP_REFUSALS as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        return EmbeddedMetadata(
            Description(input=described), (f"embedded labels left out: {reason}",)
        )
    return EmbeddedMetadata(Description(labels=labels, input=described))


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
