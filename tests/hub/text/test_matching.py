"""Names beside behaviour: what matches, what it adds, and that wrong names are not believed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import colour_world
from colour_world import PICTURES_A_COLOUR, World, planted
from lagotto.core.text.names import name_words
from lagotto.hub.hub import Hub
from lagotto.hub.text.matching import (
    FIRMLY,
    MATCH,
    NOBODY,
    OPENLY,
    Named,
    find_named,
    name_likeness,
    name_scores,
)

K = PICTURES_A_COLOUR


@pytest.mark.parametrize(
    ("asked", "label", "likeness"),
    [
        ("golden retriever", "golden retriever", 1.0),
        ("Golden Retrievers", "golden_retriever", 1.0),
        ("white shark", "great white shark, white shark", 1.0),
        ("dog", "hot dog", 0.5**0.5),
        ("hot dog", "dog", 0.5**0.5),
        ("nigripes", "Phoebastria nigripes (Black-footed Albatross)", 0.5**0.5),
        ("dog", "dogma", 0.0),
        ("keep left", "KeepLeft", 1.0),
        ("keepleft", "KeepLeft", 1.0),
        ("endspeed80", "EndSpeed80", 1.0),
        ("dog", " , ", 0.0),
        ("???", "dog", 0.0),
    ],
)
def test_likeness_is_that_of_the_words(asked: str, label: str, likeness: float) -> None:
    assert name_likeness(name_words(asked), label) == pytest.approx(likeness)


def test_named_logits_are_those_of_the_gallery_in_its_order() -> None:
    labelled = [("b", 1, "red dog"), ("a", 0, "dog"), ("gone", 0, "dog"), ("a", 2, "cat")]
    places = {("a", 0): 0, ("a", 2): 2, ("b", 1): 5}
    named = find_named(
        "dog", lambda _: labelled, lambda *key: places.get(key), lambda model, _: 0.5
    )
    assert named.columns.tolist() == [0, 5]
    np.testing.assert_allclose(named.likeness, [1, 0.5**0.5])
    assert named.trust.tolist() == [0.5, 0.5]
    assert find_named("!?", lambda _: labelled, lambda *_: 0, lambda *_: 1.0) is NOBODY


def test_a_label_of_similar_meaning_is_like_a_name_but_less_than_the_same_words() -> None:
    labelled = [("a", 0, "dog"), ("a", 1, "puppies"), ("b", 0, "hot dog"), ("b", 1, "wolf")]
    similar = {"dog": 0.5, "puppies": 0.6, "hot dog": 0.1}
    named = find_named(
        "puppy", lambda _: [*labelled, *labelled], lambda m, i: "ab".index(m) * 2 + i,
        lambda *_: FIRMLY, similar,
    )  # fmt: skip
    assert named.columns.tolist() == [0, 1, 2]
    np.testing.assert_allclose(named.likeness, [0.5, 1.0, 0.1])


def test_a_label_that_says_the_words_in_any_spelling_is_looked_up(hub_copy: Path) -> None:
    names = ("mice", "wolves", "StopSigns")
    odd = colour_world.Classifier(("red", "blue", "green"), edge=10, names=names)
    models = hub_copy.parent / "odd"
    colour_world.write_classifier(models, odd)
    hub = Hub.open(hub_copy)
    hub.add([models])
    for text, logit in (("mouse", 0), ("Wolf", 1), ("stop sign", 2), ("Mice", 0)):
        found = hub.search(text, k=K, top=1).hits[0]
        assert (found.model, found.logit) == ("odd", logit), text


def test_a_name_counts_by_likeness_and_trust_unless_behaviour_says_otherwise() -> None:
    behaviour = np.array([0.0, 1.0, 9.0, 0.5, -1.0, 2.0])
    named = Named(
        np.array([0, 2, 3, 5]),
        np.array([1, 1, 0.5, 1], np.float32),
        np.array([OPENLY, FIRMLY, OPENLY, 0], np.float32),
    )
    added = name_scores(named, behaviour, np.array([0, 3]), 4.0)
    # the first: output 2 of its model answers instead; the last: not believed at all
    np.testing.assert_allclose(added, [0, 20, 5, 0])
    firm = replace(named, trust=np.full(4, FIRMLY, np.float32))
    assert name_scores(firm, behaviour, np.array([0, 3]), 4.0)[0] == 20
    assert MATCH.bonus == 5.0


def test_a_name_finds_what_behaviour_cannot_tell(world: World, hub_copy: Path) -> None:
    """No probe shows a 'vermilion', and a model says that its output is one."""
    odd = colour_world.Classifier(("red", "blue", "green"), edge=10, names=("a", "b", "vermilion"))
    models = hub_copy.parent / "odd"
    colour_world.write_classifier(models, odd)
    hub = Hub.open(hub_copy)
    hub.add([models])
    found = hub.search("vermilion", k=K, top=1).hits[0]
    assert (found.model, found.logit) == ("odd", 2)
    assert hub.search("vermilion", k=K, top=1, behaviour_only=True).hits[0] != found


def test_swapped_labels_are_not_believed(world: World, hub_copy: Path) -> None:
    odd = colour_world.Classifier(
        ("magenta", "green", "blue"), edge=10, names=("blue", "magenta", "green")
    )
    models = hub_copy.parent / "swapped"
    colour_world.write_classifier(models, odd)
    hub = Hub.open(hub_copy)
    hub.add([models])
    right = planted("magenta") | {("swapped", 0)}
    found = hub.search("magenta", k=K, top=len(right)).hits
    assert {(hit.model, hit.logit) for hit in found} == right
