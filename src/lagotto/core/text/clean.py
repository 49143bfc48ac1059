"""Text that a stranger wrote comes in; the same text, safe to store and to print, goes out."""

import unicodedata

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


SHOWN_LENGTH = 500
"""Characters of a label, name, path or caption that tables, pages and pictures show.

JSON, CSV and lists of labels hold it whole.
"""


def shown(text: str, longest: int = SHOWN_LENGTH) -> str:
    """A text as it is shown to a reader: the rest of a long one is an ellipsis.

    >>> shown("a label of many words", 8)
    'a label…'
    """
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def clean_text(text: str) -> str:
    """The text without control characters, lone surrogates and marks of writing direction."""
    characters = (
        " " if character in "\t\n\r" else character
        for character in text
        if character in "\t\n\r"
        or (unicodedata.category(character) not in ("Cc", "Cs") and character not in _BIDI_CONTROLS)
    )
    return "".join(characters).strip()
