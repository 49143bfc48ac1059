"""`lagotto captions`: what it prints, and what it says of what cannot be."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import colour_world
from colour_world import NAMES, World
from command_line import lagotto, lagotto_process


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures a colour with their captions, and one that is broken."""
    folder = colour_world.write_pictures(tmp_path_factory.mktemp("captions") / "photos", each=2)
    rows = [
        {"image": path.name, "captions": [f"a {colour}", f"a photo of {colour}"]}
        for path in sorted(folder.glob("*.png"))
        for colour in [path.stem.partition("_")[2]]
    ]
    (folder / "broken.png").write_text("no picture")
    rows.append({"image": "broken.png", "captions": ["a red"]})
    (folder / "captions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.fixture(scope="module")
def store(world: World, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "made"
    done = lagotto("captions", "create", folder, "--pairs", photos, "--encoder", world.encoder)
    assert done.code == 0, done
    assert f"{2 * len(NAMES)} pictures and {4 * len(NAMES)} captions added" in done.out
    assert "1 set aside" in done.out
    assert "MB on disk" in done.err
    assert "of memory" in done.err
    return folder


def test_status(store: Path, world: World) -> None:
    found = lagotto("captions", "status", store, "--json").json
    assert (found["pictures"], found["captions"], found["text_only"]) == (16, 32, 0)
    assert found["encoder"] == world.encoder.name
    assert found["set_aside"] == 1
    assert found["first_set_aside"][0]["source"] == "photos/broken.png"
    shown = lagotto("captions", "status", store).out
    assert "captions  32, 0 of them text alone" in shown
    assert "photos/broken.png: not a picture" in shown


def test_add_again_and_add_text(store: Path, photos: Path, tmp_path: Path, world: World) -> None:
    (tmp_path / "texts.txt").write_text("red\nred of blue\n")
    folder = tmp_path / "store"
    create = ("captions", "create", folder, "--pairs", tmp_path / "texts.txt")
    made = lagotto(*create, "--encoder", world.encoder, "--json", "--quiet")
    assert made.json == {
        "store": str(folder),
        "pictures": 0,
        "captions": 2,
        "text_only": 2,
        "folded": 0,
        "set_aside": 0,
        "source_count": {"seen": 2, "taken": 2, "skipped": 0, "passed_over": {}},
    }
    assert not made.err
    both = ("--pairs", tmp_path / "texts.txt", "--pairs", photos)
    added = lagotto("captions", "add", folder, *both, "--json").json
    assert (added["pictures"], added["captions"], added["folded"]) == (16, 32, 2)


def test_search_by_text_and_by_picture(store: Path, photos: Path) -> None:
    found = lagotto("captions", "search", store, "yellow", "--top", "3", "--json").json
    assert found["query"] == {"kind": "text", "value": "yellow"}
    assert found["pictures"] == []
    assert [each["rank"] for each in found["captions"]] == [1, 2, 3]
    assert "yellow" in found["captions"][0]["text"]
    assert set(found["captions"][0]) == {"rank", "similarity", "text", "source"}
    picture = photos / "001_cyan.png"
    found = lagotto("captions", "search", store, picture, "--top", "2", "--json").json
    assert found["query"]["kind"] == "image"
    assert found["pictures"][0]["source"] == "photos/001_cyan.png"
    assert found["pictures"][0]["captions"] == ["a cyan", "a photo of cyan"]
    assert "cyan" in found["captions"][0]["text"]
    shown = lagotto("captions", "search", store, picture, "--top", "2").out
    assert shown.splitlines()[0].split() == ["rank", "similarity", "picture", "first", "caption"]
    assert "photos/001_cyan.png" in shown


def test_what_cannot_be_is_said_in_one_line(
    store: Path, photos: Path, world: World, tmp_path: Path
) -> None:
    encoder = ("--encoder", world.encoder)
    again = lagotto("captions", "create", store, "--pairs", photos, *encoder)
    again.refused(2, "exists already", "lagotto captions add")
    new = tmp_path / "new"
    lagotto("captions", "create", new, "--pairs", tmp_path / "none", *encoder).refused(2, "none")
    pq.write_table(pa.table({"label": [1], "url": ["x"]}), tmp_path / "a.parquet")
    columns = lagotto("captions", "create", new, "--pairs", tmp_path / "a.parquet", *encoder)
    columns.refused(1, "label (int64), url (string)", "caption")
    assert not new.exists()
    lagotto("captions", "add", new, "--pairs", photos).refused(1, "captions create")
    lagotto("captions", "status", photos).refused(1, "not a caption store")
    other = colour_world.write_encoder(tmp_path / "other", sharpness=3.0)
    wrong = lagotto("captions", "add", store, "--pairs", photos, "--encoder", other)
    wrong.refused(1, f"with encoder {world.encoder.name} (", "not with other (")
    lagotto("captions", "search", store, "red", "--encoder", other).refused(1, "not with other")
    lagotto("captions", "search", store, " ").refused(2, "text is empty")


def test_in_a_process_of_its_own(store: Path) -> None:
    found = lagotto_process("captions", "search", store, "green", "--top", "1", "--json")
    assert found.code == 0, found
    assert "green" in found.json["captions"][0]["text"]
