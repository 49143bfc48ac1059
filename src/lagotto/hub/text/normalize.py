"""A label as its author wrote it → the words that a text encoder should read."""

import re

_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Za-z])")


def readable_label(label: str) -> str:
    """The first of a label's names, in separate words; a label without any letter stays.

    >>> readable_label("great_white_shark, white shark, man-eater")
    'great white shark'
    >>> readable_label("NoOvertaking"), readable_label("Speed20")
    ('No Overtaking', 'Speed 20')
    """
    first = label.split(",")[0].replace("_", " ").strip() or label.strip()
    return " ".join(_BOUNDARY.sub(" ", first).split()) or "nothing"
