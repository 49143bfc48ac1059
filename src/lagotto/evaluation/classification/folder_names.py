"""Names of class folders come in; the labels that they stand for go out.

A folder may be called by a WordNet id (n01440764), by a number, or by a number and a name
(001.Black_footed_Albatross). Ids and numbers are no names: a list beside the folders or the given
labels say what they mean, and where nothing says it, the folders are refused.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_list import read_name_list
from lagotto.core.text.names import first_name, listed_names, name_key

SYNSET_LISTS = (
    *("LOC_synset_mapping.txt", "synset_words.txt", "synsets.txt", "words.txt", "wnids.txt"),
    *("imagenet_class_index.json", "class_index.json", "Labels.json", "labels.json"),
    *("map_clsloc.txt", "class_names.txt", "classes.txt", "classnames.txt", "labels.txt"),
)
"""Names of lists that say what WordNet ids mean, as they lie beside or above class folders."""

NUMBER_LISTS = (
    *("classes.txt", "classnames.txt", "class_names.txt", "labels.txt", "labels.json"),
    *("class_names.json", "cat_to_name.json", "classes.json"),
)
"""Names of lists that say what numbered class folders mean."""

_SYNSET = re.compile(r"n\d{8}")
_SYNSET_LINE = re.compile(
    r"[\s\"']*(n\d{8})[\"']?[\s,:;|-]+(?:\d{1,5}[\s,:;]+)?[\"']?(.+?)[\"',\s]*"
)
_NUMBERED = re.compile(r"(\d{1,5})[._ -]+(\D.*)")
_WITH_SYNSET = re.compile(r"n\d{8}[._ -]+(.+)")
_MAX_LIST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class FolderLabels:
    """The label of each class folder, by the folder's name: a name, or a number of the list.

    `classes` are the names in the order of the numbers, where numbers are given and no labels.
    """

    labels: dict[str, str | int]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_folder_names(
    names: Sequence[str],
    places: Sequence[Path],
    labels: Sequence[str] = (),
    numbers: Sequence[int] | None = None,
    label_file: Path | None = None,
) -> FolderLabels:
    """What the names of class folders mean.

    Args:
        names: The names, each once.
        places: Folders in which a list may lie, the nearest first.
        labels: The words of the labels that were given, in order; empty if none were.
        numbers: The numbers that the given list has for them; None if it has none.
        label_file: The file that the labels are from, if it is one: it may hold ids.

    Raises:
        UsageError: The names are ids, and nothing says what they mean.
    """
    ordered = sorted(names)
    keys = {name_key(label) for label in labels}
    if ordered and all(name_key(name) in keys for name in ordered):
        return FolderLabels({name: name for name in ordered})
    if ordered and all(map(_SYNSET.fullmatch, ordered)):
        return _of_synsets(ordered, places, labels, numbers, label_file)
    if ordered and all(name.isascii() and name.isdecimal() for name in ordered):
        return _of_numbers(ordered, places, bool(labels))
    for pattern in (_NUMBERED, _WITH_SYNSET):
        parts = {name: match for name in ordered if (match := pattern.fullmatch(name))}
        rest = {name: match[match.re.groups] for name, match in parts.items()}
        if len(parts) == len(ordered) > 1 and len({name_key(n) for n in rest.values()}) == len(
            rest
        ):
            note = f"folders such as {ordered[0]} are read as {rest[ordered[0]]!r}"
            return FolderLabels({**rest}, notes=(note,))
    return FolderLabels({name: name for name in ordered})


def _of_synsets(
    ids: list[str],
    places: Sequence[Path],
    labels: Sequence[str],
    numbers: Sequence[int] | None,
    label_file: Path | None,
) -> FolderLabels:
    """The labels of WordNet ids, by the file of the labels, a list beside, or their order."""
    if labels:
        listed = [] if label_file is None else list(_synset_names(label_file))
        position_of = {key: place for place, (key, _) in enumerate(listed)}
        if len(listed) == len(labels) and all(key in position_of for key in ids):
            return FolderLabels(
                {key: numbers[position_of[key]] if numbers else position_of[key] for key in ids}
            )
    file, name_of = _find_synset_list(ids, places)
    if not labels and file is not None:
        classes = tuple(first_name(name_of[key]) for key in ids)
        note = f"{file.name} says what the WordNet ids mean: {ids[0]} is {classes[0]!r}"
        return FolderLabels({key: place for place, key in enumerate(ids)}, classes, (note,))
    if labels:
        by_name = {name_key(label): place for place, label in reversed(list(enumerate(labels)))}
        if file is not None and len({name_key(label) for label in labels}) == len(labels):
            found = {key: _place_of(name_of[key], by_name) for key in ids}
            places_found = {key: place for key, place in found.items() if place is not None}
            if len(set(places_found.values())) == len(ids):
                note = f"{file.name} says what the WordNet ids mean"
                as_numbers = {
                    key: numbers[place] if numbers else place for key, place in places_found.items()
                }
                return FolderLabels({**as_numbers}, notes=(note,))
        if len(labels) == len(ids):
            note = (
                "the WordNet ids in their order are the labels in theirs: "
                f"{ids[0]} is {labels[0]!r}, {ids[-1]} is {labels[-1]!r}"
            )
            return FolderLabels(
                {key: numbers[n] if numbers else n for n, key in enumerate(ids)}, notes=(note,)
            )
    raise UsageError(
        f"class folders such as {ids[0]} are WordNet ids, and nothing says what they mean; put "
        f"{SYNSET_LISTS[0]} beside them, or give --labels FILE with lines such as "
        f"'{ids[0]} tench'"
    )


def _place_of(names: str, by_name: dict[str, int]) -> int | None:
    """The place of the label that one of the synonyms of a synset names."""
    synonyms = (names, *listed_names(names))
    return next((by_name[key] for name in synonyms if (key := name_key(name)) in by_name), None)


def _find_synset_list(
    ids: Sequence[str], places: Sequence[Path]
) -> tuple[Path | None, dict[str, str]]:
    """The first list that has a name for every id, and its names."""
    for place in places:
        for file in (place / name for name in SYNSET_LISTS):
            if file.is_file():
                name_of = dict(_synset_names(file))
                if all(key in name_of for key in ids):
                    return file, name_of
    return None, {}


def _synset_names(file: Path) -> Iterator[tuple[str, str]]:
    """(WordNet id, names) in a text or JSON file, in its order; nothing if it has another form."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_LIST_BYTES)
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        content = json.loads(text) if file.suffix.lower() == ".json" else None
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(content, dict):
        for key, value in content.items():
            match value:
                case str() if _SYNSET.fullmatch(key):
                    yield key, value
                case [str(synset), str(name), *_] if _SYNSET.fullmatch(synset):
                    yield synset, name
        return
    for line in text.splitlines():
        found = _SYNSET_LINE.fullmatch(line)
        if found is not None:
            yield found[1], found[2]


