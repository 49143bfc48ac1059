"""One form of a label to read, and two to compare: what is one name, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.text.names import (
    display_name,
    first_name,
    label_word_sets,
    listed_names,
    name_key,
    name_phrase,
    name_words,
    spellings,
)
from lagotto.core.text.plurals import plural
from lagotto.encoders.background.words import background_words

LABELS = st.text(alphabet="abcXYZ019 _+-,;()'é", max_size=20)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (" golden_retriever ", "golden retriever"),
        ("goldFish", "gold Fish"),
        ("NoOvertaking", "No Overtaking"),
        ("a__b+c \t d", "a b c d"),
        ("Speed20", "Speed 20"),
        ("20kmh", "20 kmh"),
        ("T-shirt/top", "T-shirt/top"),
        ("tench, Tinca_tinca", "tench, Tinca tinca"),
        *[(word, word) for word in ("USA", "x-ray", "iPod", "eBay", "McDonald", "mp3", "3D", "v2")],
        ("_", ""),
    ],
)
def test_what_is_read(label: str, words: str) -> None:
    assert display_name(label) == words


@given(LABELS)
def test_what_is_read_is_read_as_itself(label: str) -> None:
    words = display_name(label)
    assert display_name(words) == words
    assert name_key(words) == name_key(label)
    assert name_phrase(" ".join(name_phrase(label))) == name_phrase(label)


@given(LABELS)
def test_a_label_says_the_words_of_the_names_that_it_lists(label: str) -> None:
    sets = label_word_sets(label)
    words = frozenset().union(*sets)
    assert name_words(label) <= words <= name_words(label) | name_words(label.casefold())
    assert all(display_name(name) == name for name in listed_names(label))
    assert first_name(label) in (*listed_names(label), "nothing")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("sunflower", "Sunflowers"),
        ("golden retriever", "Golden_Retrievers"),
        ("stop sign", "StopSign"),
        ("stop sign", "stop-signs"),
        ("mouse", "mice"),
        ("MP3 player", "mp3_players"),
        ("iPod", "ipod"),
        ("speed 20", "Speed20"),
    ],
)
def test_spellings_of_the_same_words(first: str, second: str) -> None:
    assert name_words(first) == name_words(second)


@pytest.mark.parametrize(("first", "second"), [("glass", "gas"), ("bus", "bu"), ("dog", "dogma")])
def test_other_words(first: str, second: str) -> None:
    assert name_words(first) != name_words(second)


def test_a_key_keeps_plurals_apart_and_words_do_not() -> None:
    assert name_key("hot_dog") == name_key("Hot Dog")
    assert name_key("glass") != name_key("glasses")
    assert name_words("glass") == name_words("glasses")


def test_a_label_with_any_spelling_of_a_word_is_found_by_its_text() -> None:
    for name in background_words():
        for word in name_words(name):
            for label in (word, plural(word)):
                assert any(text in label for text in spellings(word)), (word, label)
