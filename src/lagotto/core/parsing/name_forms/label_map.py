"""A label map of TensorFlow (`item { id: 1 name: 'cat' }`) comes in; entries go out."""

import re

from lagotto.core.parsing.name_forms.entries import Entries, NotNamesError
from lagotto.core.parsing.name_forms.flow import quoted_text

_ITEM = re.compile(r"\bitem\s*:?\s*\{")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_FIELD = re.compile(
    r"""\b(id|name|display_name)\s*:\s*(-?\d{1,12}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
)


def is_label_map(text: str) -> bool:
    """Whether a text begins as a label map does."""
    return bool(_ITEM.match(_COMMENT.sub("", text[:4096]).lstrip()))


def parse_label_map(text: str) -> Entries:
    """The entries of a label map; a `display_name` is preferred to a `name`, which may be a code.

    Raises:
        NotNamesError: An item has no id or no name, or there is no item.
    """
    names, numbers = [], []
    for number, item in enumerate(_ITEM.split(_COMMENT.sub("", text))[1:], 1):
        fields = dict(_FIELD.findall(item))
        name = fields.get("display_name") or fields.get("name")
        if name is None or "id" not in fields:
            raise NotNamesError(f"is a label map whose item {number} has no id or no name")
        names.append(quoted_text(name))
        numbers.append(int(fields["id"]))
    if not names:
        raise NotNamesError("holds no item { id: 1 name: 'cat' }")
    return Entries(tuple(names), tuple(numbers), "label map")
