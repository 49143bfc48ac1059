"""Descriptions: the planted colours are named, in the hub and outside it, and kept as files."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colour_world import MODELS, NAMES, World, write_classifier
from lagotto.core.arguments.names import as_names
from lagotto.core.errors import UsageError
from lagotto.encoders.background.words import background_words
from lagotto.hub.hub import Hub
from lagotto.hub.labels.describe import describe_model
from lagotto.hub.reports.model_card import (
    CARD_FILE,
    LABELS_FILE,
    write_card,
)


def right(hub: Hub, model: str, colours: tuple[str, ...]) -> list[bool]:
    found = hub.describe(model, NAMES)
    return [each.proposals[0].name == c for each, c in zip(found.logits, colours, strict=True)]


def test_anonymous_outputs_get_their_colours(world: World) -> None:
    hub = Hub.open(world.hub)
    found = [flag for name in MODELS for flag in right(hub, name, MODELS[name].colours)]
    assert np.mean(found) >= 0.9


def test_labels_have_no_part_in_it(world: World, tmp_path: Path) -> None:
    hub = Hub.open(world.hub)
    outside = replace(MODELS["channels_last"], labelled=False)
    file = write_classifier(tmp_path / "unnamed", outside)
    inside = hub.describe("channels_last", NAMES)
    found = hub.describe(str(file), NAMES)
    assert found.model == str(file)
    assert [each.label for each in found.logits] == [None] * 4
    assert [each.label for each in inside.logits] == list(outside.colours)
    assert [each.name for each in found.logits] == [each.name for each in inside.logits]


def test_deciding_probes_show_the_concept(world: World) -> None:
    hub = Hub.open(world.hub)
    found = hub.describe("channels_last", NAMES)
    for each in found.logits:
        assert hub.probes[each.probes[0]].source.endswith(f"{each.proposals[0].name}.png")
        confidences = [proposal.confidence for proposal in each.proposals]
        assert confidences == sorted(confidences, reverse=True)
        assert all(0 <= value <= 1 for value in confidences)


def test_the_default_vocabulary_is_the_shipped_one(world: World) -> None:
    found = Hub.open(world.hub).describe("plain", top=2)
    assert found.vocabulary == len(background_words()) > 1000
    assert {len(each.proposals) for each in found.logits} == {2}


def test_what_cannot_be_described_is_refused(world: World) -> None:
    hub = Hub.open(world.hub)
    with pytest.raises(UsageError, match="nosuch"):
        hub.describe("nosuch")
    with pytest.raises(UsageError, match="no vocabulary names given"):
        hub.describe("plain", [])


def test_a_card_with_labels_and_sheets(world: World, tmp_path: Path) -> None:
    hub = Hub.open(world.hub)
    known = hub.reader.responses_of("channels_last")
    found = describe_model(hub.reader, known, [*NAMES, "<b>|evil|</b>"])
    card, labels, *sheets = write_card(hub.reader, known, found, tmp_path / "deep" / "card")
    assert (card.name, labels.name) == (CARD_FILE, LABELS_FILE)
    assert labels.read_text().splitlines() == [each.name for each in found.logits]
    text = card.read_text()
    assert all(f"]({sheet.name})" in text for sheet in sheets)
    assert sheets
    assert "<b>" not in text
    assert "Kind: classifier. Architecture: its own graph. Read as onnx." in text
    assert text.count("\n| ") == 2 + 4
    with pytest.raises(UsageError, match="exists"):
        write_card(hub.reader, known, found, tmp_path / "deep" / "card")


def test_a_vocabulary_file(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("cat\n\n dog \ncat\n")
    assert as_names(file, "vocabulary") == ("cat", "dog")
    file.write_text("\n \n")
    with pytest.raises(UsageError, match="holds no name"):
        as_names(file, "vocabulary")
    with pytest.raises(UsageError, match="cannot be read"):
        as_names(tmp_path / "absent.txt", "vocabulary")


def test_kept_embeddings_of_a_long_list_are_checked(world: World, tmp_path: Path) -> None:
    """They lie beside the pixels of the probes, and are no pixels; altered ones are made again.

    Older versions kept them in .npy files, as the pixels are kept.
    """
    folder = tmp_path / "hub"
    shutil.copytree(world.hub, folder)
    names = [*NAMES, *(f"shade {number}" for number in range(500))]
    first = Hub.open(folder).describe("channels_last", names)
    (kept,) = (folder / "cache").glob("texts-*")
    np.save(folder / "cache" / "texts-older.npy", np.zeros((500, 8), np.float32))
    assert Hub.open(folder).verify() == ()
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 0x40
    kept.write_bytes(content)
    assert [damage.what for damage in Hub.open(folder).verify()] == [str(kept)]
    again = Hub.open(folder).describe("channels_last", names)
    assert [each.name for each in again.logits] == [each.name for each in first.logits]
    assert Hub.open(folder).verify() == ()
