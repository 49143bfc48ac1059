"""The labels of a hub as vectors: made when models are added, read by searches, written by none."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import colour_world
from colour_world import World
from lagotto.core.errors import HubError
from lagotto.core.progress import Silent
from lagotto.core.text.names import first_name
from lagotto.encoders.base import Encoder
from lagotto.hub.hub import Hub
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.label_embeddings import keep_label_embeddings, open_label_embeddings

FILE = "label_embeddings.safetensors"


class Counted:
    """An encoder that remembers which texts it embedded."""

    def __init__(self, encoder: Encoder) -> None:
        self.info = encoder.info
        self._encoder = encoder
        self.texts: list[str] = []

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._encoder.embed_pixels(pixels)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.token_counts(texts)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        return self._encoder.embed_texts(texts)


def test_what_is_kept_is_what_a_search_makes_in_memory(world: World, tmp_path: Path) -> None:
    hub = Hub.open(world.hub)
    labels, space = hub.reader.label_texts(), hub.reader.space
    counted = Counted(hub.encoder)
    made = open_label_embeddings(tmp_path / FILE, labels, counted, space)
    assert len(counted.texts) == len(labels) == len(made.labels)
    kept = open_label_embeddings(world.hub / FILE, labels, counted, space)
    assert len(counted.texts) == len(labels)
    np.testing.assert_array_equal(kept.values, made.values)
    np.testing.assert_array_equal(kept.steps, made.steps)
    prompts = [hub.encoder.info.prompt_template.replace("{}", label) for label in labels]
    directions = hub.encoder.embed_texts(prompts) - space.background_mean
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(made.values * made.steps[:, None], directions, atol=0.01)


def test_only_new_labels_are_embedded(world: World, tmp_path: Path) -> None:
    hub, file = Hub.open(world.hub), tmp_path / FILE
    counted = Counted(hub.encoder)
    for labels in (("red", "blue"), ("blue", "green_thing, verdure", "red"), ("red",)):
        arguments = (file, labels, counted, hub.reader.space)
        keep_label_embeddings(*arguments, Silent())
        now = open_label_embeddings(*arguments)
        assert now.labels == labels
        np.testing.assert_array_equal(
            now.values,
            open_label_embeddings(tmp_path / "no", labels, hub.encoder, hub.reader.space).values,
        )
    names = ("red", "blue", "green thing")
    template = hub.encoder.info.prompt_template
    assert counted.texts == [template.replace("{}", name) for name in names]


def test_an_audit_embeds_no_label_anew_that_was_embedded_for_the_file(
    world: World, tmp_path: Path
) -> None:
    hub = Hub.open(world.hub)
    labels = hub.reader.label_texts()
    held = keep_label_embeddings(tmp_path / FILE, labels, hub.encoder, hub.reader.space, Silent())
    counted = Counted(hub.encoder)
    other = Hub.open(world.hub, encoder=counted).reader
    plain = LabelEncoder(other).read(labels)
    embedded = len(counted.texts)
    assert embedded >= len(labels)
    known = LabelEncoder(other, held).read(labels)
    assert len(counted.texts) == embedded
    np.testing.assert_allclose(known.embeddings, plain.embeddings, atol=1e-6)
    LabelEncoder(other, held).read([*labels, "a name that nobody knows"])
    assert len(counted.texts) == embedded + len(labels) + 1


def test_adding_models_embeds_each_label_once(world: World, empty_copy: Path) -> None:
    counted = Counted(Hub.open(world.hub).encoder)
    hub = Hub.open(empty_copy, encoder=counted)
    hub.add(world.models)
    template = counted.info.prompt_template
    prompts = [template.replace("{}", first_name(text)) for text in hub.reader.label_texts()]
    times = Counter(counted.texts)
    assert len(prompts) > 5
    assert [times[prompt] for prompt in prompts] == [1] * len(prompts)


def test_the_file_is_not_needed_and_written_by_no_search(world: World, hub_copy: Path) -> None:
    whole = Hub.open(hub_copy).search("red")
    kept = (hub_copy / FILE).read_bytes()
    for content in (b"", kept[: len(kept) // 2], kept[:-1] + b"\xff" * 40):
        (hub_copy / FILE).write_bytes(content)
        assert Hub.open(hub_copy).search("red").hits == whole.hits
        assert (hub_copy / FILE).read_bytes() == content
    (hub_copy / FILE).unlink()
    assert Hub.open(hub_copy).search("red").hits == whole.hits
    assert not (hub_copy / FILE).exists()
    Hub.open(hub_copy).audit_labels()
    assert (hub_copy / FILE).read_bytes() == kept


def test_a_label_is_found_by_its_meaning_unless_behaviour_contradicts_it(
    world: World, hub_copy: Path
) -> None:
    """The encoder reads "crimson red" as nearly "red", which no word of the label "ruby" says."""
    hub = Hub.open(hub_copy)
    direction = hub.query_vector("red").concepts[0].direction
    likeness = hub.label_embeddings.likeness(direction)
    assert list(likeness) == ["red"]
    assert likeness["red"] == pytest.approx(0.8, abs=0.01)
    added = colour_world.Classifier(("white", "blue", "green"), edge=10, names=("a", "b", "red !"))
    colour_world.write_classifier(hub_copy.parent / "odd", added)
    hub.add([hub_copy.parent / "odd"])
    assert set(hub.label_embeddings.likeness(direction)) == {"red", "red !"}


def test_a_folder_that_cannot_be_written_is_said(world: World, tmp_path: Path) -> None:
    hub = Hub.open(world.hub)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HubError):
        keep_label_embeddings(
            tmp_path / "file" / FILE, ("red",), hub.encoder, hub.reader.space, Silent()
        )
