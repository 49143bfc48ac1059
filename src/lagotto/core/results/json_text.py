"""A JSON object comes in; one line of text that is safe to print goes out."""

import json
from typing import Any


def json_line(value: Any) -> str:
    """One line of JSON; characters that a terminal would obey are written as escapes.

    Raises ValueError for numbers that JSON does not have (NaN, infinity).
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    return text
