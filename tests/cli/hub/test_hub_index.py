"""`lagotto hub index` and searches through it, from the command line."""

from pathlib import Path

from colour_world import World
from command_line import lagotto


def test_an_index_in_json_and_in_words(hub_copy: Path) -> None:
    made = lagotto("hub", "index", hub_copy, "--rank", "12", "--json")
    assert (made.code, made.err) == (0, "")
    assert list(made.json) == [
        *("hub", "state", "reason", "rank", "logits", "bytes", "descriptor_bytes", "ratio"),
        *("captured", "recall_at_10", "queries"),
    ]
    assert (made.json["state"], made.json["rank"]) == ("fresh", 12)
    status = lagotto("hub", "status", hub_copy, "--json").json["low_rank"]
    assert status == {key: made.json[key] for key in status}
    told = lagotto("hub", "index", hub_copy, "--rank", "12")
    assert told.code == 0
    assert "logits in 12 numbers each" in told.out
    assert "recall@10 1.000 of 22 known logits" in told.out
    assert "note: " in told.err  # the factors of 72 probes take more than 22 descriptors
    assert lagotto("hub", "index", hub_copy, "--rank", "12", "--quiet").err == ""


def test_status_says_whether_it_is_used(hub_copy: Path, world: World) -> None:
    assert "index " not in lagotto("hub", "status", hub_copy).out
    lagotto("hub", "index", hub_copy)
    assert "index     fresh: " in lagotto("hub", "status", hub_copy).out
    removed = lagotto("hub", "remove", hub_copy, "bytes")
    assert removed.out == f"bytes removed from {hub_copy}\n"
    assert removed.err.startswith("note: the low-rank index is not used, the hub has changed; run ")
    assert f"lagotto hub index {hub_copy}" in removed.err
    added = lagotto("hub", "add", hub_copy, world.models / "bytes", "--json")
    assert added.json["done"] == ["bytes"]
    assert "the hub has changed" in added.err
    assert lagotto("hub", "add", hub_copy, world.models, "--quiet").err == ""
    stale = lagotto("hub", "status", hub_copy).out
    assert "index     stale: " in stale
    assert f"make it anew with: lagotto hub index {hub_copy}" in stale
    (hub_copy / "low_rank.safetensors").write_bytes(b"nothing")
    cut = lagotto("hub", "status", hub_copy)
    assert "index     not used: " in cut.out
    assert lagotto("hub", "verify", hub_copy).out.startswith("damaged: low-rank index: ")


def test_it_is_removed(hub_copy: Path) -> None:
    lagotto("hub", "index", hub_copy)
    assert "was removed" in lagotto("hub", "index", hub_copy, "--remove").out
    again = lagotto("hub", "index", hub_copy, "--remove", "--json")
    assert again.json == {"hub": str(hub_copy), "removed": False}
    lagotto("hub", "index", hub_copy, "--remove", "--rank", "3").refused(2, "--remove", "--rank")


def test_a_search_goes_through_it_if_asked(hub_copy: Path, world: World) -> None:
    words = ("search", hub_copy, "--logit", "plain:0", "--json")
    lagotto(*words, "--low-rank").refused(2, f"lagotto hub index {hub_copy}")
    lagotto("hub", "index", hub_copy, "--rank", "12")
    through, exact = (lagotto(*words, flag).json for flag in ("--low-rank", "--exact"))
    assert (through["low_rank"], exact["low_rank"]) == (True, False)
    assert [hit["distance"] for hit in through["hits"]] == [
        hit["distance"] for hit in exact["hits"]
    ]
    asked = lagotto("search", hub_copy, "red", "--rule", "paper", "--k", "9", "--low-rank")
    assert "note: all logits were scanned: " in asked.err
    lagotto("hub", "remove", hub_copy, "bytes")
    assert "the hub has changed" in lagotto(*words).err
    lagotto(*words, "--low-rank").refused(2, "the hub has changed")


def test_refusals(hub_copy: Path, tmp_path: Path) -> None:
    lagotto("hub", "index", tmp_path / "none").refused(1, "none")
    lagotto("hub", "index", hub_copy, "--rank", "99").refused(2, "give 1 to 72")
