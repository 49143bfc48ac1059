"""YAML as data sets write it comes in; its values go out.

Read are maps, lists, brackets and quotes. Anchors, tags and documents after the first are refused.
"""

import re
from dataclasses import dataclass

from lagotto.core.parsing.name_forms.entries import MAX_NAMES, NotNamesError
from lagotto.core.parsing.name_forms.flow import Pairs, Tree, parse_flow, quoted_text

_MAX_DEPTH = 12
_KEY = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#\[\]{},"'&*!|>%@`-][^#]{0,200}?|-[^\s#]{0,200}?)"""
    r"""[ \t]{0,20}:(?:[ \t]+|$)"""
)
_QUOTED_VALUE = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*(?:#.*)?""")
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class _Line:
    indent: int
    text: str
    number: int


def parse_yaml(text: str) -> Tree:
    """The value of a YAML text, every scalar as the text that stands there.

    Raises:
        NotNamesError: The text is no YAML, or uses what is not read.

    Example:
        >>> parse_yaml("nc: 2  # classes\\nnames:\\n  0: ant\\n  1: 'no'")
        Pairs(entries=(('nc', '2'), ('names', Pairs(entries=(('0', 'ant'), ('1', 'no'))))))
    """
    lines: list[_Line] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if number > 2 * MAX_NAMES:
            raise NotNamesError("is too long")
        bare = line.strip()
        if bare in ("---", "...") or line.startswith("%"):
            if lines and bare == "---":
                break
            continue
        indent = len(line) - len(line.lstrip(" "))
        lines.append(_Line(indent, line.strip(), number))
    reader = _Yaml(lines)
    value = reader.block(0, 0)
    if reader.peek() is not None:
        raise reader.refusal("stands at a place that is not understood")
    return value


class _Yaml:
    """Reads blocks from top to bottom; `at` is the line reached."""

    def __init__(self, lines: list[_Line]) -> None:
        self.lines, self.at = lines, 0

    def peek(self) -> _Line | None:
        """The next line that says something."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.text and not line.text.startswith("#"):
                return line
            self.at += 1
        return None

    def refusal(self, why: str) -> NotNamesError:
        """The error that names the line reached."""
        line = self.lines[min(self.at, len(self.lines) - 1)]
        return NotNamesError(f"is YAML whose line {line.number}, {line.text[:40]!r}, {why}")

    def block(self, indent: int, depth: int) -> Tree:
        """The value that begins at the next line, whose lines are indented at least so far."""
        line = self.peek()
        if line is None or line.indent < indent:
            return None
        if depth > _MAX_DEPTH:
            raise NotNamesError("is nested too deeply")
        if line.text == "-" or line.text.startswith("- "):
            return self._list(line.indent, depth)
        if _KEY.match(line.text):
            return self._map(line.indent, depth)
        self.at += 1
        return self._scalar(line.text, line.indent)

    def _list(self, indent: int, depth: int) -> Tree:
        items: list[Tree] = []
        while (line := self.peek()) is not None and line.indent == indent:
            if line.text != "-" and not line.text.startswith("- "):
                break
            rest = line.text[1:].lstrip()
            inner = line.indent + len(line.text) - len(rest)
            if not rest:
                self.at += 1
                items.append(self.block(indent + 1, depth + 1))
            elif _KEY.match(rest) or rest.startswith("- "):
                self.lines[self.at] = _Line(inner, rest, line.number)
                items.append(self.block(inner, depth + 1))
            else:
                self.at += 1
                items.append(self._scalar(rest, indent))
        return items

    def _map(self, indent: int, depth: int) -> Tree:
        entries: list[tuple[str, Tree]] = []
        while (line := self.peek()) is not None and line.indent == indent:
            match = _KEY.match(line.text)
            if match is None:
                break
            key, rest = quoted_text(match[1]), line.text[match.end() :].strip()
            self.at += 1
            if rest and not rest.startswith("#"):
                entries.append((key, self._scalar(rest, indent)))
                continue
            below = self.peek()
            lists_here = below is not None and below.indent == indent and below.text[:1] == "-"
            value = self.block(indent if lists_here else indent + 1, depth + 1)
            entries.append((key, value))
        line = self.peek()
        if line is not None and line.indent > indent:
            raise self.refusal("is indented more than the lines above")
        return Pairs(tuple(entries))

    def _scalar(self, text: str, indent: int) -> Tree:
        """One value; `at` stands behind its first line, whose block is indented so far."""
        if text[0] in "|>" and re.fullmatch(r"[|>][-+0-9]*(\s+#.*)?", text):
            return self._text_block(indent)
        if text[0] in "[{":
            return self._brackets(text)
        if text[0] in "&*!":
            self.at -= 1
            raise self.refusal("holds an anchor, an alias or a tag, which are not read")
        if text[0] in "\"'":
            match = _QUOTED_VALUE.fullmatch(text)
            if match is None:
                self.at -= 1
                raise self.refusal("has a quote that is not closed")
            return quoted_text(match[1])
        plain = _without_comment(text)
        while (line := self.peek()) is not None and line.indent > indent:  # a text on many lines
            plain += " " + _without_comment(line.text)
            self.at += 1
        return None if plain in _NOTHING else plain

    def _text_block(self, indent: int) -> str:
        lines = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.text and line.indent <= indent:
                break
            lines.append(line.text)
            self.at += 1
        return "\n".join(lines).strip()

    def _brackets(self, text: str) -> Tree:
        """A list or map in brackets, which may go on over many lines."""
        parts, first = [text], self.at
        balance = _balance(text)
        while balance > 0 and self.at < len(self.lines):
            line = self.lines[self.at].text
            parts.append(line)
            balance += _balance(line)
            self.at += 1
        try:
            return parse_flow("\n".join(parts))
        except NotNamesError:
            self.at = first - 1
            raise


def _without_comment(text: str) -> str:
    start = text.find(" #")
    return text if start < 0 else text[:start].rstrip()


def _balance(line: str) -> int:
    """How many brackets a line opens and leaves open, outside quotes."""
    bare = re.sub(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""", "", line)
    bare = re.sub(r"(^|\s)#.*$", "", bare)
    return sum(bare.count(sign) for sign in "[{(") - sum(bare.count(sign) for sign in ")}]")
