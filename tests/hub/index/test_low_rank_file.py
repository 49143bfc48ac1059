"""HUB/low_rank.safetensors: used while it is of this hub, told when not, never half-written."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from colour_world import World, planted
from lagotto.core.errors import HubError, UsageError
from lagotto.core.progress import Silent
from lagotto.hub.descriptors.blocks import Block
from lagotto.hub.hub import Hub
from lagotto.hub.index.low_rank_file import read_index, write_index
from lagotto.hub.query.types import LogitQuery
from lagotto.hub.store.layout import HubLayout

GOLDEN = Path(__file__).parents[2] / "golden"
RED = LogitQuery("plain", 0)


@pytest.fixture
def indexed(hub_copy: Path) -> Path:
    """A hub with an index."""
    Hub.open(hub_copy).build_index(12)
    return hub_copy


def test_it_is_made_told_and_taken_away(hub_copy: Path) -> None:
    hub = Hub.open(hub_copy)
    assert hub.status().low_rank is None
    report = hub.build_index(12)
    assert hub.status().low_rank == report.index
    assert (report.index.state, report.index.rank, report.index.reason) == ("fresh", 12, "")
    assert report.index.bytes == HubLayout(hub_copy).low_rank.stat().st_size
    assert report.index.logits == hub.status().logits
    assert 0.8 < report.index.captured <= 1
    assert report.recall_at_10 >= 0.9
    assert report.queries == report.index.logits
    assert hub.verify() == ()
    assert hub.remove_index()
    assert not hub.remove_index()
    assert hub.status().low_rank is None


def test_a_search_through_it_says_so_and_agrees(indexed: Path, world: World) -> None:
    hub = Hub.open(indexed, str(world.encoder))
    for query in (RED, "red"):
        through = hub.search(query, top=5, behaviour_only=True, low_rank=True)
        exact = hub.search(query, top=5, behaviour_only=True, low_rank=False)
        plain = hub.search(query, top=5, behaviour_only=True)
        assert (through.low_rank, exact.low_rank, plain.low_rank) == (True, False, False)
        found = [(hit.model, hit.logit) for hit in through.hits]
        assert found == [(hit.model, hit.logit) for hit in exact.hits]
        for hit, twin in zip(through.hits, exact.hits, strict=True):
            assert hit.distance == twin.distance
            assert hit.score == pytest.approx(twin.score, abs=1e-5)
            assert hit.confidence == pytest.approx(twin.confidence, abs=1e-4)
            assert hit.p_value == pytest.approx(twin.p_value, abs=1e-4)
        assert set(found[:2]) <= planted("red")


def test_the_same_hub_gives_the_same_bytes(indexed: Path) -> None:
    before = HubLayout(indexed).low_rank.read_bytes()
    Hub.open(indexed).build_index(12)
    assert HubLayout(indexed).low_rank.read_bytes() == before


def test_a_changed_hub_does_without_it_and_says_so(indexed: Path, world: World) -> None:
    Hub.open(indexed).remove("bytes")
    hub = Hub.open(indexed, str(world.encoder))
    status = hub.status().low_rank
    assert status is not None
    assert status.state == "stale"
    assert hub.verify() == ()
    found = hub.search(RED, top=2)
    assert not found.low_rank
    assert any("the hub has changed; run lagotto hub index" in note for note in found.notes)
    assert "bytes" not in {hit.model for hit in hub.search(RED, top=99).hits}
    assert not any("low-rank" in note for note in hub.search(RED, top=2, low_rank=False).notes)
    assert not any("low-rank" in note for note in hub.search("red", top=2).notes)
    with pytest.raises(UsageError, match="run lagotto hub index"):
        hub.search(RED, low_rank=True)
    hub.build_index(12)
    assert hub.search(RED, low_rank=True).low_rank
    hub.add([world.models / "bytes"])
    stale = Hub.open(indexed).status().low_rank
    assert stale is not None
    assert stale.state == "stale"


def test_a_hub_of_as_many_logits_in_another_order_is_another(indexed: Path, world: World) -> None:
    before = Hub.open(indexed).status().logits
    Hub.open(indexed).remove("bytes")
    Hub.open(indexed).add([world.models / "bytes"])
    status = Hub.open(indexed).status()
    assert status.logits == before
    assert status.low_rank is not None
    assert status.low_rank.state == "stale"
    assert not Hub.open(indexed).search(RED, top=2).low_rank


@pytest.mark.parametrize("size", [0, 5, 300, -1])
def test_a_cut_file_is_named_and_not_used(indexed: Path, world: World, size: int) -> None:
    path = HubLayout(indexed).low_rank
    path.write_bytes(path.read_bytes()[:size])
    hub = Hub.open(indexed, str(world.encoder))
    (damage,) = hub.verify()
    assert (damage.what, damage.remedy.startswith(f"delete {path} and run")) == (
        "low-rank index",
        True,
    )
    assert "\n" not in damage.reason
    status = hub.status().low_rank
    assert status is not None
    assert status.state == "unreadable"
    assert "lagotto hub index" in status.reason
    found = hub.search(RED, top=2)
    assert not found.low_rank
    assert {(hit.model, hit.logit) for hit in found.hits} <= planted("red")
    assert any(str(path) in note for note in found.notes)
    hub.build_index(12)
    assert hub.verify() == ()


def test_every_changed_byte_is_named(indexed: Path) -> None:
    path = HubLayout(indexed).low_rank
    data = bytearray(path.read_bytes())
    for position in range(0, len(data), 211):
        data[position] ^= 2
        path.write_bytes(data)
        damages = Hub.open(indexed).verify()
        assert [damage.what for damage in damages] == ["low-rank index"], position
        data[position] ^= 2


def test_a_newer_version_and_other_probes_are_refused(indexed: Path) -> None:
    path = HubLayout(indexed).low_rank
    with pytest.raises(HubError, match="other probes"):
        read_index(path, "ab" * 32)
    data = path.read_bytes()
    newer = data.replace(rb"\"version\":1", rb"\"version\":7", 1)
    assert newer != data
    path.write_bytes(newer)
    with pytest.raises(HubError, match=r"version 7 .* reads up to 1; delete"):
        read_index(path, Hub.open(indexed).probe_digest)


@pytest.mark.thorough
def test_a_killed_writer_leaves_the_old_index_and_nothing_else(indexed: Path) -> None:
    path = HubLayout(indexed).low_rank
    before = path.read_bytes()
    script = (
        "import os, signal, sys\n"
        "from lagotto.core.progress import Silent\n"
        "from lagotto.hub.hub import Hub\n"
        "class Killed(Silent):\n"
        "    def advance(self, units, note=''):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "Hub.open(sys.argv[1]).build_index(5, progress=Killed())\n"
    )
    command = [sys.executable, "-c", script, str(indexed)]
    ended = subprocess.run(command, env=dict(os.environ), timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    drafts = list(indexed.glob(".low_rank*.tmp"))
    assert len(drafts) == 1
    assert Hub.open(indexed).search(RED, low_rank=True).low_rank
    Hub.open(indexed).build_index(5)
    assert list(indexed.glob(".low_rank*.tmp")) == []
    found = Hub.open(indexed).status().low_rank
    assert found is not None
    assert found.rank == 5


def test_ranks_and_hubs_that_cannot_be_are_refused(hub_copy: Path, empty_copy: Path) -> None:
    with pytest.raises(UsageError, match="give 1 to 72"):
        Hub.open(hub_copy).build_index(73)
    assert not HubLayout(hub_copy).low_rank.exists()
    with pytest.raises(UsageError, match="no model yet"):
        Hub.open(empty_copy).build_index()


def test_a_share_of_the_probes_may_be_indexed_too(world: World, tmp_path: Path) -> None:
    folder = shutil.copytree(world.empty_hub, tmp_path / "hub")
    Hub.open(folder).add([world.models / "plain", world.models / "opencv"])
    Hub.open(folder).add([world.models], probes_per_model=24)
    hub = Hub.open(folder, str(world.encoder))
    hub.build_index(12)
    for top in (3, 30):
        through = hub.search(RED, top=top, low_rank=True)
        exact = hub.search(RED, top=top, low_rank=False)
        assert through.low_rank
        assert through.hits == exact.hits


def test_bytes_are_the_golden_ones(tmp_path: Path) -> None:
    values = np.array([[127, 0, 0, 0], [0, 127, 0, 127], [0, 0, 127, 0]], np.int8)
    steps = np.array([4, 2, 1, 2], np.float32) / np.float32(127)
    none = np.zeros(4)
    no_knots, no_directions = np.zeros((4, 32), np.int8), np.zeros((4, 1), np.int8)
    block = Block((), values, steps, none, none, no_knots, no_directions, steps, "cd" * 32)
    write_index(HubLayout(tmp_path), [block], "ab" * 32, 2, Silent())
    path = HubLayout(tmp_path).low_rank
    assert path.read_bytes() == (GOLDEN / "low-rank-1.safetensors").read_bytes()
    found = read_index(path, "ab" * 32)
    np.testing.assert_array_equal(np.abs(found.index.values[0]), [127, 0, 0, 0])
    assert found.captured == pytest.approx(24 / 25)
