"""A list of class names, in any form in which people publish one, comes in; its names, each at its
place, go out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_forms.entries import (
    MAX_NAMES,
    MAX_NUMBER,
    Entries,
    NotNamesError,
    first_repeated,
    lists_pictures,
)
from lagotto.core.parsing.name_forms.flow import Pairs, Tree, parse_flow, parse_json
from lagotto.core.parsing.name_forms.label_map import is_label_map, parse_label_map
from lagotto.core.parsing.name_forms.lines import parse_lines, split_lines
from lagotto.core.parsing.name_forms.numpy_array import parse_numpy
from lagotto.core.parsing.name_forms.structured import KEYS, entries_of
from lagotto.core.parsing.name_forms.tables import parse_table
from lagotto.core.parsing.name_forms.yaml_subset import parse_yaml
from lagotto.core.parsing.not_downloaded import HEAD_BYTES, what_lies_there
from lagotto.core.parsing.text_encoding import NotTextError, decode_text
from lagotto.core.text.clean import clean_text

MAX_LIST_BYTES = 8 << 20
"""Bytes of a list of names, at most."""

_MAX_NAME = 2000
_LINES = ("", ".txt", ".text", ".names", ".labels", ".label", ".classes", ".lst", ".list", ".lbl")
_JSON_LINES = (".jsonl", ".ndjson")
_YAML = (".yaml", ".yml")
_LABEL_MAP = (".pbtxt", ".prototxt")
_NUMPY = ".npy"
_ASSIGNED = re.compile(r"\A[A-Za-z_][^\n=\[{(]{0,60}(?:\[[^\n=]{0,60}\])?\s*=\s*(?=[\[{(])")
_CALL = re.compile(
    r"[A-Za-z_][\w.]{0,60}\(\s*([\[{(].*[\]})])\s*(?:,\s*\w+\s*=[^\[\](){}]*)*\)\s*\Z", re.DOTALL
)
LIST_ENDINGS = (*_LINES, ".csv", ".tsv", ".json", *_JSON_LINES, *_YAML, *_LABEL_MAP, _NUMPY)
"""Endings of the files that `read_name_list` reads, in lower case; "" is a file without one."""

_ALLOWED = "give a .txt (one name a line), .csv, .tsv, .json, .jsonl, .yaml, .pbtxt or .npy file"
_YAML_START = re.compile(
    rf"(---\s*\n\s*)?({'|'.join(KEYS)})\s*:\s*(#.*)?(\n|\[|\{{)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class NameList:
    """Names of classes by position.

    Attributes:
        names: The names; None where the numbers of the list leave a gap, or where it says so.
        form: The form that was read, for example "numbered lines".
        notes: What a user should know of the reading, one clause each.
        first: The number of the first position, 0 or 1; None if the list has no numbers.
        heading: A first line that was taken for a heading, though it might be a name.
    """

    names: tuple[str | None, ...]
    form: str
    notes: tuple[str, ...] = ()
    first: int | None = None
    heading: str | None = None

    @property
    def present(self) -> tuple[str, ...]:
        """The names without the gaps, in order."""
        return tuple(name for name in self.names if name is not None)

    def for_outputs(self, count: int) -> tuple[str | None, ...] | None:
        """The names placed on the outputs of a model; None if they do not fit.

        The number of names must be the number of outputs. A list that is numbered from 1 also fits
        where one output more is there: then its numbers count from 0, and output 0 has no name.
        An empty line between names stands for an output without a name. What was taken for a
        heading is the first name where that fits.

        Args:
            count: The number of outputs.

        Example:
            >>> parse_name_list(b"2 dog\\n1 cat\\n", ".txt", "labels.txt").for_outputs(3)
            (None, 'cat', 'dog')
        """
        if len(self.names) == count:
            return self.names
        if self.first == 1 and len(self.names) + 1 == count:
            return (None, *self.names)
        if self.heading is not None and len(self.names) + 1 == count:
            return (self.heading, *self.names)
        return None


def read_name_list(file: Path) -> NameList:
    """The names in a file, by its ending and what stands in it.

    Args:
        file: A file of at most MAX_LIST_BYTES with one of LIST_ENDINGS.

    Raises:
        UsageError: The file is missing or too large, or `parse_name_list` refuses it.
    """
    source = f"{str(file)!r}"
    try:
        if file.exists() and not file.is_file():
            kind = "a folder" if file.is_dir() else "no regular file"
            raise UsageError(f"{source} is {kind}, not a list of names; {_ALLOWED}")
        check_ending(file.suffix, source)
        with file.open("rb") as stream:
            data = stream.read(MAX_LIST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{source} cannot be read: {reason}; {_ALLOWED}") from error
    return parse_name_list(data, file.suffix, source)


def check_ending(ending: str, source: str) -> None:
    """Refuses a file whose ending is not one of a list of names."""
    if ending.lower() not in LIST_ENDINGS:
        raise UsageError(f"{source} ends in {ending!r}, which is no list of names; {_ALLOWED}")


def parse_name_list(data: bytes, ending: str, source: str) -> NameList:
    """The names in the bytes of a file.

    Args:
        data: The bytes.
        ending: The ending of the file's name, with its dot: ".json".
        source: How messages name the file.

    Raises:
        UsageError: One line that names the source and says why it is no list of names.
    """
    check_ending(ending, source)
    if len(data) > MAX_LIST_BYTES:
        raise UsageError(f"{source} is larger than {MAX_LIST_BYTES >> 20} MB; {_ALLOWED}")
    if (instead := what_lies_there(data[:HEAD_BYTES])) is not None:
        raise UsageError(f"{source} is {instead}")
    try:
        placed = _place(_entries(data, ending.lower()))
    except (NotTextError, NotNamesError) as error:
        reason = clean_text(str(error))
        remedy = "" if ";" in reason else f"; {_ALLOWED}"
        raise UsageError(f"{source} {reason}{remedy}") from error
    return placed


def _entries(data: bytes, ending: str) -> Entries:
    """The entries in the bytes of a file, with notes on how its text was decoded."""
    if ending == _NUMPY:
        return parse_numpy(data)
    decoded = decode_text(data)
    entries = _parser(ending, decoded.text)(decoded.text)
    return replace(entries, notes=(*decoded.notes, *entries.notes))


def _parser(ending: str, text: str) -> Callable[[str], Entries]:
    """The parser of a form: by the ending, and for plain text by its first signs."""
    if not text.strip():
        raise NotNamesError("holds no name; write one a line")
    if ending in _JSON_LINES:
        return _parse_json_lines
    if ending == ".json":
        return _parse_json
    if ending in _YAML:
        return lambda text: entries_of(parse_yaml(text), "yaml")
    if ending in _LABEL_MAP or is_label_map(text):
        return parse_label_map
    if ending in (".csv", ".tsv"):
        return lambda text: parse_table(text, "\t" if ending == ".tsv" else None)
    return _parse_text


def _parse_json(text: str) -> Entries:
    """JSON; or a Python list or dict that was written into a .json file."""
    try:
        value, form = parse_json(text), "json"
    except NotNamesError:
        try:
            value, form = parse_flow(text), "python"
        except NotNamesError:
            value = None
        if not isinstance(value, list | Pairs):
            raise
    return entries_of(value, form)


def _parse_json_lines(text: str) -> Entries:
    values: list[Tree] = []
    for number, line in enumerate(split_lines(text), 1):
        if line:
            try:
                values.append(parse_json(line))
            except NotNamesError as error:
                raise NotNamesError(f"line {number} {error}") from error
    return entries_of(values, "jsonl")


def _parse_text(text: str) -> Entries:
    """Lines; or what people keep in a text file all the same: JSON, a Python literal, a table."""
    bare = text.strip("\ufeff \t\r\n")
    assigned = _ASSIGNED.sub("", bare)
    if assigned[:1] in ("{", "[") or (assigned[:1] == "(" and assigned[-1:] in (")", ";")):
        return _parse_brackets(assigned)
    if (call := _CALL.match(bare)) is not None:
        return _parse_brackets(call[1])
    if bare.startswith("<") and bare.endswith(">") and "</" in bare:
        raise NotNamesError("is XML, which is not read")
    if (start := _YAML_START.match(bare)) is not None:
        try:
            return entries_of(parse_yaml(text), "yaml")
        except NotNamesError:
            if start[0].rstrip()[-1:] != ":":
                raise  # else "classes:" may be the heading of lines
    lines = [line for line in split_lines(text) if line]
    if len(lines) > 1 and all(line[0] in "\"'" for line in lines) and lines[0].endswith(","):
        for opening, closing in ("[]", "{}"):  # the inside of a list or map
            try:
                return entries_of(parse_flow(f"{opening}{bare}{closing}"), "python")
            except NotNamesError:
                continue
    if len(lines) > 1 and all(line[0] == line[-1] == "|" and len(line) > 2 for line in lines):
        rows = [line[1:-1] for line in lines if line.strip("|-: ")]  # a table of Markdown
        return parse_table("\n".join(rows), "|")
    if lines and all("\t" in line for line in lines):
        try:
            return parse_table(text, "\t")
        except NotNamesError:
            return parse_lines(text)
    return parse_lines(text)


def _parse_brackets(text: str) -> Entries:
    """JSON, or a list or dict as Python prints it; lines that all begin so are lines: "[0] cat"."""
    try:
        value = parse_json(text)
    except NotNamesError:
        try:
            value = parse_flow(text.rstrip(",;"))
        except NotNamesError:
            lines = [line for line in split_lines(text) if line]
            if len(lines) > 1 and all(line[0] in "[({" for line in lines):
                return parse_lines(text)
            raise
    else:
        return entries_of(value, "json")
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list | Pairs):
        value = value[0]
    return entries_of(value, "python")


def _place(entries: Entries) -> NameList:
    """The names at the places that their numbers say, cleaned."""
    names = [_clean(name) for name in entries.names]
    if not any(names):
        raise NotNamesError("holds no name; write one a line")
    if len(names) > MAX_NAMES:
        raise NotNamesError(f"has {len(names):,} names; at most {MAX_NAMES:,} are read")
    if max(len(name or "") for name in names) > _MAX_NAME:
        raise NotNamesError(f"has an entry of more than {_MAX_NAME:,} characters, which is no name")
    if lists_pictures(names):
        raise NotNamesError("lists picture files, not names of classes")
    if entries.numbers is None:
        heading = _clean(entries.heading)
        return NameList(tuple(names), entries.form, entries.notes, heading=heading)
    numbers, notes = entries.numbers, list(entries.notes)
    _check_numbers(entries)
    first = 1 if min(numbers) == 1 else 0
    by_number = dict(zip(numbers, names, strict=True))
    placed = tuple(by_number.get(number) for number in range(first, max(numbers) + 1))
    if min(numbers) > 0:
        notes.append(f"numbered from {min(numbers)}")
    if list(numbers) != sorted(numbers):
        notes.append("placed by their numbers, not by the order in the file")
    gaps = len(placed) - len(by_number)
    if gaps:
        notes.append(f"{gaps} {'number' if gaps == 1 else 'numbers'} in between without a name")
    return NameList(placed, entries.form, tuple(notes), first)


def _check_numbers(entries: Entries) -> None:
    numbers = entries.numbers or ()
    low, high = min(numbers), max(numbers)
    if low < 0 or high > MAX_NUMBER:
        raise NotNamesError(
            f"has the number {low if low < 0 else high}; numbers of outputs are 0 to {MAX_NUMBER:,}"
        )
    repeated = first_repeated(numbers)
    if repeated is not None:
        twice = [
            name for name, number in zip(entries.names, numbers, strict=True) if number == repeated
        ]
        raise NotNamesError(
            f"gives the number {repeated} to {twice[0]!r} and to {twice[1]!r}; "
            "each number must place one name"
        )


def _clean(name: str | None) -> str | None:
    cleaned = clean_text(name or "")
    return None if not cleaned.strip("?") else cleaned
