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
    check_templates,
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


@pytest.mark.parametrize(
    "place",
    ["{}", "{c}", "{class}", "{CLASS}", "{classname}", "{label}", "{name}", "{ c }", "{0}", "%s"],
)
def test_the_place_of_the_name_as_other_tools_write_it(tmp_path: Path, place: str) -> None:
    file = tmp_path / "t.txt"
    file.write_text(f"a photo of a {place}.\n50% of a {place}\n")
    assert read_templates(str(file), "{}") == ("a photo of a {}.", "50% of a {}")
    assert read_templates(f"art of {place}", "{}") == ("art of {}",)


@pytest.mark.parametrize(
    "content",
    [
        "templates = [\n    'a photo of a {}.',\n    'art of {}',\n]\n",
        "[\n    lambda c: f'a photo of a {c}.',\n    lambda c: f'art of {c}',\n]\n",
        "\ufeffa photo of a {}.\r\nart of {}\r\n",
    ],
)
def test_templates_copied_out_of_a_program(tmp_path: Path, content: str) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes(content.encode())
    if content.startswith("templates"):
        with pytest.raises(UsageError, match=r"'templates = \['.*exactly one \{\}"):
            read_templates(str(file), "{}")
    else:
        assert read_templates(str(file), "{}") == ("a photo of a {}.", "art of {}")


def test_templates_in_json(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text('["a photo of a {c}.", "art of %s"]')
    assert read_templates(str(file), "{}") == ("a photo of a {}.", "art of {}")
    file.write_text('{"a": "b"}')
    with pytest.raises(UsageError, match="no list of texts"):
        read_templates(str(file), "{}")


@pytest.mark.parametrize(
    "template",
    ["a photo", "{} and {}", "{c} and %s", "a {colour} {}", "a photo of a {species}", "a %(name)s"],
)
def test_a_template_without_one_place_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="exactly one") as caught:
        check_templates([template], "the call")
    assert repr(template) in str(caught.value)
