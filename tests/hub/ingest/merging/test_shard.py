"""Shards of a list of models, added by several machines, and merged."""

import shutil
from pathlib import Path

import pytest

from catalogue_rows import catalogue_rows
from colour_world import World
from command_line import lagotto
from hub_stub import Repository, StubHub
from lagotto.core.errors import UsageError
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.merging.shard import ModelShard


@pytest.fixture(scope="module")
def models(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models, one of them twice, one that fails, and one that is not read."""
    folder = tmp_path_factory.mktemp("list") / "models"
    for name in ("plain", "channels_last", "bytes"):
        shutil.copytree(world.models / name, folder / name)
    shutil.copytree(world.models / "plain", folder / "twin")
    (folder / "broken.onnx").write_bytes(b"no model")
    (folder / "other.pb").write_bytes(b"no model")
    return folder


def test_shards_give_the_hub_of_the_list_and_need_no_encoder(
    world: World, tmp_path: Path, models: Path
) -> None:
    once = shutil.copytree(world.empty_hub, tmp_path / "once")
    made = lagotto("hub", "add", once, models, "--json").json
    bare = shutil.copytree(world.empty_hub, tmp_path / "bare")
    (bare / "background.safetensors").unlink()
    parts = []
    for index in (2, 1, 3):
        parts.append(tmp_path / f"part{index}")
        words = ("--shard", f"{index}/3", "--out", parts[-1], "--json")
        answer = lagotto("hub", "add", bare, models, *words)
        assert (answer.json["shard"], answer.json["hub"]) == (f"{index}/3", str(parts[-1]))
        assert answer.code == (1 if answer.json["failures"] and not answer.json["done"] else 0)
        assert lagotto("hub", "verify", parts[-1]).code == 0
        assert not (parts[-1] / "cache").exists()
    assert Hub.open(bare).models == ()
    merged = lagotto("hub", "merge", tmp_path / "hub", *parts, "--json").json
    for key in ("failures", "copies", "not_read", "files"):
        assert merged[key] == made[key], key
    assert merged["added"] == len(made["done"]) == 3
    assert catalogue_rows(tmp_path / "hub") == catalogue_rows(once)
    for path in (once / "responses").iterdir():
        assert (tmp_path / "hub/responses" / path.name).read_bytes() == path.read_bytes()
    for query in ("red", "a blue thing"):
        found = [lagotto("search", hub, query, "--json").json for hub in (once, tmp_path / "hub")]
        assert found[0]["hits"] == found[1]["hits"] != []


def test_a_shard_is_resumed_and_no_other_goes_into_its_hub(
    empty_copy: Path, tmp_path: Path, models: Path
) -> None:
    hub, out = Hub.open(empty_copy), tmp_path / "part"
    first = hub.add(models, shard=ModelShard(1, 2, out))
    again = hub.add(models, shard=ModelShard(1, 2, out))
    assert again.already == len(first.done) > 0
    nothing = hub.add(models, shard=ModelShard(9, 9, tmp_path / "none"))
    assert (nothing.done, nothing.failures, Hub.open(tmp_path / "none").models) == ((), (), ())
    with pytest.raises(
        UsageError, match=r"holds shard 1/2 of a list of 5 models and not shard 2/2"
    ):
        hub.add(models, shard=ModelShard(2, 2, out))
    with pytest.raises(UsageError, match=r"that list has changed: it is now one of 1 models"):
        hub.add(models / "plain", shard=ModelShard(1, 2, out))
    with pytest.raises(UsageError, match="is the hub itself"):
        hub.add(models, shard=ModelShard(1, 2, empty_copy))
    hub.add(models / "plain")
    with pytest.raises(UsageError, match="is a hub of its own"):
        Hub.open(out).add(models, shard=ModelShard(1, 2, empty_copy))


def test_shards_of_different_lists_are_told(empty_copy: Path, tmp_path: Path, models: Path) -> None:
    hub = Hub.open(empty_copy)
    hub.add(models / "plain", shard=ModelShard(1, 2, tmp_path / "a"))
    hub.add(models / "bytes", shard=ModelShard(2, 2, tmp_path / "b"))
    report = hub.merge([tmp_path / "a", tmp_path / "b"])
    assert "shards of different lists" in report.notes[0]
    assert report.missing_shards == ("2/2", "1/2")


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "1/2/3", "-1/3", "1/99999999"])
def test_what_is_no_shard_is_refused(empty_copy: Path, tmp_path: Path, text: str) -> None:
    words = ("--shard", text, "--out", tmp_path / "part")
    lagotto("hub", "add", empty_copy, tmp_path, *words).refused(2, "shard 3/64")


def test_shard_and_out_go_together(empty_copy: Path, tmp_path: Path) -> None:
    lagotto("hub", "add", empty_copy, tmp_path, "--shard", "1/2").refused(2, "--out PART")
    lagotto("hub", "add", empty_copy, tmp_path, "--out", tmp_path / "p").refused(2, "give both")


def test_remote_models_come_first_in_the_list(
    world: World, empty_copy: Path, tmp_path: Path, stub: StubHub
) -> None:
    for name in ("bytes", "channels_last", "plain"):
        stub.repositories[f"org/{name}"] = Repository(
            {path.name: path.read_bytes() for path in (world.models / name).iterdir()}
        )
    names = [f"hf:org/{name}" for name in ("bytes", "channels_last", "plain")]
    listed = [str(world.models / "opencv"), *names]
    once = Hub.open(shutil.copytree(empty_copy, tmp_path / "once"))
    once.add(listed)
    hub, parts = Hub.open(empty_copy), []
    for index in (1, 2):
        parts.append(tmp_path / f"part{index}")
        hub.add(listed, shard=ModelShard(index, 2, parts[-1]))
    assert [len(Hub.open(part).models) for part in parts] == [2, 2]
    hub.merge(parts)
    assert hub.models == once.models
    assert catalogue_rows(empty_copy) == catalogue_rows(once.folder)
