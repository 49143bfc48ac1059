"""An ONNX file comes in; its properties (pixel format, picture size, class names) go out."""

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
    """The metadata in the properties of an ONNX file; raises ModelError if it is damaged."""
    reader = WireReader(data, ModelError)
    properties: dict[str, str] = {}
    for number, wire, start, end in reader.fields((0, len(data))):
        if number == _MODEL_PROPERTIES and wire == LENGTH and len(properties) < _MAX_ENTRIES:
            key, value = _entry(reader, (start, end))
            properties.setdefault(key, value)
    return read_properties(properties)


def _entry(reader: WireReader, span: Span) -> tuple[str, str]:
    texts = {_ENTRY_KEY: "", _ENTRY_VALUE: ""}
    for number, wire, start, end in reader.fields(span):
        if wire == LENGTH and number in texts and end - start <= MAX_EMBEDDED_BYTES:
            texts[number] = reader.text((start, end))
    return texts[_ENTRY_KEY], texts[_ENTRY_VALUE]
