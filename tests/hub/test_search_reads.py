"""A search only reads: no byte of the hub changes, and a read-only hub gives the same answer."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import colour_world
from colour_world import World, make_old
from command_line import lagotto
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import LogitQuery
from lagotto.hub.store.database import CATALOG_VERSION

UNAUDITED = "6 label lists were never audited; run: lagotto audit HUB --all"


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder below one: its time of change, its inode and its bytes."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.stat().st_ino,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (folder, *sorted(folder.rglob("*")))
    }


def answers(hub: Path) -> dict[str, str]:
    """What the command prints for some queries, but for the time that each took."""
    picture = hub.parent / "asked.png"
    colour_world.picture("red", 80_000).save(picture)
    queries: dict[str, tuple[str, ...]] = {
        "one colour": ("red",),
        "another": ("cyan", "--by-model"),
        "joined": ("blue AND NOT white",),
        "paper": ("red", "--rule", "paper"),
        "behaviour": ("red", "--behaviour-only"),
        "picture": ("--image", str(picture)),
        "logit": ("--logit", "plain:1"),
        "labels": ("--labels", "red,green"),
    }
    found = {}
    for name, words in queries.items():
        answer = lagotto("search", hub, *words, "--json", "--quiet")
        assert (answer.code, answer.err) == (0, ""), answer
        content = answer.json
        del content["elapsed_s"]
        found[name] = json.dumps(content).replace(str(hub.parent), "")
    return found


def read_only(hub: Path, folder: Path) -> Path:
    """A copy of a hub that nobody may write to (but root)."""
    copy = shutil.copytree(hub, folder / hub.name)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return copy


@pytest.fixture(params=["new", "old"])
def hub(request: pytest.FixtureRequest, hub_copy: Path) -> Path:
    if request.param == "old":
        make_old(hub_copy)
    return hub_copy


def test_a_search_changes_no_byte_and_a_read_only_hub_answers_the_same(
    hub: Path, tmp_path: Path
) -> None:
    (tmp_path / "away").mkdir()
    copy = read_only(hub, tmp_path / "away")
    before = snapshot(hub), snapshot(copy)
    assert answers(hub) == answers(copy)
    assert (snapshot(hub), snapshot(copy)) == before


def test_python_reads_only_too(hub: Path) -> None:
    before = snapshot(hub)
    opened = Hub.open(hub)
    for query in ("red", "no such thing", "(red OR cyan) AND NOT white", LogitQuery("bytes", 2)):
        opened.search(query)
    opened.cover(["red", "blue"])
    opened.audit("plain")
    opened.describe("plain")
    opened.duplicates()
    opened.status()
    opened.verify()
    assert snapshot(hub) == before


def test_the_check_sees_what_an_audit_writes(hub_copy: Path) -> None:
    before = snapshot(hub_copy)
    Hub.open(hub_copy).audit_labels()
    assert snapshot(hub_copy) != before


def test_a_hub_without_audits_answers_and_says_what_to_run(world: World, hub_copy: Path) -> None:
    whole = Hub.open(world.hub).search("red")
    make_old(hub_copy)
    found = Hub.open(hub_copy).search("red")
    assert found.notes == (UNAUDITED,)
    assert found.hits[0].model in colour_world.MODELS
    assert [hit.model for hit in found.hits[:3]] == [hit.model for hit in whole.hits[:3]]
    assert Hub.open(hub_copy).search("red", behaviour_only=True).notes == ()
    spoken = lagotto("search", hub_copy, "red")
    assert f"note: {UNAUDITED}" in spoken.err


def test_audit_all_brings_an_old_hub_up_to_date(world: World, hub_copy: Path) -> None:
    make_old(hub_copy)
    (hub_copy / "label_trust.json").write_text("{}")
    shown = lagotto("audit", hub_copy, "--json").json
    assert Hub.open(hub_copy).search("red").notes == (UNAUDITED,)  # shown, not kept
    kept = lagotto("audit", hub_copy, "--all", "--json").json
    assert kept == shown
    assert not (hub_copy / "label_trust.json").exists()
    assert Hub.open(hub_copy).search("red") == Hub.open(world.hub).search("red")
    for name in ("background.safetensors", "rivals.safetensors"):
        assert (hub_copy / name).read_bytes() == (world.hub / name).read_bytes()
    assert Hub.open(hub_copy).verify() == ()


def test_adding_to_an_old_hub_audits_its_lists(world: World, hub_copy: Path) -> None:
    make_old(hub_copy)
    (hub_copy / "label_trust.json").write_text("{}")
    Hub.open(hub_copy).add([world.models])
    assert not (hub_copy / "label_trust.json").exists()
    assert Hub.open(hub_copy).search("red") == Hub.open(world.hub).search("red")


def test_all_is_for_all_models(world: World) -> None:
    lagotto("audit", world.hub, "plain", "--all").refused(2, "leave MODEL out")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_hub_is_not_audited(hub_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    copy = read_only(hub_copy, tmp_path / "away")
    lagotto("audit", copy, "--all").refused(1, "cannot write")


def test_opening_an_old_hub_to_write_gives_it_the_table(
    hub_copy: Path, check: Callable[[Path], int]
) -> None:
    make_old(hub_copy)
    assert check(hub_copy) == 1
    Hub.open(hub_copy).remove("plain")
    assert check(hub_copy) == CATALOG_VERSION
    assert Hub.open(hub_copy).verify() == ()


@pytest.fixture
def check() -> Callable[[Path], int]:
    """The format version of a hub's catalogue."""
    from lagotto.hub.store.catalog import Catalog

    def version(hub: Path) -> int:
        with Catalog(hub / "catalogue.sqlite") as catalogue:
            return catalogue.format_version()

    return version