def _of_numbers(numbers: list[str], places: Sequence[Path], has_labels: bool) -> FolderLabels:
    """The labels of folders that are called by numbers."""
    as_numbers: dict[str, str | int] = {name: int(name) for name in numbers}
    if len(set(as_numbers.values())) < len(numbers):
        raise UsageError(f"class folders {numbers[0]} and others are the same number; rename them")
    if has_labels:
        return FolderLabels(as_numbers, notes=("the folders are the numbers of the labels",))
    values = sorted(int(name) for name in numbers)
    notes: list[str] = []
    for file in (place / name for place in places for name in NUMBER_LISTS):
        if not file.is_file():
            continue
        classes = _names_of_numbers(file, values)
        if classes is None:
            notes.append(f"{file.name} does not name the folders {values[0]} to {values[-1]}")
            continue
        note = f"{file.name} says what the numbers of the folders mean: {values[0]} is "
        order = {name: values.index(int(name)) for name in numbers}
        return FolderLabels({**order}, classes, (f"{note}{classes[0]!r}",))
    return FolderLabels({name: name for name in numbers}, notes=tuple(notes))


def _names_of_numbers(file: Path, values: Sequence[int]) -> tuple[str, ...] | None:
    """The name of each number, by the list in a file; None if it has none for one of them.

    A list without numbers is counted from 0 where a folder is called 0, else from 1; then it must
    have as many names as there are folders.
    """
    try:
        names = read_name_list(file)
    except UsageError:
        return None
    first = min(values[0], 1) if names.first is None else names.first
    if names.first is None and first == 1 and len(values) != len(names.names):
        return None
    if values[0] < first or values[-1] >= first + len(names.names):
        return None
    classes = tuple(names.names[value - first] for value in values)
    return tuple(name for name in classes if name) if all(classes) else None
