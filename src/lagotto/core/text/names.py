"""A label or a class name as its author wrote it in; the form to read and to compare out.

Everything that reads labels uses these functions: searches by name, audits, zero-shot labels,
specialists, keyword search and the evaluation. So two parts of the program agree on what is the
same name.

- `display_name` is the form that a person and a text encoder read.
- `name_key` tells whether two names are the same name: case and separators aside.
- `name_words` and `name_phrase` tell whether they say the same words: plurals aside too.
"""

import re
from functools import lru_cache

from lagotto.core.text.plurals import plural, singular

_WORD = re.compile(r"[^\W_]+")
_SEPARATORS = re.compile(r"[_+\s]+")
_LIST = re.compile(r"[,;]")
_LIST_AND_GLOSS = re.compile(r"[,;()]")
_BOUNDARY = re.compile(
    r"(?<=[A-Za-z][a-z])(?<!\bMc)(?=[A-Z])"  # NoOvertaking, but iPod and McDonald
    r"|(?<=[A-Za-z]{3})(?=[0-9])"  # Speed20, but mp3
    r"|(?<=[0-9])(?=[A-Za-z]{3})"  # 20kmh, but 3D and 4x4
)


def display_name(label: str) -> str:
    """A label as separate words: separators and CamelCase become spaces.

    Underscores, plus signs and runs of white space become one space. Case, hyphens and commas
    stay.

    Args:
        label: a label as published, or a class name as given.

    Returns:
        The words; empty if the label has nothing but separators.

    Example:
        >>> display_name(" golden_retriever "), display_name("NoOvertaking")
        ('golden retriever', 'No Overtaking')
        >>> display_name("Speed20"), display_name("iPod"), display_name("tench, Tinca_tinca")
        ('Speed 20', 'iPod', 'tench, Tinca tinca')
    """
    return " ".join(_BOUNDARY.sub(" ", _SEPARATORS.sub(" ", label)).split())


def listed_names(label: str) -> tuple[str, ...]:
    """The names that a label lists, parted by commas or semicolons, each as `display_name`.

    Example:
        >>> listed_names("great_white_shark, white shark,")
        ('great white shark', 'white shark')
    """
    names = (display_name(part) for part in _LIST.split(label))
    return tuple(name for name in names if name)


def first_name(label: str) -> str:
    """The first name of a label, to be read by a text encoder.

    Example:
        >>> first_name("great_white_shark, white shark, man-eater")
        'great white shark'
        >>> first_name("__")
        'nothing'
    """
    return next(iter(listed_names(label)), "nothing")


def name_key(name: str) -> str:
    """What two spellings of one name have in common: `display_name`, case aside.

    Plurals differ: a set of labels may hold "glass" and "glasses".

    Example:
        >>> name_key("hot_dog") == name_key("Hot Dog"), name_key("glass") == name_key("glasses")
        (True, False)
    """
    return display_name(name).casefold()


@lru_cache(65_536)
def name_phrase(name: str) -> tuple[str, ...]:
    """The words of a name in order, in lower case and in the singular.

    Example:
        >>> name_phrase("Golden_Retrievers"), name_phrase("StopSigns")
        (('golden', 'retriever'), ('stop', 'sign'))
    """
    return tuple(singular(word) for word in _WORD.findall(name_key(name)))


def name_words(name: str) -> frozenset[str]:
    """The set of words of a name: `name_phrase` without the order.

    Example:
        >>> name_words("sunflowers") == name_words("Sunflower")
        True
    """
    return frozenset(name_phrase(name))


@lru_cache(65_536)
def label_word_sets(label: str) -> tuple[frozenset[str], ...]:
    """The words of each name that a label gives, between commas, semicolons and parentheses.

    A name in CamelCase is given in both ways: in parts, and as somebody writes it who types it in
    lower case.

    Example:
        >>> [sorted(words) for words in label_word_sets("crane (birds), Grus")]
        [['crane'], ['bird'], ['grus']]
        >>> [sorted(words) for words in label_word_sets("KeepLeft")]
        [['keep', 'left'], ['keepleft']]
    """
    sets: dict[frozenset[str], None] = {}
    for part in _LIST_AND_GLOSS.split(label):
        sets |= dict.fromkeys((name_words(part), name_words(part.casefold())))
    return tuple(words for words in sets if words)


def spellings(word: str) -> tuple[str, ...]:
    """Texts of which every label that has a word, in the singular or the plural, contains one.

    For a search of labels by parts of text, which knows nothing of plurals: all labels that
    `name_words` would find contain one of these, and some others do too.

    Args:
        word: a word as `name_words` gives it.

    Example:
        >>> spellings("sunflower"), spellings("mouse"), spellings("berry")
        (('sunflower',), ('mouse', 'mice'), ('berry', 'berrie'))
    """
    many = plural(word)
    return (word,) if many.startswith(word) else (word, many.removesuffix("s"))
