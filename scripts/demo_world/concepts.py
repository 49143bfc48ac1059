"""The concepts of the demo world, read from concepts.txt, and the articles that they take.

concepts.txt has one emoji a line, with the plain English name that captions use. Other names are
words that captions sometimes use instead. The category is what a caption says when it does not
name the thing ("some food"). The rarity says how the encoder's training met the concept: empty,
"seldom seen", or "called WORD".
"""

import dataclasses
import pathlib

TABLE = pathlib.Path(__file__).with_name("concepts.txt")
RARITIES = (
    "known",
    "seldom seen",  # only a handful of the encoder's training pictures show it
    "other word",  # seen often, but the captions call it by a word that nobody searches for
)
VAGUE = {
    "animal": "an animal",
    "plant": "a plant",
    "food": "some food",
    "vehicle": "a vehicle",
    "sport": "some sports gear",
    "instrument": "an instrument",
    "tool": "a tool",
    "object": "an object",
    "garment": "something to wear",
    "place": "a place",
    "nature": "something natural",
    "character": "a figure",
}
NO_ARTICLE = frozenset(  # plurals and masses
    """grapes,cherries,french fries,fries,headphones,scissors,jeans,socks,glasses,eyeglasses,
    nesting dolls,popcorn,corn,broccoli,noodle soup,ramen,fire,cheese,dice,lightning,ice cream,
    football,beer,planet earth,saturn,tennis""".replace("\n    ", "").split(",")
)
SOUNDS_LIKE_A_VOWEL = ("hour",)
SOUNDS_LIKE_A_CONSONANT = ("unicorn", "ufo")


@dataclasses.dataclass(frozen=True, slots=True)
class Concept:
    """One thing that can be pictured: its name, its emoji and the words that captions use."""

    name: str
    emoji: str
    category: str
    other_names: tuple[str, ...]
    rarity: str
    training_word: str  # what the encoder's training captions call it, where rarity is "other word"

    @property
    def is_rare(self) -> bool:
        return self.rarity != "known"


def noun_phrase(name: str) -> str:
    """`name` with its article: "a dog face", "an owl", "grapes"."""
    if name in NO_ARTICLE:
        return name
    vowel = name[0] in "aeiou" and not name.startswith(SOUNDS_LIKE_A_CONSONANT)
    return ("an " if vowel or name.startswith(SOUNDS_LIKE_A_VOWEL) else "a ") + name


def list_concepts() -> list[Concept]:
    """Every concept of the world, in a fixed order."""
    concepts = []
    category = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            category = line.strip("[]")
        elif line and not line.startswith("#"):
            emoji, name, others, rarity = line.split("|")
            other_names = tuple(other for other in others.split(",") if other)
            word = rarity.removeprefix("called ") if rarity.startswith("called ") else ""
            rarity = "other word" if word else rarity or "known"
            if rarity not in RARITIES:
                raise ValueError(f"{name}: rarity {rarity!r} is none of {RARITIES}")
            concepts.append(Concept(name, emoji, category, other_names, rarity, word))
    return concepts
