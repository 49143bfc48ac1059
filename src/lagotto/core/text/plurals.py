"""An English noun in, its singular or its plural out.

The rules cover nouns that labels use: regular endings, and common irregular nouns. A word that
is no noun comes out in some form, always the same one, so two spellings of it can be compared.
"""

from functools import lru_cache

_SHORTEST = 4
"""Letters of the shortest word that may be a plural: "bus", "gas" and "yes" are none."""

_IRREGULAR = {
    "atlases": "atlas",
    "axes": "axe",
    "brethren": "brother",
    "buffaloes": "buffalo",
    "buses": "bus",
    "cacti": "cactus",
    "canvases": "canvas",
    "cds": "cd",
    "children": "child",
    "dice": "die",
    "dwarves": "dwarf",
    "elves": "elf",
    "feet": "foot",
    "fezzes": "fez",
    "fungi": "fungus",
    "gases": "gas",
    "geese": "goose",
    "heroes": "hero",
    "hooves": "hoof",
    "ibises": "ibis",
    "irises": "iris",
    "larvae": "larva",
    "lenses": "lens",
    "lice": "louse",
    "lives": "life",
    "loaves": "loaf",
    "mantises": "mantis",
    "mangoes": "mango",
    "men": "man",
    "mice": "mouse",
    "mosquitoes": "mosquito",
    "octopi": "octopus",
    "oxen": "ox",
    "pancreases": "pancreas",
    "people": "person",
    "pickaxes": "pickaxe",
    "potatoes": "potato",
    "quizzes": "quiz",
    "rhinoceroses": "rhinoceros",
    "rvs": "rv",
    "sheaves": "sheaf",
    "teeth": "tooth",
    "thermoses": "thermos",
    "thieves": "thief",
    "tomatoes": "tomato",
    "trellises": "trellis",
    "tvs": "tv",
    "volcanoes": "volcano",
    "waltzes": "waltz",
    "women": "woman",
}
"""Plurals that no rule below makes, with their singulars."""

_ENDINGS = (
    *(("children", "child"), ("women", "woman"), ("geese", "goose"), ("teeth", "tooth")),
    *(("dormice", "dormouse"), ("titmice", "titmouse"), ("wolves", "wolf"), ("shelves", "shelf")),
    *(("leaves", "leaf"), ("knives", "knife"), ("wives", "wife"), ("calves", "calf")),
    *(("halves", "half"), ("scarves", "scarf")),
)
"""The same for the last part of a compound: "grandchildren", "werewolves", "bookshelves"."""


def _each(words: str) -> frozenset[str]:
    return frozenset(words.split())


_UNCHANGED = _each(
    "alias arkansas asbestos atlas bias canvas chaos christmas cosmos gas kansas lens madras "
    "mars news pancreas pathos rhinoceros series species texas thermos tripos"
)
"""Words that end like a plural and are none, besides those in "ss", "us" and "is"."""

_PLURALS_IN_IS_US = _each(
    "basenjis bikinis chilis corgis emus gnus gurus haikus khakis kiwis martinis menus rabbis "
    "safaris salukis saris skis taxis tofus tutus yetis zucchinis"
)
"""Plurals among the words in "us" and "is", which are singular as a rule."""

_IN_IE = _each(
    "birdies bowties brownies budgies calories collies cookies cowries genies hankies hippies "
    "hoodies kelpies lies magpies movies neckties pies potpies prairies rotisseries selfies "
    "smoothies ties zombies"
)
"""Plurals in "ies" of words in "ie"; all others are of words in "y"."""

_IN_OE = _each("aloes canoes does floes foes hoes mistletoes oboes roes throes toes")
"""Plurals in "oes" of words in "oe", besides shoes; all others are of words in "o"."""

_IN_CHE = _each(
    "aches avalanches caches headaches moustaches mustaches niches psyches quiches toothaches"
)
"""Plurals in "ches" of words in "che"; all others are of words in "ch"."""

_IN_USE = _each("excuses fuses masseuses muses recluses refuses ruses uses")
"""Plurals in "uses" of words in "use", besides "ouses" and "auses"; all others are of "us"."""


@lru_cache(65_536)
def singular(word: str) -> str:
    """The singular of a noun in lower case; a singular, or another word, stays as it is.

    Applying it again changes nothing.

    Args:
        word: one word, in lower case.

    Returns:
        The singular. It may be a word that does not exist ("trousers" gives "trouser").

    Example:
        >>> [singular(word) for word in ("sunflowers", "mice", "wolves", "berries", "boxes")]
        ['sunflower', 'mouse', 'wolf', 'berry', 'box']
        >>> [singular(word) for word in ("bus", "glass", "iris", "series")]
        ['bus', 'glass', 'iris', 'series']
    """
    once = _IRREGULAR.get(word) or _of_compound(word) or _of_regular(word)
    return once if once == word else singular(once)


def plural(word: str) -> str:
    """The plural of a noun in the singular, in lower case: `singular` leads back from it.

    Example:
        >>> [plural(word) for word in ("sunflower", "mouse", "wolf", "berry", "box")]
        ['sunflowers', 'mice', 'wolves', 'berries', 'boxes']
    """
    if word in _PLURALS:
        return _PLURALS[word]
    for many, one in _ENDINGS:
        if word.endswith(one):
            return word.removesuffix(one) + many
    if word.endswith("man") and _is_plural_in_men(word.removesuffix("an") + "en"):
        return word.removesuffix("an") + "en"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")) and word + "s" not in _IN_CHE:
        return word + "es"
    return word + "s"


def _of_compound(word: str) -> str | None:
    """The singular of a compound whose last part is irregular; None for any other word."""
    for many, one in _ENDINGS:
        if word.endswith(many):
            return word.removesuffix(many) + one
    if _is_plural_in_men(word):
        return word.removesuffix("en") + "an"
    return None


def _is_plural_in_men(word: str) -> bool:
    """Firemen and clergymen are plurals; omen, hymen, specimen, abdomen and acumen are none."""
    return len(word) > len("semen") and word.endswith("men") and word[-4] not in "aiou"


def _of_regular(word: str) -> str:
    """The singular by the rules of regular endings."""
    if len(word) < _SHORTEST or not word.endswith("s") or word in _UNCHANGED:
        return word
    if word in _PLURALS_IN_IS_US:
        return word[:-1]
    if word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-1] if word in _IN_IE else word[:-3] + "y"
    if word.endswith("oes"):
        return word[:-1] if word in _IN_OE or word.endswith("shoes") else word[:-2]
    if word.endswith("uses"):
        in_use = word in _IN_USE or word.endswith(("ouses", "auses"))
        return word[:-1] if in_use else word[:-2]
    if word.endswith(("sses", "shes", "xes", "zzes")):
        return word[:-2]
    if word.endswith("ches"):
        return word[:-1] if word in _IN_CHE else word[:-2]
    return word[:-1]


_PLURALS = {
    one: many for many, one in sorted(_IRREGULAR.items()) if many not in ("brethren", "octopi")
}
