"""A comma list, a text file or a jsonl file in, the labels to classify among out."""

import json
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.text.names import display_name, name_key

_ASK = "give at least two, as a comma list, a text file (one a line) or a .jsonl file"


@dataclass(frozen=True, slots=True)
class Label:
    """A class: its name as it was given, as it is read to the encoder, and texts that tell it."""

    name: str
    words: str
    descriptions: tuple[str, ...] = ()


def read_labels(given: str) -> tuple[Label, ...]:
    """The labels of a comma list, or of a file: text, one a line, or .jsonl.

    A jsonl line is `{"label": ..., "descriptions": [...]}`, the descriptions whole sentences.
    What is no file is a comma list. Raises UsageError as `make_labels` does, and for a file that
    cannot be read.
    """
    path = Path(given).expanduser()
    try:
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        looks_like_file = "," not in given and path.suffix in (".txt", ".jsonl", ".ndjson", ".csv")
        if looks_like_file:
            raise UsageError(f"labels {given!r}: no such file; {_ASK}")
        return make_labels([part for part in given.split(",") if part.strip()])
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read labels {path}: {error.strerror}; check the file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"labels {path} is not UTF-8 text; save it as UTF-8") from error
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        return make_labels([line.strip() for line in lines if line.strip()])
    rows = [_row(line, f"{path} line {i}") for i, line in enumerate(lines, 1) if line.strip()]
    return make_labels([name for name, _ in rows], [said for _, said in rows])


def make_labels(
    names: "list[str] | tuple[str, ...]", descriptions: "list[tuple[str, ...]] | None" = None
) -> tuple[Label, ...]:
    """Labels of names, in order; UsageError for fewer than two, an empty one, or two that agree
    once they are cleaned (case aside)."""
    said = descriptions or [()] * len(names)
    labels = tuple(
        Label(name.strip(), display_name(name), texts)
        for name, texts in zip(names, said, strict=True)
    )
    if not labels:
        raise UsageError(f"no labels; {_ASK}")
    if len(labels) == 1:
        raise UsageError(f"one label, {labels[0].name!r}: nothing to choose between; {_ASK}")
    seen: dict[str, str] = {}
    for label in labels:
        if not label.words:
            raise UsageError(f"label {label.name!r} has no words; name it, or leave it out")
        key = name_key(label.words)
        if key in seen:
            raise UsageError(
                f"labels {seen[key]!r} and {label.name!r} are the same once cleaned "
                f"({label.words!r}); leave one out"
            )
        seen[key] = label.name
    return labels


def _row(line: str, where: str) -> tuple[str, tuple[str, ...]]:
    """(name, descriptions) of a line of jsonl."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON; each line must be one JSON object") from error
    name = row.get("label") if isinstance(row, dict) else None
    if not isinstance(name, str):
        raise UsageError(f"{where} has no label; write {{'label': NAME, 'descriptions': [...]}}")
    said = row.get("descriptions", [])
    if not isinstance(said, list) or not all(isinstance(text, str) for text in said):
        raise UsageError(f"{where}: descriptions must be a list of texts")
    return name, tuple(text.strip() for text in said if text.strip())
