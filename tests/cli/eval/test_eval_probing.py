"""`lagotto eval probing` and `lagotto hub add --probes-per-model` from the command line."""

from pathlib import Path

import pytest

from colour_world import World
from command_line import lagotto

WAYS = {"fixed", "completed", "guarded", "paper_rule_completed"}


def test_the_curve_of_a_hub_as_json(world: World) -> None:
    words = ("--encoder", world.encoder, "--probes", "20,40", "--seeds", "2", "--json")
    found = lagotto("eval", "probing", world.hub, *words).json
    assert [row["probes"] for row in found["rows"]] == [20, 40]
    for row in found["rows"]:
        assert set(row) >= WAYS
        assert all(0 <= row[way]["top1"] <= row[way]["top5"] <= 1 for way in WAYS)
    assert found["all_probes"]["default"]["top5"] == 1  # a twin without labels may tie for first
    assert found["seeds"] == 2


def test_the_curve_as_a_table_and_a_picture(world: World, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "curve.png"
    words = ("--encoder", world.encoder, "--probes", "20", "--seeds", "1", "--plot", plot)
    answer = lagotto("eval", "probing", world.hub, *words)
    assert answer.code == 0, answer.err
    assert "guarded" in answer.out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_refusals(world: World, tmp_path: Path) -> None:
    lagotto("eval", "probing").refused(2, "HUB", "--responses")
    lagotto("eval", "probing", world.hub, "--responses", tmp_path).refused(2, "not both")
    lagotto("eval", "probing", "--responses", tmp_path).refused(2, "--encoder")
    lagotto("eval", "probing", world.hub, "--probes", "many").refused(2, "60,120,200")
    lagotto("eval", "probing", world.hub, "--choose", "best").refused(2, "spread")
    lagotto("eval", "probing", world.hub, "--probes", "9999").refused(2, "fewer than all")
    words = ("--responses", tmp_path, "--encoder", world.encoder)
    lagotto("eval", "probing", *words).refused(2, "models.json")


def test_a_share_is_told_by_status(world: World, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    made = ("--probes", world.pictures, "--encoder", world.encoder, "--quiet")
    assert lagotto("hub", "create", hub, *made).code == 0
    words = ("--probes-per-model", "20", "--choose", "random", "--quiet")
    assert lagotto("hub", "add", hub, world.models / "plain", *words).code == 0
    table = lagotto("hub", "status", hub).out
    assert "searched" in table
    status = lagotto("hub", "status", hub, "--json").json
    assert status["models"][0]["probes_seen"] == 20
    assert status["models"][0]["searched"] in ("seen", "completed")
    more = lagotto("hub", "add", hub, world.models / "plain", "--probes-per-model", "30", "--json")
    assert more.json["extended"] == ["plain"]
    lagotto("hub", "add", hub, world.models, "--probes-per-model", "9999").refused(2, "give 2 to")
