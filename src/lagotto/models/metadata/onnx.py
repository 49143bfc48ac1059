"""The metadata_props of an ONNX file: pixel format and range, picture size, class names."""

from lagotto.core.errors import ModelError
from lagotto.core.parsing.protobuf import (
    LENGTH,
    Buffer,
    Span,
    WireReader,
)
from lagotto.models.metadata.embedded import (
    MAX_EMBEDDED_BYTES,
    EmbeddedMetadata,
    read_properties,
)

_MODEL_PROPERTIES = 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_MAX_ENTRIES = 1000


def read_onnx_metadata(data: Buffer) -> EmbeddedMetadata:
    """What an ONNX file's properties say, nothing if it has none; raises ModelError if damaged."""
    reader = WireReader(data, ModelError)
    found: dict[str, str] = {}
    for number, wire, start, end in reader.fields((0, len(data))):
        if number == _MODEL_PROPERTIES and wire == LENGTH and len(found) < _MAX_ENTRIES:
            key, value = _entry(reader, (start, end))
            found.setdefault(key, value)
    return read_properties(found)


def _entry(reader: WireReader, span: Span) -> tuple[str, str]:
    texts = {_ENTRY_KEY: "", _ENTRY_VALUE: ""}
    for number, wire, start, end in reader.fields(span):
        if wire == LENGTH and number in texts and end - start <= MAX_EMBEDDED_BYTES:
            texts[number] = reader.text((start, end))
    return texts[_ENTRY_KEY], texts[_ENTRY_VALUE]
