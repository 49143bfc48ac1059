"""One byte changed anywhere in a hub is named by `verify`; newer formats are refused by name."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from colour_world import World
from lagotto.core.errors import HubError
from lagotto.core.files import canonical_json
from lagotto.hub.hub import Hub
from lagotto.hub.reader.verify import Damage, verify_hub

Place = Callable[[Path], tuple[Path, int]]


def flip(file: Path, position: int) -> None:
    """Changes the lowest bit but one of a byte."""
    data = bytearray(file.read_bytes())
    data[position] ^= 2
    file.write_bytes(data)


def first(folder: Path, pattern: str) -> Path:
    return sorted(path for path in folder.glob(pattern) if path.is_file())[0]


def _in_text(path: Path, text: bytes) -> tuple[Path, int]:
    return path, path.read_bytes().index(text)


DAMAGES: dict[str, tuple[Place, str]] = {
    "picture": (lambda hub: (first(hub, "probes/pictures/*/*"), 60), "probe set"),
    "probe digest": (lambda hub: (hub / "probes" / "probes.jsonl", 300), "probe"),
    "probe source": (
        lambda hub: _in_text(hub / "probes" / "probes.jsonl", b"_red.png"),
        "probes.jsonl",
    ),
    "set aside": (lambda hub: _in_text(hub / "probes" / "set_aside.jsonl", b"broken"), "set_aside"),
    "embeddings": (lambda hub: (hub / "probes" / "embeddings.npy", -1), "embeddings.npy"),
    "responses, a value": (lambda hub: (first(hub, "responses/*"), -40), "responses of"),
    "responses, the checksum": (lambda hub: (first(hub, "responses/*"), -1), "responses of"),
    "responses, the header": (lambda hub: (first(hub, "responses/*"), 20), "responses of"),
    "block, a value": (lambda hub: (first(hub, "blocks/*"), -40), "blocks"),
    "block, the checksum": (lambda hub: (first(hub, "blocks/*"), -1), "blocks"),
    "block, the header": (lambda hub: (first(hub, "blocks/*"), 20), "blocks"),
    "background words": (lambda hub: (hub / "background.safetensors", -40), "background"),
    "rivals": (lambda hub: (hub / "rivals.safetensors", -40), "rivals"),
    "embeddings of labels": (lambda hub: (hub / "label_embeddings.safetensors", -40), "label_emb"),
    "twins": (lambda hub: (hub / "twins.safetensors", -40), "twins"),
    "a cached pixel": (lambda hub: (first(hub, "cache/*x*.npy"), -5), "cache"),
    "catalogue, an audit": (
        lambda hub: _in_text(hub / "catalogue.sqlite", b"fits"),
        "the audit of",
    ),
    "catalogue, its magic": (lambda hub: (hub / "catalogue.sqlite", 3), "catalogue"),
    "catalogue, a page": (lambda hub: (hub / "catalogue.sqlite", 4096), "catalogue"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_changed_byte_is_named(hub_copy: Path, kind: str) -> None:
    place, named = DAMAGES[kind]
    assert verify_hub(hub_copy) == ()
    flip(*place(hub_copy))
    damages = verify_hub(hub_copy)
    assert any(named in damage.what or named in damage.reason for damage in damages)
    assert all("\n" not in damage.reason + damage.remedy and damage.remedy for damage in damages)


@pytest.mark.parametrize("name", ["background", "rivals", "label_embeddings", "twins"])
def test_an_altered_derived_file_is_not_used_and_made_anew(hub_copy: Path, name: str) -> None:
    file = hub_copy / f"{name}.safetensors"
    whole, expected = file.read_bytes(), Hub.open(hub_copy).search("red", top=9)
    for position in (-40, len(whole) // 2):
        flip(file, position)
        found = Hub.open(hub_copy).search("red", top=9)
        assert found.hits == expected.hits
        Hub.open(hub_copy).audit_labels()
        assert file.read_bytes() == whole
    file.write_bytes(whole[:-3])
    assert Hub.open(hub_copy).search("red", top=9).hits == expected.hits


def test_altered_pixels_are_decoded_again_before_a_model_sees_them(
    world: World, hub_copy: Path
) -> None:
    hub = Hub.open(hub_copy)
    expected = {name: hub.responses(name) for name in ("plain", "bytes")}
    for name in expected:
        hub.remove(name)
    for array in (hub_copy / "cache").glob("*bilinear.npy"):
        content = array.read_bytes()
        array.write_bytes(content[:-3000] + bytes(255 - byte for byte in content[-3000:]))
    assert len(verify_hub(hub_copy)) > 1
    hub.add([world.models / name for name in expected])
    for name, values in expected.items():
        assert (hub.responses(name) == values).all()


def test_any_changed_byte_of_the_manifest_is_an_error(hub_copy: Path) -> None:
    manifest = hub_copy / "hub.json"
    whole = manifest.read_bytes()
    for position in range(len(whole)):
        flip(manifest, position)
        with pytest.raises(HubError) as raised:
            Hub.open(hub_copy)
        assert "\n" not in str(raised.value)
        manifest.write_bytes(whole)
    assert verify_hub(hub_copy) == ()


def test_every_damage_is_named_at_once(hub_copy: Path) -> None:
    for kind in ("picture", "embeddings", "responses, a value", "block, a value"):
        flip(*DAMAGES[kind][0](hub_copy))
    assert len(verify_hub(hub_copy)) == 4


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("probes/probes.jsonl", "probe set"),
        ("probes/set_aside.jsonl", "set_aside"),
        ("probes/embeddings.npy", "embeddings.npy"),
        ("catalogue.sqlite", "catalogue"),
    ],
)
def test_a_missing_file_is_named(hub_copy: Path, path: str, named: str) -> None:
    (hub_copy / path).unlink()
    assert any(named in f"{damage.what} {damage.reason}" for damage in verify_hub(hub_copy))


def test_a_missing_picture_is_named(hub_copy: Path) -> None:
    first(hub_copy, "probes/pictures/*/*").unlink()
    (damage,) = verify_hub(hub_copy)
    assert "missing" in damage.reason


def test_the_remedies_help(world: World, hub_copy: Path) -> None:
    flip(*DAMAGES["responses, a value"][0](hub_copy))
    flip(*DAMAGES["block, a value"][0](hub_copy))
    damages = verify_hub(hub_copy)
    for damage in damages:
        _delete_what_it_says(damage)
    hub = Hub.open(hub_copy)
    hub.add([world.models])
    hub.search("red")
    assert hub.verify() == ()


def _delete_what_it_says(damage: Damage) -> None:
    assert damage.remedy.startswith("delete /")
    path = Path(damage.remedy.removeprefix("delete ").partition(" and run")[0].partition(";")[0])
    files = [path] if path.is_file() else sorted(path.iterdir())
    for file in files:
        file.unlink()


def test_a_truncated_file_is_an_error_of_one_line(world: World, hub_copy: Path) -> None:
    for pattern in ("responses/*", "blocks/*"):
        path = first(hub_copy, pattern)
        whole = path.read_bytes()
        for size in (0, 5, 100, len(whole) - 1):
            path.write_bytes(whole[:size])
            assert verify_hub(hub_copy)
        path.write_bytes(whole)
    assert verify_hub(hub_copy) == ()
    (hub_copy / "probes" / "embeddings.npy").write_bytes(b"")
    with pytest.raises(HubError, match="was altered"):
        Hub.open(hub_copy).search("red")


def _newer_manifest(hub: Path) -> None:
    content = json.loads((hub / "hub.json").read_text())
    (hub / "hub.json").write_bytes(canonical_json(content | {"version": 2, "news": [1]}))


def _newer_catalogue(hub: Path) -> None:
    with sqlite3.connect(hub / "catalogue.sqlite") as connection:
        connection.execute("PRAGMA user_version = 4")


def _newer_probes(hub: Path) -> None:
    path = hub / "probes" / "probes.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2', 1))


def _newer_file(pattern: str) -> Callable[[Path], None]:
    def change(hub: Path) -> None:
        path = first(hub, pattern)
        data = path.read_bytes()
        newer = re.sub(rb'(version\\?":"?)\d', rb"\g<1>9", data, count=1)
        assert newer != data
        if path.suffix == ".safetensors":  # as a later version writes it: with its checksum
            newer = newer[:-32] + hashlib.sha256(newer[:-32]).digest()
        path.write_bytes(newer)

    return change


@pytest.mark.parametrize(
    "change", [_newer_manifest, _newer_catalogue], ids=["manifest", "catalogue"]
)
def test_a_newer_version_is_refused_by_every_command(
    world: World, hub_copy: Path, change: Callable[[Path], None]
) -> None:
    change(hub_copy)
    calls = [
        lambda: Hub.open(hub_copy).search("red"),
        lambda: Hub.open(hub_copy).add([world.models]),
        lambda: Hub.open(hub_copy).status(),
        lambda: Hub.open(hub_copy).remove("plain"),
    ]
    for call in calls:
        with pytest.raises(HubError, match=r"version (\d) .*reads up to (?!\1)\d.*upgrade"):
            call()


def test_newer_probes_are_refused(world: World, hub_copy: Path) -> None:
    _newer_probes(hub_copy)
    with pytest.raises(HubError, match=r"version 2 .*upgrade"):
        Hub.open(hub_copy).add([world.models])
    assert any("version 2" in damage.reason for damage in verify_hub(hub_copy))


def test_newer_responses_are_named(hub_copy: Path) -> None:
    _newer_file("responses/*")(hub_copy)
    assert any("version 9" in damage.reason for damage in verify_hub(hub_copy))


def test_newer_blocks_are_named(hub_copy: Path) -> None:
    _newer_file("blocks/*")(hub_copy)
    assert any("version 9" in damage.reason for damage in verify_hub(hub_copy))
