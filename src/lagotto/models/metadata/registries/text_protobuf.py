"""A protobuf in text form, such as a config.pbtxt, comes in; its fields go out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lagotto.core.errors import ModelError

_MAX_DEPTH = 16
_MAX_FIELDS = 20_000
_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\s*)*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[\w.+-]+|[{}\[\]<>:,;])"""
)
_END = re.compile(r"\s*(?:\#[^\n]*\s*)*")


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A message: its fields in order. A repeated field stands once for each of its values."""

    fields: tuple[tuple[str, "str | TextMessage"], ...]

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of a field that are no messages."""
        return tuple(v for key, v in self.fields if key == name and isinstance(v, str))

    def text(self, name: str) -> str:
        """The last value of a field that is no message, "" if there is none."""
        return (*("",), *self.texts(name))[-1]

    def messages(self, name: str) -> tuple["TextMessage", ...]:
        """The values of a field that are messages."""
        return tuple(v for key, v in self.fields if key == name and isinstance(v, TextMessage))


def parse_text_protobuf(text: str) -> TextMessage:
    """The message in a text; every scalar is the text that stands there, without its quotes.

    Raises:
        ModelError: The text is no protobuf, is nested too deeply or has too many fields.

    Example:
        >>> message = parse_text_protobuf('name: "birds" input [{ dims: [3, 224, 224] }]')
        >>> message.text("name"), message.messages("input")[0].texts("dims")
        ('birds', ('3', '224', '224'))
    """
    return _Reader(text).message("", 0)


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._left = text, 0, _MAX_FIELDS

    def message(self, closing: str, depth: int) -> TextMessage:
        """The fields up to a closing bracket, or up to the end of the text."""
        if depth > _MAX_DEPTH:
            raise ModelError("is nested too deeply")
        fields: list[tuple[str, str | TextMessage]] = []
        while (token := self._next()) != closing:
            if token in (",", ";"):
                continue
            if not re.fullmatch(r"[A-Za-z_]\w*", token):
                raise ModelError(f"has {token[:40]!r} where the name of a field belongs")
            fields += [(token, value) for value in self._values(depth)]
            if len(fields) > self._left:
                raise ModelError("has too many fields")
        self._left -= len(fields)
        return TextMessage(tuple(fields))

    def _values(self, depth: int) -> Iterator["str | TextMessage"]:
        token = self._next()
        if token == ":":
            token = self._next()
        if token != "[":
            yield self._value(token, depth)
            return
        while (token := self._next()) != "]":
            if token != ",":
                yield self._value(token, depth)

    def _value(self, token: str, depth: int) -> "str | TextMessage":
        if token in "{<" and token:
            return self.message("}" if token == "{" else ">", depth + 1)
        if not token or token in "}]>:,;":
            raise ModelError(f"has {token or 'its end'!r} where a value belongs")
        if token[0] not in "\"'":
            return token
        parts = [token[1:-1]]
        while (more := _TOKEN.match(self._text, self._at)) and more[1][0] in "\"'":
            self._at = more.end()
            parts.append(more[1][1:-1])
        return re.sub(r"\\(.)", r"\1", "".join(parts))

    def _next(self) -> str:
        """The next token, "" at the end of the text."""
        match = _TOKEN.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
            return match[1]
        end = _END.match(self._text, self._at)
        rest = self._text[end.end() if end else self._at :]
        if rest:
            raise ModelError(f"has {rest[:40]!r}, which is not understood")
        return ""
