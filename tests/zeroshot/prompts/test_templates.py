"""Templates and the embeddings of labels."""

from pathlib import Path

import numpy as np
import pytest

from caption_world import CONTEXT, WordEncoder
from lagotto.core.errors import UsageError
from lagotto.core.vectors import unit_rows
from lagotto.zeroshot.prompts.labels import Label, make_labels
from lagotto.zeroshot.prompts.templates import (
    TEMPLATES,
    embed_labels,
    read_templates,
)


def test_single_is_the_encoders_own() -> None:
    assert read_templates("single", "this is {}") == ("this is {}",)


@pytest.mark.parametrize("name", ["simple", "broad", "plain"])
def test_every_template_takes_one_name(name: str) -> None:
    templates = read_templates(name, "{}")
    assert len(set(templates)) == len(templates) == len(TEMPLATES[name])
    assert all(template.count("{}") == 1 for template in templates)


def test_user_file(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_text("an x-ray of a {}\n\n{} on film\n")
    assert read_templates(str(file), "{}") == ("an x-ray of a {}", "{} on film")


@pytest.mark.parametrize(("text", "word"), [("no place\n", "exactly one"), ("\n", "empty")])
def test_bad_file(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "t.txt"
    file.write_text(text)
    with pytest.raises(UsageError, match=word):
        read_templates(str(file), "{}")


def test_unknown_name_is_suggested() -> None:
    with pytest.raises(UsageError, match="Did you mean 'simple'"):
        read_templates("simpel", "{}")


def test_the_mean_over_templates_and_descriptions() -> None:
    encoder = WordEncoder()
    labels = (Label("cat", "cat", ("it purrs loudly",)), Label("dog", "dog"))
    found = embed_labels(encoder, labels, ("a {}.", "big {}"))
    texts = encoder.embed_texts(["a cat.", "big cat", "it purrs loudly", "a dog.", "big dog"])
    expected = unit_rows(np.stack([texts[:3].mean(axis=0), texts[3:].mean(axis=0)]))
    assert np.allclose(found.embeddings, expected, atol=1e-6)
    assert found.notes == ()


def test_a_long_label_is_noted() -> None:
    labels = make_labels(["cat", " ".join(["very"] * CONTEXT)])
    (note,) = embed_labels(WordEncoder(), labels, ("a {}",)).notes
    assert "cut" in note
    assert str(CONTEXT) in note
