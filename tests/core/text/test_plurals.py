"""Singulars and plurals of English nouns: the rules, and that they lead back to each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.text.plurals import plural, singular
from lagotto.encoders.background.words import background_words

TEXT = """
bus box glass dress brush watch church fox bush peach sandwich mouse house horse rose nose vase
case blouse cause prize size bridge orange judge berry cherry daisy butterfly lily puppy city
kitty party pony key monkey toy boy day cookie movie zombie tie pie magpie photo rhino kangaroo
piano tomato potato hero shoe horseshoe toe canoe wolf werewolf leaf knife wife housewife shelf
bookshelf calf half loaf scarf thief elf hoof life olive glove cave stove sleeve roof cliff
giraffe man woman fireman policewoman child grandchild person goose foot tooth mongoose ox
cactus octopus walrus platypus virus iris lens gas canvas atlas menu emu ski taxi kiwi corgi
panda pizza sofa umbrella abacus compass tv cd headache moustache axe quiz specimen omen hymen
excuse fuse
"""
NOUNS = TEXT.split()


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("sunflowers", "sunflower"),
        ("children", "child"),
        ("mice", "mouse"),
        ("people", "person"),
        ("leaves", "leaf"),
        ("wolves", "wolf"),
        ("olives", "olive"),
        ("berries", "berry"),
        ("ties", "tie"),
        ("boxes", "box"),
        ("shoes", "shoe"),
        ("tomatoes", "tomato"),
        ("buses", "bus"),
        ("houses", "house"),
        ("walruses", "walrus"),
        ("lenses", "lens"),
        ("clergymen", "clergyman"),
    ],
)
def test_plurals_have_one_singular(many: str, one: str) -> None:
    assert singular(many) == one
    assert plural(one) == many


@pytest.mark.parametrize(
    "word",
    [
        *(
            "bus",
            "glass",
            "grass",
            "gas",
            "yes",
            "iris",
            "tennis",
            "cactus",
            "lens",
            "series",
            "news",
        ),
        *(
            "chess",
            "specimen",
            "omen",
            "abdomen",
            "acumen",
            "christmas",
            "atlas",
            "dog",
            "goose",
            "",
        ),
    ],
)
def test_singulars_stay(word: str) -> None:
    assert singular(word) == word


@pytest.mark.parametrize("noun", NOUNS)
def test_the_singular_of_the_plural_is_the_noun(noun: str) -> None:
    assert singular(noun) == noun
    assert plural(noun) != noun
    assert singular(plural(noun)) == noun


def test_it_holds_for_nearly_all_common_nouns() -> None:
    words = {singular(word) for name in background_words() for word in name.split()}
    nouns = [word for word in words if word.isalpha()]
    wrong = [word for word in nouns if singular(plural(word)) != word]
    assert len(nouns) > 1000
    assert len(wrong) <= 0.01 * len(nouns), wrong


@pytest.mark.parametrize(("word", "one"), [("peoples", "person"), ("childrens", "child")])
def test_the_plural_of_a_plural_has_the_same_singular(word: str, one: str) -> None:
    assert singular(word) == one


@given(st.text(alphabet="abcdefhilmnoprstuvwxyz", max_size=12))
def test_the_singular_is_its_own_singular(word: str) -> None:
    assert singular(singular(word)) == singular(word)


@given(st.sampled_from(NOUNS), st.sampled_from(["s", "es", "ies", "men", "children", "ss", "us"]))
def test_whatever_is_added_ends_in_a_singular(noun: str, ending: str) -> None:
    once = singular(noun + ending)
    assert singular(once) == once
