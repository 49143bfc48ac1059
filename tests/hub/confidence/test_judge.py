"""A judge over a real hub: what it keeps, and what a search says with it."""

from pathlib import Path

import pytest

import colour_world
from colour_world import NAMES, World, planted
from lagotto.hub.confidence.calibrator import shipped_calibrator
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import ImageQuery, LogitQuery
from lagotto.hub.search.engine import is_judged


@pytest.fixture(scope="module")
def hub(world: World) -> Hub:
    return Hub.open(world.hub)


@pytest.mark.parametrize("colour", NAMES[:3])
def test_a_text_search_says_what_to_believe(hub: Hub, colour: str) -> None:
    found = hub.search(colour, behaviour_only=True, top=21)
    assert found.presence is not None
    assert found.coverage is not None
    assert 0.7 < found.presence < 0.95
    assert 0.9 < found.coverage <= 1
    right = [hit for hit in found.hits if (hit.model, hit.logit) in planted(colour)]
    wrong = [hit for hit in found.hits if (hit.model, hit.logit) not in planted(colour)]
    assert len(right) == 3
    assert min(hit.confidence for hit in right) > 0.8
    assert max(hit.confidence for hit in wrong) < 0.4
    assert sum(hit.confidence for hit in wrong) < 1
    for hit in found.hits:
        assert hit.quality is not None
        assert 0 <= hit.quality < hit.confidence < 0.95
    assert min(hit.quality or 0 for hit in right) > 0.5


def test_a_hub_says_that_the_calibration_is_of_another_encoder(hub: Hub) -> None:
    assert colour_world.CALIBRATION_NOTE in hub.status().notes
    assert hub.search("red").notes == ()  # once a hub, not once a search
    name, fingerprint = shipped_calibrator().encoder
    assert shipped_calibrator().encoder_note(name, fingerprint) is None


def test_how_many_hits_are_shown_changes_no_belief(hub: Hub) -> None:
    few, many = hub.search("red", top=2), hub.search("red", top=15)
    assert few.presence == pytest.approx(many.presence, abs=0.01)
    assert [hit.confidence for hit in few.hits] == pytest.approx(
        [hit.confidence for hit in many.hits[:2]], abs=0.01
    )


def test_other_searches_are_not_judged(hub: Hub, tmp_path: Path) -> None:
    colour_world.picture("red", 80_000).save(tmp_path / "red.png")
    picture = ImageQuery((tmp_path / "red.png",))
    assert is_judged(hub.query_vector("red"), "default")
    assert not is_judged(hub.query_vector(picture), "default")
    for found in (
        hub.search(picture),
        hub.search("red AND NOT cyan"),
        hub.search("red", rule="paper"),
        hub.search(LogitQuery("plain", 0)),
    ):
        assert (found.presence, found.coverage) == (None, None)
        assert {hit.quality for hit in found.hits} == {None}


@pytest.mark.parametrize("name", ["rivals.safetensors", "background.safetensors"])
def test_statistics_of_words_are_not_needed_and_written_by_no_search(
    hub_copy: Path, name: str
) -> None:
    whole = Hub.open(hub_copy).search("red")
    file = hub_copy / name
    kept = file.read_bytes()
    file.write_bytes(kept[: len(kept) // 2])
    assert Hub.open(hub_copy).search("red") == whole
    assert len(file.read_bytes()) == len(kept) // 2
    file.unlink()
    assert Hub.open(hub_copy).search("red") == whole
    assert not file.exists()
    Hub.open(hub_copy).audit_labels()
    assert file.read_bytes() == kept


def test_statistics_of_words_are_made_anew_when_models_come_and_go(
    world: World, hub_copy: Path
) -> None:
    hub, file = Hub.open(hub_copy), hub_copy / "rivals.safetensors"
    seven = file.read_bytes()
    hub.remove("softmaxed")
    six = file.read_bytes()
    assert six != seven
    judge = hub.judge()
    assert judge is not None
    assert len(judge.background.sample.steps) == judge.logit_index.usable
    hub.add([world.models])
    assert file.read_bytes() not in (six, b"")
    again = file.stat().st_mtime_ns
    hub.add([world.models])
    assert file.stat().st_mtime_ns == again
