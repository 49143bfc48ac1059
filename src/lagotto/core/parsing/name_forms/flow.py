"""A list or map in brackets, as Python, YAML and JSON print them, comes in; its values go out.

Nothing is evaluated: the reader knows brackets, commas, colons, quotes and plain words.
"""

import json
import re
from dataclasses import dataclass
from typing import TypeAlias

from lagotto.core.parsing.name_forms.entries import MAX_NAMES, NotNamesError

_MAX_DEPTH = 8
_SPACE = re.compile(r"(?:\s+|#[^\n]*)*")
_QUOTED = re.compile(r"""[bu]?(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.|'')*)')""", re.DOTALL)
_PLAIN = re.compile(r"""[^\s,:\[\]{}()"'][^,:\[\]{}()\n]*(?::(?!\s)[^,:\[\]{}()\n]*)*""")
_CLOSING = {"[": "]", "(": ")", "{": "}"}


@dataclass(frozen=True, slots=True)
class Pairs:
    """The entries of a map, in order, repeated keys and all."""

    entries: tuple[tuple[str, "Tree"], ...]


Tree: TypeAlias = str | int | float | bool | list["Tree"] | Pairs | None
"""A value of JSON, of YAML or of a Python literal. What has no quotes there is text here."""


def parse_json(text: str) -> Tree:
    """The value of a JSON text; NotNamesError says why it has none."""
    try:
        value: Tree = json.loads(text, object_pairs_hook=lambda pairs: Pairs(tuple(pairs)))
    except RecursionError as error:
        raise NotNamesError("is nested too deeply") from error
    except ValueError as error:
        raise NotNamesError(f"is not JSON: {' '.join(str(error).split())}") from error
    return value


def parse_flow(text: str) -> Tree:
    """The value of a list or map in brackets; NotNamesError says why it has none.

    Example:
        >>> parse_flow("['ant', \\"bee's\\", cat]")
        ['ant', "bee's", 'cat']
        >>> parse_flow("{0: tench, 1: 'goldfish'}")
        Pairs(entries=(('0', 'tench'), ('1', 'goldfish')))
    """
    reader = _Flow(text)
    value = reader.value(0)
    if reader.skip_space() < len(text.rstrip(" \t\r\n;")):
        raise NotNamesError(f"goes on after its last bracket: {text[reader.at :][:40]!r}")
    return value


def quoted_text(token: str) -> str:
    """What a text in quotes says: escapes of JSON in double quotes, of YAML in single ones."""
    match = _QUOTED.fullmatch(token)
    if match is None:
        return token
    if match[1] is None:
        single = match[2].replace("''", "'")
        return re.sub(r"\\(['\"\\])", r"\1", single)
    try:
        return str(json.loads(f'"{match[1]}"'))
    except ValueError:
        return re.sub(r"\\(.)", r"\1", match[1])


class _Flow:
    """Reads one value from left to right; `at` is the place reached."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.count = text, 0, 0

    def skip_space(self) -> int:
        """Passes over white space and comments; the place reached."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def value(self, depth: int) -> Tree:
        """The value that begins here."""
        self.count += 1
        if depth > _MAX_DEPTH or self.count > 2 * MAX_NAMES:
            raise NotNamesError("is nested too deeply, or too long")
        self.skip_space()
        opening = self.text[self.at : self.at + 1]
        if opening in _CLOSING and opening:
            self.at += 1
            is_map = opening == "{"
            return self._map(depth) if is_map else self._list(_CLOSING[opening], depth)
        return self._scalar()

    def _scalar(self) -> Tree:
        for pattern in (_QUOTED, _PLAIN):
            match = pattern.match(self.text, self.at)
            if match is not None:
                self.at = match.end()
                word = match[0].strip()
                if pattern is _QUOTED:
                    return quoted_text(word)
                return None if word in ("None", "null", "~") else word
        raise NotNamesError(f"cannot be read at {self.text[self.at :][:40]!r}")

    def _ends(self, closing: str) -> bool:
        """Whether the bracket closes here; passes over one comma before it."""
        self.skip_space()
        if self.text[self.at : self.at + 1] == closing:
            self.at += 1
            return True
        return False

    def _comma(self, closing: str) -> None:
        self.skip_space()
        sign = self.text[self.at : self.at + 1]
        if sign == ",":
            self.at += 1
        elif sign != closing:
            raise NotNamesError(
                f"is cut short: a {closing!r} is missing"
                if not sign
                else f"needs a comma at {self.text[self.at :][:40]!r}"
            )

    def _list(self, closing: str, depth: int) -> Tree:
        values: list[Tree] = []
        while not self._ends(closing):
            values.append(self.value(depth + 1))
            self._comma(closing)
        return values

    def _map(self, depth: int) -> Tree:
        entries: list[tuple[str, Tree]] = []
        while not self._ends("}"):
            self.skip_space()
            key = self._scalar()
            self.skip_space()
            if self.text[self.at : self.at + 1] != ":":
                raise NotNamesError(f"has {key!r} without a colon behind it")
            self.at += 1
            entries.append((str(key), self.value(depth + 1)))
            self._comma("}")
        return Pairs(tuple(entries))
