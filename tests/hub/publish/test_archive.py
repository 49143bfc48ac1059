"""A hub is written to one tar and made of it again; nothing of this machine is in it."""

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from colour_world import World
from command_line import lagotto
from lagotto.core.errors import EncoderError, HubError, UsageError
from lagotto.core.progress import Silent
from lagotto.hub.hub import Hub
from lagotto.hub.publish.address import import_hub
from lagotto.hub.publish.archive import import_archive
from lagotto.hub.reader.verify import verify_hub
from lagotto.hub.store.catalog import Catalog
from published_world import export, take_apart


@pytest.fixture(scope="module")
def tar(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(world.hub, tmp_path_factory.mktemp("export") / "hub.tar")


@pytest.fixture(scope="module")
def bare(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub that was imported from an export without pictures."""
    folder = tmp_path_factory.mktemp("bare")
    file = export(world.hub, folder / "hub.tar", pictures=False)
    return import_hub(file, folder / "hub", Silent(), encoder=str(world.encoder))


def test_a_copy_answers_as_the_hub_and_is_whole(world: World, tar: Path, tmp_path: Path) -> None:
    folder = import_hub(tar, tmp_path / "copy", Silent(), encoder=str(world.encoder))
    with Hub.open(folder) as copy, Hub.open(world.hub) as hub:
        for query in ("red", "cyan AND NOT blue"):
            assert copy.search(query).hits == hub.search(query).hits
        assert copy.search("red", rule="paper").hits == hub.search("red", rule="paper").hits
        assert copy.verify() == ()
        assert copy.probe_picture(3) == hub.probe_picture(3)
        report = copy.add(world.models)
        assert (report.done, len(report.copies)) == ((), len(hub))  # known by content


def test_equal_content_gives_equal_bytes(world: World, tar: Path, tmp_path: Path) -> None:
    again = export(world.hub, tmp_path / "again.tar")
    copy = import_hub(tar, tmp_path / "copy", Silent())
    assert again.read_bytes() == tar.read_bytes() == export(copy, tmp_path / "b.tar").read_bytes()


def test_nothing_of_this_machine_is_published(world: World, tar: Path, tmp_path: Path) -> None:
    for path in (world.pictures, world.models, world.encoder):
        assert str(path.parent).encode() not in tar.read_bytes()
    copy = import_hub(tar, tmp_path / "copy", Silent())
    with closing(sqlite3.connect(copy / "catalogue.sqlite")) as catalogue:
        assert catalogue.execute("SELECT count(*) FROM runs").fetchone() == (0,)
        sources = {row[0] for row in catalogue.execute("SELECT source FROM models")}
    assert sources == {"model.onnx"}
    with tarfile.open(tar) as archive:
        names = {item.name.split("/")[0] for item in archive}
    assert not names & {"cache", ".lock", "map.safetensors", "origin.json", "staging"}


def test_a_model_of_a_remote_repository_keeps_its_source(hub_copy: Path, tmp_path: Path) -> None:
    source = "hf:org/name@0123"
    with Catalog(hub_copy / "catalogue.sqlite", writable=True) as catalogue:
        catalogue.run("UPDATE models SET source = ? WHERE position = 0", (source,))
        ((digest,),) = catalogue.run("SELECT digest FROM models WHERE position = 0")
        written = catalogue.record_digest(digest)
        catalogue.run("UPDATE models SET record_sha256 = ? WHERE digest = ?", (written, digest))
    copy = import_hub(export(hub_copy, tmp_path / "hub.tar"), tmp_path / "copy", Silent())
    assert Hub.open(copy).reader.records()[0].source == source
    assert verify_hub(copy) == ()


def test_without_pictures_it_is_searched_and_not_added_to(
    world: World, bare: Path, tmp_path: Path
) -> None:
    assert not (bare / "probes" / "pictures").exists()
    with Hub.open(bare) as hub, Hub.open(world.hub) as whole:
        assert hub.search("red").hits == whole.search("red").hits
        assert hub.verify() == ()
        for question in (
            lambda: hub.add(world.models),
            lambda: hub.grow(world.pictures),
            lambda: hub.inspect(world.models),
            lambda: hub.probe_picture(0),
        ):
            with pytest.raises(HubError, match="published without the pictures of its probes"):
                question()
    sheet = tmp_path / "sheet.png"
    told = lagotto("search", bare, "red", "--explain", sheet)
    assert told.code == 0
    assert "named by their SHA-256" in told.out
    assert sheet.stat().st_size > 1000
    digest = Hub.open(bare).probes[Hub.open(bare).search("red").deciding_probes[0]].digest
    assert digest[:32] in told.out


def test_a_strangers_encoder_is_not_loaded_unasked(world: World, tar: Path, tmp_path: Path) -> None:
    copy = import_hub(tar, tmp_path / "copy", Silent())
    with pytest.raises(EncoderError, match=r"made by others.*--encoder FOLDER"):
        Hub.open(copy).search("red")
    assert Hub.open(copy, str(world.encoder)).search("red")[0].label == "red"


def test_the_command_line_says_what_became_of_it(world: World, tmp_path: Path) -> None:
    tar, copy = tmp_path / "hub.tar", tmp_path / "copy"
    told = lagotto("hub", "export", world.hub, tar, "--without-pictures", "--json").json
    assert (told["models"], told["pictures"], told["sent"]) == (7, False, tar.stat().st_size)
    assert "is there already" in lagotto("hub", "export", world.hub, tar).err
    made = lagotto("hub", "import", tar, copy, "--encoder", world.encoder, "--json").json
    assert (made["models"], made["pictures"], made["from"]) == (7, False, "hub.tar")
    assert lagotto("search", copy, "red", "--json").json["hits"][0]["label"] == "red"
    again = lagotto("hub", "import", tar, copy)
    assert again.code == 2
    assert "is there already" in again.err


def test_half_a_tar_leaves_nothing(tar: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.tar"
    half.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    with pytest.raises(HubError, match=r"half\.tar is not taken: it is cut short"):
        import_archive(half, tmp_path / "copy", Silent())
    assert [path.name for path in tmp_path.iterdir()] == ["half.tar"]
    with pytest.raises(UsageError, match="no file at"):
        import_archive(tmp_path / "none.tar", tmp_path / "copy", Silent())


@pytest.mark.parametrize(
    "pattern",
    ["responses/*", "blocks/*", "probes/embeddings.npy", "probes/pictures/*/*", "rivals.*"],
)
def test_a_damaged_hub_is_not_exported(hub_copy: Path, tmp_path: Path, pattern: str) -> None:
    damaged = next(iter(sorted(hub_copy.glob(pattern))))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(HubError, match=r"^nothing of .* is published, for not all"):
        export(hub_copy, tmp_path / "hub.tar")
    damaged.unlink()
    assert not [path for path in tmp_path.iterdir() if "tar" in path.name]


def test_the_listing_tells_what_it_is(world: World, tar: Path, tmp_path: Path) -> None:
    listing, members = take_apart(tar, tmp_path)
    assert (listing.models, listing.probes, listing.pictures) == (7, 72, True)
    assert [file.path for file in listing.files] == [*members]
    assert sum(map(len, members.values())) == listing.size
