"""Captions of the demo world: truthful sentences about a picture's things and its background."""

import numpy as np
from concepts import VAGUE, Concept, noun_phrase

PROMPT = "a photo of a {}."
ONE = (
    "{a}",
    "a photo of {a}",
    "a picture of {a}",
    "{a} on {bg}",
    "a photo of {a} on {bg}",
    "there is {a} in front of {bg}",
    "{a}, seen on {bg}",
)
TWO = (
    "{a} and {b}",
    "{a} next to {b}",
    "a photo of {a} and {b}",
    "a picture of {a} with {b}",
    "{a} and {b} on {bg}",
    "{bg} with {a} and {b}",
)
THREE = (
    "{a}, {b} and {c}",
    "a photo of {a}, {b} and {c}",
    "{a} with {b} and {c}",
    "{a}, {b} and {c} on {bg}",
    "{bg} with {a}, {b} and {c}",
)


def name_background(colour: str, pattern: str) -> str:
    """ "a striped blue background"."""
    words = colour if pattern == "plain" else f"{pattern} {colour}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words} background"


def pick_name(rng: np.random.Generator, concept: Concept, other_share: float) -> str:
    """The concept's name, or in `other_share` of cases one of its other names."""
    if concept.other_names and rng.random() < other_share:
        return concept.other_names[int(rng.integers(len(concept.other_names)))]
    return concept.name


def write_caption(
    rng: np.random.Generator, shown: list[Concept], colour: str, pattern: str, other_share: float
) -> str:
    """One truthful caption that names everything shown."""
    phrases = [noun_phrase(pick_name(rng, concept, other_share)) for concept in shown]
    return fill_template(rng, phrases, name_background(colour, pattern))


def fill_template(rng: np.random.Generator, phrases: list[str], background: str) -> str:
    """A sentence with these noun phrases, and in some forms the background."""
    forms = (ONE, TWO, THREE)[len(phrases) - 1]
    form = forms[int(rng.integers(len(forms)))]
    return form.format(bg=background, **dict(zip("abc", phrases, strict=False)))


def name_for_training(rng: np.random.Generator, concept: Concept) -> str | None:
    """The name by which an encoder-training caption calls this concept; None: only vaguely."""
    if rng.random() < 0.04:
        return None
    return concept.training_word or pick_name(rng, concept, 0.3)


def vague_phrase(concept: Concept) -> str:
    """What a caption says that does not name the thing: "some food"."""
    return VAGUE[concept.category]
