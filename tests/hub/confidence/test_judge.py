"""A judge over a real hub: what it keeps, and what a search says with it."""

from pathlib import Path

import numpy as np
import pytest

import colour_world
from colour_world import NAMES, World
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import ImageQuery, LogitQuery
from lagotto.hub.search.engine import is_judged


@pytest.fixture(scope="module")
def hub(world: World) -> Hub:
    return Hub.open(world.hub)


@pytest.mark.parametrize("colour", NAMES[:3])
def test_a_text_search_says_what_to_believe(hub: Hub, colour: str) -> None:
    found = hub.search(colour, behaviour_only=True)
    assert found.presence is not None
    assert found.coverage is not None
    assert 0 <= found.presence <= 1
    assert 0 < found.coverage <= 1
    for hit in found.hits:
        assert hit.quality is not None
        assert 0 <= hit.quality <= hit.confidence <= 1


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


def test_rivals_are_kept_and_made_again_when_damaged(hub_copy: Path) -> None:
    first = Hub.open(hub_copy)
    told = [hit.confidence for hit in first.search("red").hits]
    file = hub_copy / "rivals.safetensors"
    kept = file.read_bytes()
    file.write_bytes(kept[: len(kept) // 2])
    assert [hit.confidence for hit in Hub.open(hub_copy).search("red").hits] == told
    assert file.read_bytes() == kept
    judge = Hub.open(hub_copy).judge()
    assert judge is not None
    np.testing.assert_array_equal(judge.rivals.words.probes, first.judge().rivals.words.probes)


def test_rivals_are_made_again_for_other_models(hub_copy: Path) -> None:
    hub = Hub.open(hub_copy)
    hub.search("red")
    before = (hub_copy / "rivals.safetensors").read_bytes()
    hub.remove("plain")
    hub.search("red")
    assert (hub_copy / "rivals.safetensors").read_bytes() != before
