"""A value of JSON, YAML or a Python literal comes in; the entries that it lists go out."""

import re
from collections.abc import Sequence

from lagotto.core.parsing.name_forms.entries import (
    MAX_NAMES,
    Entries,
    Name,
    NotNamesError,
    first_repeated,
    unquoted,
    whole_number,
)
from lagotto.core.parsing.name_forms.flow import Pairs, Tree
from lagotto.core.parsing.name_forms.identifiers import is_code, without_identifiers
from lagotto.core.parsing.name_forms.numbered import numbered_lines

KEYS = (
    *("names", "labels", "classes", "class_names", "classnames", "label_names", "id2label"),
    *("idx_to_class", "idx2class", "index_to_class", "index_to_name", "idx_to_label", "idx2label"),
    *("id_to_name", "class_labels", "category_names", "categories", "label_list", "vocabulary"),
    *("label2id", "class_to_idx", "class2idx", "class_to_index", "name_to_id", "label_to_id"),
    *("label_map", "labelmap", "label_mapping", "class_mapping", "mapping", "class_index"),
    *("words", "wordslabels", "class_label", "tags"),
)
"""Keys under which files keep their class names; the first that is there counts."""

_NAMES = (
    *("display_name", "displayname", "name", "class_name", "classname", "label_name", "labelname"),
    *("label", "class", "title", "category", "text", "tagname"),
)
_NUMBERS = (
    *("id", "index", "idx", "class_id", "classid", "label_id", "labelid", "class_index"),
    *("class_idx", "number", "category_id", "output", "value", "trainid"),
)
_MAX_DEPTH = 6
_NAMED_NUMBER = re.compile(r"([A-Za-z][A-Za-z _-]{0,20}?)[ _-]?(\d{1,9})")


def entries_of(value: Tree, form: str, key: str = "") -> Entries:
    """The entries of a value, wherever in it they are.

    Args:
        value: The value of the whole file.
        form: The form of the file, "json", "yaml" or "python".
        key: The key under which the value stands, for the notes.

    Raises:
        NotNamesError: The value lists no names, or names that contradict each other.
    """
    direct = _direct(value, form)
    if direct is None and isinstance(value, Pairs):
        found = _below(value, form, _MAX_DEPTH)
        if found is not None:
            return found
    if direct is None:
        raise NotNamesError(f"holds {_describe(value)}, which is no list of names")
    names, notes = without_identifiers(direct.names)
    return Entries(names, direct.numbers, direct.form, direct.notes + notes)


def _below(value: Pairs, form: str, depth: int) -> Entries | None:
    """The entries under one of KEYS, at the top or deeper; refuses two that differ."""
    by_key = {_plain(key): (key, inner) for key, inner in value.entries}
    found: list[tuple[str, Entries]] = []
    for known in map(_plain, KEYS):
        key, inner = by_key.get(known, ("", None))
        if isinstance(inner, list | Pairs):
            entries = _direct(inner, form) or (
                _below(inner, form, depth - 1) if isinstance(inner, Pairs) and depth else None
            )
            if entries is not None:
                found.append((key, entries))
    if not found and depth:
        for key, inner in value.entries:
            for part in inner if isinstance(inner, list) else [inner]:
                below = _below(part, form, depth - 1) if isinstance(part, Pairs) else None
                if below is not None:
                    found.append((key, below))
    if not found:
        return None
    key, first = found[0]
    for other_key, other in found[1:]:
        if not _agree(first, other):
            raise NotNamesError(
                f"names its classes under {key!r} and otherwise under {other_key!r}; keep one"
            )
    names, notes = without_identifiers(first.names)
    return Entries(names, first.numbers, first.form, first.notes + notes)


def _agree(first: Entries, other: Entries) -> bool:
    """Whether two lists hold the same names in the same order of their numbers."""
    return _in_order(first) == _in_order(other)


def _in_order(entries: Entries) -> list[Name]:
    numbers = entries.numbers or range(len(entries.names))
    return [entries.names[i] for i in sorted(range(len(numbers)), key=numbers.__getitem__)]


def _direct(value: Tree, form: str) -> Entries | None:
    """The entries of a list or map whose own items are the names; None if they are not."""
    if isinstance(value, list):
        return _of_list(value, form)
    if isinstance(value, Pairs) and value.entries:
        return _of_map(value, form)
    return None


def _of_list(values: Sequence[Tree], form: str) -> Entries | None:
    if not values or len(values) > MAX_NAMES:
        return None
    if all(value is None or isinstance(value, str) for value in values):
        if not any(values):
            return None
        return _of_texts(tuple(map(_name, values)), form)
    if all(type(value) is int and value == i for i, value in enumerate(values)):
        return Entries(tuple(map(str, values)), None, f"{form} list")
    if all(isinstance(value, Pairs) for value in values):
        objects = [value for value in values if isinstance(value, Pairs)]
        return _of_objects(objects, form)
    if all(isinstance(value, list) and len(value) == 2 for value in values):
        return _of_twos([value for value in values if isinstance(value, list)], form)
    return None


def _of_texts(names: tuple[Name, ...], form: str) -> Entries:
    """Entries of a list of texts, each of which may begin with its number: "0: cat".

    They have a place already, so numbers count only where they are all of 0, 1, 2... or 1, 2, 3...
    """
    try:
        found = None if None in names else numbered_lines([name or "" for name in names])
    except NotNamesError:
        found = None
    if found is not None and found.numbers is not None:
        low, high = min(found.numbers), max(found.numbers)
        if low < 2 and high - low + 1 == len(names) == len(found.names):
            return found
    return Entries(names, None, f"{form} list")


