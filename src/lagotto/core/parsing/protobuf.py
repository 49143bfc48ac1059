"""Bytes of the protobuf wire format come in; fields go out, within bounds.

The reader knows just enough of protobuf to look into an ONNX file. It reads spans of bytes in
place, does not recurse, and raises its error at the first byte that is no protobuf.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap
from typing import TypeAlias

from lagotto.core.errors import LagottoError

Span: TypeAlias = tuple[int, int]
Buffer: TypeAlias = bytes | memoryview | mmap
MAX_FIELDS = 500_000
VARINT, LENGTH = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}


@dataclass(slots=True)
class WireReader:
    """Reads the fields of the messages in `data`, at most MAX_FIELDS of them.

    Its methods raise `error` if the bytes are no protobuf or do not end where they should.
    """

    data: Buffer
    error: type[LagottoError]
    left: int = field(default=MAX_FIELDS)

    def fields(self, span: Span) -> Iterator[tuple[int, int, int, int]]:
        """(field number, wire type, start, end) of each field of the message in `span`.

        For a varint, start is its value; else start and end are the span of the value's bytes.
        """
        position, end = span
        while position < end:
            self.left -= 1
            if self.left < 0:
                raise self.error(f"the file has more than {MAX_FIELDS} fields; it is not a model")
            key, position = self._varint(position, end)
            number, wire = key >> 3, key & 7
            if wire == VARINT:
                value, position = self._varint(position, end)
                yield number, wire, value, 0
                continue
            if wire == LENGTH:
                length, position = self._varint(position, end)
            elif wire in _FIXED_BYTES:
                length = _FIXED_BYTES[wire]
            else:
                raise self._damaged(position)
            if number == 0 or length > end - position:
                raise self._damaged(position)
            yield number, wire, position, position + length
            position += length

    def text(self, span: Span) -> str:
        """The text in a span; bytes that are not UTF-8 become replacement characters."""
        return bytes(self.data[span[0] : span[1]]).decode("utf-8", errors="replace")

    def varints(self, span: Span) -> Iterator[int]:
        """The numbers of a packed field."""
        position, end = span
        while position < end:
            value, position = self._varint(position, end)
            yield value

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        if position < end and (first := self.data[position]) < 0x80:
            return first, position + 1  # nearly all of them
        value = 0
        for shift in range(0, 70, 7):
            if position >= end:
                raise self._damaged(position)
            byte = self.data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise self._damaged(position)

    def _damaged(self, position: int) -> LagottoError:
        return self.error(
            f"not an ONNX file, or cut short (unreadable at byte {position}); "
            "download or export the model again"
        )


def varint_bytes(value: int) -> bytes:
    """The varint of a number that is not negative."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field_bytes(number: int, content: bytes) -> bytes:
    """A length-delimited field with its number and content."""
    return varint_bytes(number << 3 | LENGTH) + varint_bytes(len(content)) + content
