"""The same in an object store, against moto's server on the loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from colour_world import World
from command_line import lagotto
from lagotto.core.errors import HubError, LagottoError
from lagotto.core.progress import Silent
from lagotto.core.remote.object_store import ObjectStore
from lagotto.core.remote.spec import parse_store
from lagotto.hub.hub import Hub
from lagotto.hub.publish.push import push_hub

obstore = pytest.importorskip("obstore")
moto_server = pytest.importorskip("moto.server")

ADDRESS = "s3://hubs/colours"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def place(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectStore:
    """An empty bucket, keys for it, and a cache of its own."""
    import urllib.request

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for method, path in (("POST", "/moto-api/reset"), ("PUT", "/hubs")):
        urllib.request.urlopen(urllib.request.Request(endpoint + path, method=method)).close()
    return ObjectStore(parse_store(ADDRESS))


def test_it_is_pushed_fetched_once_and_searched(
    world: World, place: ObjectStore, hub_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = push_hub(hub_copy, ADDRESS, Silent())
    assert {name.split("/")[0] for name in place.sizes()} == {
        "README.md",
        "packs",
        "published.json",
    }
    told = lagotto("search", ADDRESS, "red", "--encoder", world.encoder, "--json")
    assert told.json["hits"] == lagotto("search", world.hub, "red", "--json").json["hits"]
    assert "fetched" in told.err
    assert lagotto("hub", "status", ADDRESS).err == ""
    Hub.open(hub_copy).remove("plain")
    again = push_hub(hub_copy, ADDRESS, Silent())
    assert 0 < again.sent < first.sent
    assert len(Hub.open(ADDRESS)) == 6


def test_half_a_push_is_not_taken(world: World, place: ObjectStore) -> None:
    with pytest.raises(HubError, match="holds no hub"):
        Hub.open(ADDRESS)
    push_hub(world.hub, ADDRESS, Silent())
    listing = place.read("published.json", 1 << 20)
    place.delete(["published.json"])
    with pytest.raises(HubError, match="half-pushed, and not taken: it holds packs"):
        Hub.open(ADDRESS)
    assert listing is not None


def test_a_fetch_goes_on_where_it_was_cut(place: ObjectStore, tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(bytes(range(256)) * 40)
    place.put("packs/x.tar", source)
    target.write_bytes(source.read_bytes()[:5000])
    place.fetch("packs/x.tar", 10240, target)
    assert target.read_bytes() == source.read_bytes()


def test_refusals_are_one_line(
    world: World, place: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("s3://no-such-bucket/colours", ADDRESS):
        if address == ADDRESS:
            monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(LagottoError) as refusal:
            push_hub(world.hub, address, Silent())
        text = str(refusal.value)
        assert "\n" not in text
        assert "secret" not in text
        assert len(text) < 200
