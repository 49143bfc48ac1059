"""A hub is pushed to a place and searched by its address: fetched once, then from the cache."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from attack_hubs import BOMB, parts_of
from colour_world import World
from command_line import lagotto
from hub_stub import StubHub
from lagotto.core.errors import HubError, LagottoError, SourceError, UsageError
from lagotto.core.progress import Silent
from lagotto.core.remote.retry import Backoff, OutOfReachError
from lagotto.hub.hub import Hub
from lagotto.hub.publish import push
from lagotto.hub.publish.address import import_hub
from lagotto.hub.publish.listing import LISTING_NAME
from lagotto.hub.publish.push import push_hub
from published_world import export

ADDRESS = "hf:datasets/org/colours"
NAME = "datasets/org/colours"

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""The client's own, in an upload without xet."""


@pytest.fixture
def place(stub: StubHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StubHub:
    """The stub, with a token and a cache of its own; uploads go by plain HTTP."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
    monkeypatch.setattr(Backoff, "_sleep", lambda self, seconds: None)
    return stub


@pytest.fixture
def published(place: StubHub, world: World) -> StubHub:
    push_hub(world.hub, ADDRESS, Silent())
    return place


def packs(stub: StubHub) -> set[str]:
    return {name for name in stub.repositories[NAME].files if name.startswith("packs/")}


def cached(tmp_path: Path) -> list[Path]:
    home = tmp_path / "cache" / "lagotto" / "hubs"
    return sorted(p for p in home.glob("*/*") if p.is_dir()) if home.exists() else []


def test_it_is_fetched_once_and_searched_offline(
    world: World, published: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lagotto("search", ADDRESS, "red", "--encoder", world.encoder, "--json")
    commit = published.repositories[NAME].commit
    assert first.json["hub"] == f"{ADDRESS}@{commit}"
    assert f"MB: {ADDRESS}@{commit}" in first.err
    assert first.json["hits"] == lagotto("search", world.hub, "red", "--json").json["hits"]
    served = dict(published.served)
    again = lagotto("search", ADDRESS, "blue", "--encoder", world.encoder)
    assert again.err == ""
    assert published.served == served  # its commit was asked for, and no file
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(published.requests)
    offline = lagotto("search", ADDRESS, "red", "--encoder", world.encoder, "--json")
    assert offline.json["hits"] == first.json["hits"]
    assert "HF_HUB_OFFLINE is set" in offline.err
    assert len(published.requests) == asked
    by_commit = lagotto("hub", "status", f"{ADDRESS}@{commit}", "--json")
    assert by_commit.json["done"] == 7
    unknown = lagotto("search", "hf:datasets/org/other", "red")
    assert (unknown.code, "is not in the cache" in unknown.err) == (1, True)


def test_a_damaged_list_of_states_names_no_other_place(
    world: World, published: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lagotto("search", ADDRESS, "red", "--encoder", world.encoder, "--json")
    (states,) = (tmp_path / "cache" / "lagotto" / "hubs").glob("*/states.json")
    states.write_text(states.read_text().replace("colours@", "cohours@"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    again = lagotto("search", ADDRESS, "red", "--encoder", world.encoder, "--json")
    assert again.json["hub"] == first.json["hub"]
    assert "cohours" not in again.err


def test_a_network_that_is_gone_is_said(
    world: World, published: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hub.open(ADDRESS)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub = Hub.open(ADDRESS, str(world.encoder))
    assert hub.search("red")[0].label == "red"
    assert [note for note in hub.status().notes if "nothing answers" in note]
    with pytest.raises(OutOfReachError):
        Hub.open("hf:datasets/org/other")


def test_a_hub_that_grew_costs_what_is_new(
    world: World, place: StubHub, hub_copy: Path, tmp_path: Path
) -> None:
    with Hub.open(hub_copy) as hub:
        hub.remove("symmetric")
        push_hub(hub_copy, ADDRESS, Silent())
        before, first = packs(place), Hub.open(ADDRESS)
        hub.add(world.models / "symmetric")
    done = push_hub(hub_copy, ADDRESS, Silent())
    kept = before & packs(place)
    pictures = max(kept, key=lambda name: len(place.repositories[NAME].files[name]))
    assert 0 < done.sent < done.bytes
    place.served.clear()
    second = Hub.open(ADDRESS, str(world.encoder))
    assert second.name != first.name
    assert f"{NAME}/{pictures}" not in place.served
    assert len(second) == 7
    assert second.search("red").hits == Hub.open(hub_copy).search("red").hits
    name = next(Path(second.folder).glob("probes/pictures/*/*")).relative_to(second.folder)
    assert (second.folder / name).stat().st_ino == (first.folder / name).stat().st_ino
    assert second.verify() == ()


def test_a_damaged_file_of_an_older_state_is_fetched_again(
    place: StubHub, hub_copy: Path, world: World
) -> None:
    with Hub.open(hub_copy) as hub:
        push_hub(hub_copy, ADDRESS, Silent())
        first = Hub.open(ADDRESS)
        hub.remove("symmetric")
    push_hub(hub_copy, ADDRESS, Silent())
    damaged = first.folder / "probes" / "embeddings.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    second = Hub.open(ADDRESS, str(world.encoder))
    assert second.name != first.name
    assert second.verify() == ()


def test_a_cut_fetch_goes_on(world: World, published: StubHub, tmp_path: Path) -> None:
    data = published.repositories[NAME].files
    name = sorted(packs(published))[-1]
    whole = data[name]
    del data[name]
    with pytest.raises(HubError, match="half-pushed, and not taken: its listing names"):
        Hub.open(ADDRESS)
    data[name] = whole
    of_an_older_state = tmp_path / "cache/lagotto/hubs/hf--org--colours" / f".{'0' * 40}.part"
    of_an_older_state.mkdir(parents=True)
    published.faults.first = {f"/{NAME}": ["drop"], "/stored/": ["cut", "garble"]}
    assert len(Hub.open(ADDRESS)) == 7
    assert [p.name for p in cached(tmp_path)] == [published.repositories[NAME].commit]
    assert not of_an_older_state.exists()


def test_a_fetched_hub_is_not_written_to(world: World, published: StubHub, tmp_path: Path) -> None:
    with Hub.open(ADDRESS) as fetched, pytest.raises(HubError, match="stays as it was published"):
        fetched.remove("plain")
    own = import_hub(ADDRESS, tmp_path / "own", Silent(), encoder=str(world.encoder))
    with Hub.open(own) as hub:
        hub.remove("plain")
        assert len(hub) == 6
        assert hub.verify() == ()
    assert len(Hub.open(ADDRESS)) == 7


WRITING = (
    ("hub", "create", ADDRESS),
    ("hub", "add", ADDRESS, "models"),
    ("hub", "grow", ADDRESS, "--probes", "photos"),
    ("hub", "remove", ADDRESS, "plain"),
    ("hub", "compact", ADDRESS),
    ("hub", "index", ADDRESS),
    ("hub", "merge", ADDRESS, "part"),
    ("hub", "import", "hub.tar", ADDRESS),
    ("audit", ADDRESS, "--all"),
    ("serve", ADDRESS, "--allow-add"),
)


@pytest.mark.parametrize("words", WRITING, ids=lambda words: " ".join(words[:2]))
def test_a_writing_command_refuses_an_address_and_fetches_nothing(
    words: tuple[str, ...], place: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lagotto(*words).refused(
        1, f"{ADDRESS} stays as it was published", f"lagotto hub import {ADDRESS} DIR"
    )
    assert place.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", WRITING, ids=lambda words: " ".join(words[:2]))
def test_the_help_of_a_writing_command_offers_no_address(words: tuple[str, ...]) -> None:
    told = lagotto(*words[: 2 if words[0] == "hub" else 1], "--help").out
    assert "HUB_ARGUMENT" not in told
    if words[0] == "hub" and words[1] != "import":
        assert "address of a published one" not in " ".join(told.split())


def test_every_reading_command_takes_the_address(world: World, published: StubHub) -> None:
    for words in (
        ("hub", "status", ADDRESS),
        ("hub", "verify", ADDRESS),
        ("describe", ADDRESS, "plain", "--encoder", world.encoder),
        ("audit", ADDRESS, "plain", "--encoder", world.encoder),
        ("duplicates", ADDRESS),
    ):
        told = lagotto(*words)
        assert told.code == 0, (words, told.err)
    picture = next(world.pictures.rglob("*red*.png"))
    asked = ("--labels", "red,blue", "--hub", ADDRESS, "--encoder", world.encoder)
    assert lagotto("classify", picture, *asked, "--json").json["images"][0]["label"] == "red"


def test_a_server_serves_the_address(world: World, published: StubHub) -> None:
    pytest.importorskip("fastapi")
    from lagotto.web.options import ServerOptions
    from lagotto.web.state import ServerState

    state = ServerState(Path(ADDRESS), ServerOptions(encoder=str(world.encoder)))
    assert state.folder.name == published.repositories[NAME].commit


def test_half_a_push_is_not_taken_and_goes_on(
    world: World, place: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.commits_left = 2
    with pytest.raises(SourceError, match="cannot be written to: log in with a token"):
        push_hub(world.hub, ADDRESS, Silent())
    with pytest.raises(HubError, match="is half-pushed, and not taken: it holds packs"):
        Hub.open(ADDRESS)
    place.commits_left = 100
    done = push_hub(world.hub, ADDRESS, Silent())
    assert 0 < done.sent < done.bytes
    assert len(Hub.open(ADDRESS)) == 7


def test_the_listing_goes_last_and_old_packs_go_with_it(
    world: World, published: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = packs(published)
    monkeypatch.setattr(push, "_PACK_BYTES", 3000)
    push_hub(world.hub, ADDRESS, Silent(), pictures=False)
    after = packs(published)
    assert len(after) > len(before)
    assert before - after
    listing = json.loads(published.repositories[NAME].files[LISTING_NAME])
    assert {f"packs/{pack[0]}.tar" for pack in listing["packs"]} == after
    hub = Hub.open(ADDRESS)
    assert not hub.reader.has_pictures
    with pytest.raises(HubError, match="without the pictures"):
        hub.add(world.models)


def test_the_command_publishes(world: World, place: StubHub) -> None:
    told = lagotto("hub", "push", world.hub, ADDRESS, "--private", "--without-pictures", "--json")
    assert (told.json["models"], told.json["pictures"]) == (7, False)
    assert told.json["place"] == f"{ADDRESS}@{place.repositories[NAME].commit}"
    assert place.private[NAME]
    page = place.repositories[NAME].files["README.md"].decode()
    assert f'lagotto search {ADDRESS} "a dog"' in page
    place.read_only = True
    refused = lagotto("hub", "push", world.hub, ADDRESS)
    assert refused.code == 1
    assert "log in with a token that may write" in refused.err, refused.err


@pytest.mark.parametrize(
    "address", ["hf:org/name", "hf:datasets/../x", "hf:datasets/a/b:train", "s3:///x", "s3://b"]
)
def test_what_is_no_address_is_told(world: World, address: str) -> None:
    with pytest.raises(UsageError):
        Hub.open(address)
    with pytest.raises(UsageError):
        push_hub(world.hub, address, Silent())


def test_a_dataset_of_something_else_is_no_hub(published: StubHub) -> None:
    published.repositories[NAME].files = {"data.parquet": b"x"}
    with pytest.raises(HubError, match="holds no hub"):
        Hub.open(ADDRESS)
    with pytest.raises(SourceError, match="is not on the hub, or private"):
        Hub.open("hf:datasets/org/nothing")


def test_what_a_stranger_forged_is_not_kept(
    world: World, published: StubHub, tmp_path: Path
) -> None:
    """The pack of the catalogue is another, and the listing has its digest."""
    room = tmp_path / "room"
    room.mkdir()
    parts = parts_of(export(world.hub, tmp_path / "hub.tar"), room)
    forged = parts_of(parts.with_catalogue(BOMB), room)
    bad = import_forged(forged.members, tmp_path / "bad")
    push_hub_of(bad, published)
    with pytest.raises(LagottoError, match=f"{ADDRESS}@.* is not taken: it holds bomb"):
        Hub.open(ADDRESS)
    assert cached(tmp_path) == []


def import_forged(members: dict[str, bytes], folder: Path) -> Path:
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def push_hub_of(folder: Path, stub: StubHub) -> None:
    """Pushes the files of a folder as they are, as a stranger with tools of his own does."""
    from unittest.mock import patch

    def as_it_is(source: Path, target: Path) -> None:
        shutil.copyfile(source, target)

    with patch("lagotto.hub.publish.contents.write_neutral_catalogue", as_it_is):
        push_hub(folder, ADDRESS, Silent())
