"""A comma list, text file or jsonl file comes in; labels go out."""

import json
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.text.names import display_name, name_key

_HINT = "give at least two, as a comma list, a text file (one a line) or a .jsonl file"


@dataclass(frozen=True, slots=True)
class Label:
    """A class: its name as the user wrote it, its words for the encoder, and descriptions of it."""

    name: str
    words: str
    descriptions: tuple[str, ...] = ()


def read_labels(source: str) -> tuple[Label, ...]:
    """Reads labels from a file (text with one a line, or .jsonl), or from a comma list.

    A jsonl line is `{"label": ..., "descriptions": [...]}`; the descriptions are whole sentences.

    Args:
        source: The path of a file; if there is no such file, a comma list.

    Raises:
        UsageError: The file cannot be read, or `make_labels` refuses the labels.
    """
    path = Path(source).expanduser()
    try:
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        looks_like_file = "," not in source and path.suffix in (".txt", ".jsonl", ".ndjson", ".csv")
        if looks_like_file:
            raise UsageError(f"labels {source!r}: no such file; {_HINT}")
        return make_labels([part for part in source.split(",") if part.strip()])
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read labels {path}: {error.strerror}; check the file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"labels {path} is not UTF-8 text; save it as UTF-8") from error
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        return make_labels([line.strip() for line in lines if line.strip()])
    rows = [_parse_row(line, f"{path} line {i}") for i, line in enumerate(lines, 1) if line.strip()]
    return make_labels([name for name, _ in rows], [texts for _, texts in rows])


def make_labels(
    names: "list[str] | tuple[str, ...]", descriptions: "list[tuple[str, ...]] | None" = None
) -> tuple[Label, ...]:
    """Makes labels from names, in order.

    Args:
        names: The names of the classes.
        descriptions: Texts that describe each class; none if not given.

    Raises:
        UsageError: There are fewer than two names, one is empty, or two are equal after
            cleaning, ignoring case.
    """
    descriptions = descriptions or [()] * len(names)
    labels = tuple(
        Label(name.strip(), display_name(name), texts)
        for name, texts in zip(names, descriptions, strict=True)
    )
    if not labels:
        raise UsageError(f"no labels; {_HINT}")
    if len(labels) == 1:
        raise UsageError(f"one label, {labels[0].name!r}: nothing to choose between; {_HINT}")
    name_of_words: dict[str, str] = {}
    for label in labels:
        if not label.words:
            raise UsageError(f"label {label.name!r} has no words; name it, or leave it out")
        key = name_key(label.words)
        if key in name_of_words:
            raise UsageError(
                f"labels {name_of_words[key]!r} and {label.name!r} are the same once cleaned "
                f"({label.words!r}); leave one out"
            )
        name_of_words[key] = label.name
    return labels


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
