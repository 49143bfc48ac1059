"""A comma list, a file of names or a jsonl file comes in; labels go out."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lagotto.core.arguments.names import as_name_list, named_file
from lagotto.core.errors import UsageError
from lagotto.core.files import read_at_most
from lagotto.core.parsing.name_list import NameList, parse_name_list
from lagotto.core.parsing.not_downloaded import HEAD_BYTES, what_lies_there
from lagotto.core.parsing.text_encoding import NotTextError, decode_text
from lagotto.core.text.names import display_name, name_key

_HINT = "give some as a comma list, a file of names (one a line) or a .jsonl file"
_JSON_LINES = (".jsonl", ".ndjson")
_MAX_JSON_LINES_BYTES = 64 << 20
_SHOWN = 5
_BAR = " | "
"""Parts a name from its descriptions; a bar without spaces belongs to the name."""


@dataclass(frozen=True, slots=True)
class Label:
    """A class: its name as the user wrote it, its words for the encoder, and descriptions of it."""

    name: str
    words: str
    descriptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelList:
    """Labels in order, and what a user should know of how they were read, a line each.

    Two labels may have the same words. `numbers` are the numbers of the labels in the list that was
    read, if it gives numbers.
    """

    labels: tuple[Label, ...]
    notes: tuple[str, ...] = ()
    numbers: tuple[int, ...] | None = None


def read_labels(source: str | Path) -> LabelList:
    """Reads labels from a file of names in any form, from jsonl with descriptions, or a comma list.

    A jsonl line is `{"label": ..., "descriptions": [...]}`; the descriptions are whole sentences.
    Other files are read by `as_name_list`: numbers in them place the names.

    Args:
        source: The path of a file; if there is no such file, a comma list.

    Raises:
        UsageError: The file cannot be read, it is plainly a path and nothing is there, or
            `make_labels` refuses the labels.
    """
    file = source if isinstance(source, Path) else named_file(source)
    if file is not None and file.suffix.lower() in _JSON_LINES:
        return _read_json_lines(file)
    if not isinstance(source, Path) and not source.strip(" ,"):
        raise UsageError(f"no labels; {_HINT}")
    names = as_name_list(source, "labels")
    return _of_names(names)


def make_labels(
    names: Sequence[str], descriptions: Sequence[tuple[str, ...]] | None = None
) -> tuple[Label, ...]:
    """Makes labels from names, in order; a name may stand twice.

    Args:
        names: The names of the classes, each perhaps with descriptions: `NAME | TEXT`.
        descriptions: Texts that describe each class; none if not given.

    Raises:
        UsageError: There are no names, or one is empty after cleaning.

    Example:
        >>> make_labels(["mug | a mug with a handle"])
        (Label(name='mug', words='mug', descriptions=('a mug with a handle',)),)
    """
    descriptions = descriptions or [()] * len(names)
    return check_labels(
        _described(name, texts) for name, texts in zip(names, descriptions, strict=True)
    )


def _described(name: str, texts: tuple[str, ...]) -> Label:
    """The label of a name, and of the descriptions that it brings along: `NAME | TEXT | TEXT`."""
    first, *more = (part.strip() for part in name.split(_BAR))
    return Label(first, display_name(first), (*texts, *filter(None, more)))


def check_labels(given: Iterable[Label]) -> tuple[Label, ...]:
    """The labels, at least one, each with words; UsageError otherwise."""
    labels = tuple(given)
    if not labels:
        raise UsageError(f"no labels; {_HINT}")
    for label in labels:
        if not label.words:
            raise UsageError(f"label {label.name!r} has no words; name it, or leave it out")
    return labels


def fold_labels(labels: Sequence[Label]) -> LabelList:
    """The labels without those that equal an earlier one once cleaned, ignoring case; and a note.

    A classifier answers with names. Two classes of one name would share the probability of that
    name, and a user could not tell their answers apart. Descriptions are joined.

    Raises:
        UsageError: Several labels were given and all are the same.
    """
    first: dict[str, Label] = {}
    folded: list[str] = []
    for label in labels:
        key = name_key(label.words)
        if key not in first:
            first[key] = label
            continue
        known = first[key]
        folded.append(known.name if known.name == label.name else f"{known.name} = {label.name}")
        joined = dict.fromkeys((*known.descriptions, *label.descriptions))
        first[key] = replace(known, descriptions=tuple(joined))
    if not folded:
        return LabelList(tuple(labels))
    if len(first) == 1:
        names = " and ".join(repr(label.name) for label in labels[:2])
        raise UsageError(f"labels {names} are the same once cleaned: give one of them, or others")
    shown = ", ".join(folded[:_SHOWN]) + (", ..." if len(folded) > _SHOWN else "")
    count = "1 repeated label was" if len(folded) == 1 else f"{len(folded)} repeated labels were"
    note = f"{count} folded into the first of that name: {shown}"
    return LabelList(tuple(first.values()), (note,))


def _of_names(names: NameList) -> LabelList:
    numbers = None
    if names.first is not None:
        numbers = tuple(n for n, name in enumerate(names.names, names.first) if name is not None)
    notes = tuple(f"labels: {note}" for note in names.notes)
    return LabelList(make_labels(names.present), notes, numbers)


def _read_json_lines(file: Path) -> LabelList:
    """Labels with descriptions; lines without a `label` are read as a list of names."""
    try:
        data = read_at_most(file, _MAX_JSON_LINES_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read labels {file}: {error.strerror}; check the file") from error
    if data is None:
        raise UsageError(f"labels {file} are larger than {_MAX_JSON_LINES_BYTES >> 20} MB")
    if (instead := what_lies_there(data[:HEAD_BYTES])) is not None:
        raise UsageError(f"labels {file}: the file is {instead}")
    try:
        decoded = decode_text(data)
    except NotTextError as error:
        raise UsageError(f"labels {file} {error}") from error
    if '"label"' not in decoded.text:
        return _of_names(parse_name_list(data, file.suffix, f"labels {file}"))
    lines = decoded.text.split("\n")
    rows = [_parse_row(line, f"{file} line {i}") for i, line in enumerate(lines, 1) if line.strip()]
    labels = make_labels([name for name, _ in rows], [texts for _, texts in rows])
    return LabelList(labels, tuple(f"labels: {note}" for note in decoded.notes))


def _parse_row(line: str, where: str) -> tuple[str, tuple[str, ...]]:
    """(name, descriptions) of a line of jsonl; `where` names the line in messages."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON; each line must be one JSON object") from error
    name = row.get("label") if isinstance(row, dict) else None
    if not isinstance(name, str):
        raise UsageError(f"{where} has no label; write {{'label': NAME, 'descriptions': [...]}}")
    descriptions = row.get("descriptions", [])
    if not isinstance(descriptions, list) or not all(
        isinstance(text, str) for text in descriptions
    ):
        raise UsageError(f"{where}: descriptions must be a list of texts")
    return name, tuple(text.strip() for text in descriptions if text.strip())