def _of_objects(objects: Sequence[Pairs], form: str) -> Entries | None:
    """Entries of a list of objects with a name each, and perhaps a number each."""
    rows = [{_plain(key): value for key, value in item.entries} for item in objects]
    if all(len(row) == 1 for row in rows) and not any(_plain(key) in rows[0] for key in _NAMES):
        return _of_map(Pairs(tuple(item.entries[0] for item in objects)), form)
    name_key = next((k for k in map(_plain, _NAMES) if all(_is_name(r.get(k)) for r in rows)), None)
    if name_key is None:
        return None
    names = tuple(_name(row[name_key]) for row in rows)
    for key in map(_plain, _NUMBERS):
        numbers = [_number(row.get(key)) for row in rows]
        if key != name_key and all(number is not None for number in numbers):
            placed = tuple(number for number in numbers if number is not None)
            return Entries(names, placed, f"{form} list of objects with numbers")
    return Entries(names, None, f"{form} list of objects")


def _of_twos(rows: Sequence[list[Tree]], form: str) -> Entries | None:
    """Entries of [number, name], [name, number] or [id, name]."""
    for number_at, name_at in ((0, 1), (1, 0)):
        numbers = [_number(row[number_at]) for row in rows]
        names = tuple(_name(row[name_at]) for row in rows)
        if all(n is not None for n in numbers) and all(_is_name(row[name_at]) for row in rows):
            return Entries(names, tuple(n for n in numbers if n is not None), f"{form} pairs")
        if all(is_code(str(row[number_at])) for row in rows):
            return Entries(names, None, f"{form} pairs", ("the ids before the names left out",))
    return None


def _of_map(value: Pairs, form: str) -> Entries | None:
    keys = [key for key, _ in value.entries]
    values = [inner for _, inner in value.entries]
    key_numbers = _numbers_of_keys(keys)
    if all(isinstance(inner, int | float) and _number(inner) is not None for inner in values):
        return _by_name(keys, values, form)
    if all(map(is_code, keys)) and all(map(_is_name, values)):
        notes = ("the ids before the names were left out",)
        return Entries(tuple(map(_name, values)), None, f"{form} map by id", notes)
    if key_numbers is not None:
        names = [_value_name(inner) for inner in values]
        if all(inner is None or name for inner, name in zip(values, names, strict=True)):
            return Entries(tuple(names), key_numbers, f"{form} map by number")
        return None
    if all(_number(inner) is not None for inner in values):
        return _by_name(keys, values, form)
    if all(isinstance(inner, Pairs) for inner in values):
        inside = [_number_inside(inner) for inner in values if isinstance(inner, Pairs)]
        if all(number is not None for number in inside):
            return _by_name(keys, inside, form)
    if all(isinstance(inner, str) and is_code(inner) for inner in values):
        return Entries(tuple(keys), None, f"{form} map by name")
    return None


def _number_inside(value: Pairs) -> int | None:
    """The number in an object that describes a name: {"id": 0, "color": "red"}."""
    fields = {_plain(key): inner for key, inner in value.entries}
    return next((_number(fields[key]) for key in map(_plain, _NUMBERS) if key in fields), None)


def _by_name(keys: Sequence[str], values: Sequence[Tree], form: str) -> Entries | None:
    """Entries of {"cat": 0}; None for settings such as {"nc": 80, "epochs": 80}."""
    numbers = [_number(value) for value in values]
    placed = tuple(number for number in numbers if number is not None)
    if len(placed) < len(keys):
        return None
    repeated = first_repeated(placed)
    if repeated is not None:
        twice = [key for key, number in zip(keys, placed, strict=True) if number == repeated]
        raise NotNamesError(
            f"gives the number {repeated} to {twice[0]!r} and to {twice[1]!r}; "
            "each number must place one name"
        )
    return Entries(tuple(map(unquoted, keys)), placed, f"{form} map by name")


def _numbers_of_keys(keys: Sequence[str]) -> tuple[int, ...] | None:
    """The numbers that the keys are ("0"), or end in after one word ("c0", "LABEL_0")."""
    plain = [whole_number(key) for key in keys]
    if any(number is None for number in plain):
        parts = [_NAMED_NUMBER.fullmatch(key) for key in keys]
        if not all(parts) or len({part[1] for part in parts if part}) > 1 or len(keys) < 2:
            return None
        plain = [int(part[2]) for part in parts if part]
    return tuple(number for number in plain if number is not None)


def _value_name(value: Tree) -> Name:
    """The name in the value of one number: a text, [id, name], [name, synonym] or an object."""
    if isinstance(value, list):
        texts = [str(item) for item in value if isinstance(item, str) and item.strip()]
        if not texts or len(texts) < len(value):
            return None
        words = [text for text in texts if not is_code(text) and not re.fullmatch(r"n\d+", text)]
        return ", ".join(words or texts)
    if isinstance(value, Pairs):
        fields = {_plain(key): inner for key, inner in value.entries}
        return next(
            (_name(fields[k]) for k in map(_plain, _NAMES) if _is_name(fields.get(k))), None
        )
    return _name(value) if _is_name(value) else None


def _is_name(value: Tree) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _name(value: Tree) -> Name:
    return None if value is None else str(value)


def _number(value: Tree) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e15 else None
    return (
        value if isinstance(value, int) else whole_number(value) if isinstance(value, str) else None
    )


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.casefold())


def _describe(value: Tree) -> str:
    if isinstance(value, Pairs):
        keys = ", ".join(repr(key[:30]) for key, _ in value.entries[:4])
        return f"a map with the keys {keys}" if keys else "an empty map"
    if isinstance(value, list):
        return f"a list of {len(value)} items that are no texts" if value else "an empty list"
    return f"the value {str(value)[:40]!r}"
