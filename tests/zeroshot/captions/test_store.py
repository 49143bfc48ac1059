"""The caption store: round trips, duplicates, refusals, and recovery after a killed run."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caption_makers import (
    FakeEncoder,
    png,
    said,
    write_clip_retrieval,
    write_jsonl_folder,
    write_tar,
)
from lagotto.core.errors import CaptionError, HubError, LagottoError, MismatchError, UsageError
from lagotto.core.files import canonical_json
from lagotto.core.lock import folder_lock
from lagotto.core.progress import Silent
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions import files as files
from lagotto.zeroshot.captions.dedup import KeySet
from lagotto.zeroshot.captions.estimate import Needs
from lagotto.zeroshot.captions.ingest import (
    MAX_CAPTION_LENGTH,
    ShardLimits,
    ingest_pairs,
)
from lagotto.zeroshot.captions.manifest import STORE_MANIFEST
from lagotto.zeroshot.captions.search import search_picture, search_text
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.captions.status import read_store_status
from lagotto.zeroshot.captions.storage.folder import FolderWriter
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.types import Captions

SMALL = ShardLimits(pictures=2, encoded_captions=3, captions=100)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def captions_of(store: CaptionStore, picture: int) -> list[str]:
    return store.texts(range(int(store.starts[picture]), int(store.ends[picture])))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_jsonl_folder(tmp_path / "photos", 5)


@pytest.fixture
def store(tmp_path: Path, photos: Path) -> CaptionStore:
    return CaptionStore.create(tmp_path / "store", [photos], FakeEncoder())


def test_what_goes_in_comes_out(store: CaptionStore, photos: Path) -> None:
    encoder = FakeEncoder()
    assert isinstance(store, Captions)
    assert (store.pictures, store.captions) == (5, 10)
    for picture in range(5):
        assert captions_of(store, picture) == said(picture)
    all_texts = store.texts(range(10))
    np.testing.assert_allclose(store.text_embeddings, encoder.embed_texts(all_texts), atol=5e-4)
    assert store.image_embeddings.shape == (5, 8)
    assert store.starts.tolist() == [0, 2, 4, 6, 8, 10]
    assert store.sources([3]) == ["photos/images/0001.png"]

    assert [bytes(row) for row in store.picture_digests] == [
        hashlib.sha256(png(i)).digest() for i in range(5)
    ]
    assert not store.verify()


def test_half_precision_moves_a_cosine_by_less_than_a_thousandth(store: CaptionStore) -> None:
    encoder = FakeEncoder()
    exact = encoder.embed_texts(store.texts(range(10)))
    stored = store.text_embeddings.astype(np.float32)
    assert np.abs(stored @ exact.T - exact @ exact.T).max() < 1e-3


def test_adding_again_changes_nothing_and_encodes_nothing(
    store: CaptionStore, photos: Path
) -> None:
    before = content(store.folder)
    encoder = FakeEncoder()
    report = CaptionStore.open(store.folder, encoder).add([photos])
    assert (report.pictures, report.captions, report.folded, report.set_aside) == (0, 0, 10, 0)
    assert (encoder.pictures, encoder.texts) == (0, [])
    assert content(store.folder) == before


def test_equal_pictures_and_captions_are_folded_within_a_source(tmp_path: Path) -> None:
    folder = write_jsonl_folder(tmp_path / "photos", 2)
    (folder / "images" / "copy.png").write_bytes(png(0))
    with (folder / "captions.jsonl").open("a") as file:
        file.write(json.dumps({"image": "images/copy.png", "captions": [*said(0), "new"]}) + "\n")
    encoder = FakeEncoder()
    store = CaptionStore.create(tmp_path / "store", [folder], encoder)
    assert (store.pictures, store.captions) == (2, 5)
    assert captions_of(store, 0) == [*said(0), "new"]
    assert encoder.pictures == 2


def test_more_captions_of_a_stored_picture_make_a_second_row(
    store: CaptionStore, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    line = {"image": "images/0003.png", "captions": ["said later", said(3)[0]]}
    (photos / "more.jsonl").write_text(json.dumps(line))
    report = store.add([photos / "more.jsonl"])
    assert (report.pictures, report.captions, report.folded) == (1, 1, 1)
    reopened = CaptionStore.open(store.folder)
    assert captions_of(reopened, 5) == ["said later"]
    assert bytes(reopened.picture_digests[5]) == bytes(reopened.picture_digests[3])
    np.testing.assert_array_equal(reopened.image_embeddings[5], reopened.image_embeddings[3])


def test_captions_alone_before_between_and_after_pictures(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "a.txt").write_text("alone 0\nalone 1\nalone 0\n\n")
    (tmp_path / "b.txt").write_text("alone 1\nalone 2\n")
    write_tar(tmp_path / "c.tar", 10, 2)
    store = CaptionStore.create(tmp_path / "store", [tmp_path / "a.txt"], FakeEncoder())
    assert (store.pictures, store.captions, store.committed.text_only) == (0, 2, 2)
    assert store.starts.tolist() == [0]
    assert store.image_embeddings.shape == (0, 8)
    for source in (photos, tmp_path / "b.txt", tmp_path / "c.tar"):
        CaptionStore.open(store.folder, FakeEncoder()).add([source])
    store = CaptionStore.open(store.folder, FakeEncoder())
    assert store.texts([0, 1, 12]) == ["alone 0", "alone 1", "alone 2"]
    assert store.sources([12]) == ["b.txt line 2"]
    for picture in range(5):
        assert captions_of(store, picture) == said(picture)
    assert captions_of(store, 5) == ["caption 10"]
    owners = store.owners(range(15)).tolist()
    assert owners == [-1, -1, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, -1, 5, 6]
    assert store.committed.text_only == 3


def test_adopted_embeddings_are_kept(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    folder = write_clip_retrieval(tmp_path / "out", encoder)
    stored = np.load(folder / "img_emb" / "img_emb_0.npy").astype(np.float32)
    encoder.texts.clear()
    encoder.pictures = 0
    store = CaptionStore.create(tmp_path / "store", [folder], encoder)
    assert (store.pictures, store.captions) == (5, 5)
    assert encoder.pictures == 0
    assert len(encoder.texts) == 6  # those that were checked
    np.testing.assert_allclose(store.image_embeddings[:3], stored, atol=1e-3)
    np.testing.assert_allclose(
        store.text_embeddings, encoder.embed_texts(store.texts(range(5))), atol=2e-3
    )
    assert store.skipped()[0].source == "out//data/1-1.jpg"
    assert store.add([folder]).folded == 5
    other = write_clip_retrieval(tmp_path / "texts", encoder, pictured=False)
    assert store.add([other]).text_only == 5


def test_what_is_set_aside_says_why_and_is_told_once(tmp_path: Path) -> None:
    folder = write_jsonl_folder(tmp_path / "photos", 2)
    (folder / "images" / "broken.png").write_bytes(b"not a picture")
    lines = [
        {"image": "images/broken.png", "caption": "a"},
        {"image": "images/missing.png", "caption": "a"},
        {"image": "images/0001.png", "caption": "   "},
        {"image": "images/0000.png", "caption": "x" * (MAX_CAPTION_LENGTH + 1)},
        {"caption": []},
    ]
    with (folder / "captions.jsonl").open("a") as file:
        file.write("\n".join(json.dumps(line) for line in lines))
    store = CaptionStore.create(tmp_path / "store", [folder], FakeEncoder())
    assert (store.pictures, store.captions) == (2, 4)
    assert store.skipped() == [
        Skipped(
            "photos/images/broken.png",
            "not a picture (JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM are read)",
        ),
        Skipped("photos/images/missing.png", "no such file"),
        Skipped("photos/images/0001.png", "no caption"),
        Skipped("photos/images/0000.png", "a caption of over 10,000 characters"),
        Skipped("captions.jsonl line 7", "no caption"),
    ]
    assert store.add([folder]).set_aside == 0
    assert read_store_status(store).set_aside == 5


def test_bytes_do_not_depend_on_when_it_is_run(tmp_path: Path, photos: Path) -> None:
    for name in ("one", "two"):
        CaptionStore.create(tmp_path / name, [photos], FakeEncoder())
    assert content(tmp_path / "one") == content(tmp_path / "two")


# --------------------------------------------------------------------------------------- a kill


def fill(folder: Path, source: Path, limits: ShardLimits = SMALL, dies_at: int = 0) -> None:
    encoder = FakeEncoder(dies_at=dies_at)
    ingest_pairs(FolderWriter(folder), find_sources(source), encoder, Silent(), limits)


@pytest.fixture
def complete_store(tmp_path: Path) -> Path:
    """A store of several small shards."""
    source = write_jsonl_folder(tmp_path / "many", 9, 3)
    with (source / "captions.jsonl").open("a") as file:
        file.write('{"image": "images/none.png", "caption": "a"}\n')
    folder = CaptionStore.begin(tmp_path / "whole", FakeEncoder()).folder
    fill(folder, source)
    assert len(files.read_log(folder)) > 5
    return folder


@pytest.mark.parametrize("dies_at", [1, 8, 20])
def test_a_killed_run_is_continued_to_the_same_bytes(
    complete_store: Path, tmp_path: Path, dies_at: int
) -> None:
    folder = CaptionStore.begin(tmp_path / "killed", FakeEncoder()).folder
    script = (
        "import sys; from pathlib import Path\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from caption_makers import FakeEncoder\n"
        "from lagotto.core.progress import Silent\n"
        "from lagotto.zeroshot.captions.ingest import ShardLimits, ingest_pairs\n"
        "from lagotto.zeroshot.captions.sources.registry import find_sources\n"
        "from lagotto.zeroshot.captions.storage.folder import FolderWriter\n"
        f"writer = FolderWriter(Path({str(folder)!r}))\n"
        f"ingest_pairs(writer, find_sources(Path({str(tmp_path / 'many')!r})),\n"
        f"        FakeEncoder(dies_at={dies_at}), Silent(), ShardLimits(2, 3, 100))\n"
    )
    process = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert process.returncode == -9
    assert CaptionStore.open(folder).captions < 27
    fill(folder, tmp_path / "many")
    assert content(folder) == content(complete_store)


@pytest.mark.parametrize("shards", [0, 1, 4])
@pytest.mark.parametrize("torn", [0, 1, 60, 10_000])
def test_half_a_shard_behind_the_whole_ones_does_not_count(
    complete_store: Path, tmp_path: Path, shards: int, torn: int
) -> None:
    """As after a kill between any two writes: data first, then the line of the log."""
    states = [files.Committed(), *files.read_log(complete_store)]
    state = states[shards]
    folder = CaptionStore.begin(tmp_path / "torn", FakeEncoder()).folder
    for name in files.DATA_NAMES:
        data = (complete_store / name).read_bytes()[: state.lengths[name]]
        (folder / name).write_bytes(data + b"\xabgarbage" * 9)
    log = (complete_store / files.LOG_NAME).read_bytes()
    next_log_bytes = states[shards + 1].log_bytes
    partial_line = log[state.log_bytes : min(state.log_bytes + torn, next_log_bytes - 1)]
    (folder / files.LOG_NAME).write_bytes(log[: state.log_bytes] + partial_line)
    (folder / files.NOTE_NAME).write_text(json.dumps({"chain": state.chain}))
    opened = CaptionStore.open(folder)
    assert opened.captions == state.captions
    assert opened.texts(range(opened.captions)) == CaptionStore.open(complete_store).texts(
        range(state.captions)
    )
    assert not opened.verify()
    fill(folder, tmp_path / "many")
    assert content(folder) == content(complete_store)


def test_a_killed_create_says_how_to_go_on(tmp_path: Path, photos: Path) -> None:
    CaptionStore.begin(tmp_path / "store", FakeEncoder())
    with pytest.raises(UsageError, match="lagotto captions add"):
        CaptionStore.create(tmp_path / "store", [photos], FakeEncoder())
    assert CaptionStore.open(tmp_path / "store", FakeEncoder()).add([photos]).captions == 10


# ------------------------------------------------------------------------------------ refusals


def assert_one_line(error: LagottoError, *words: str) -> None:
    assert "\n" not in str(error)
    for word in words:
        assert word in str(error)


def test_another_encoder_is_refused_naming_both(store: CaptionStore, photos: Path) -> None:
    opened = CaptionStore.open(store.folder, FakeEncoder("other"))
    with pytest.raises(MismatchError) as error:
        opened.add([photos])
    assert_one_line(error.value, "encoder fake (", "not with other (", str(store.folder))
    with pytest.raises(MismatchError):
        store.check_encoder(FakeEncoder("other").info)
    store.check_encoder(FakeEncoder().info)


def test_no_usable_pair_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"image": "none.png", "caption": "a"}\n{\n')
    with pytest.raises(CaptionError) as error:
        CaptionStore.create(tmp_path / "store", [tmp_path / "a.jsonl"], FakeEncoder())
    assert_one_line(error.value, "no usable pair", "2 set aside", "no such file")
    assert not (tmp_path / "store").exists()
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(CaptionError, match="nothing in it"):
        CaptionStore.create(tmp_path / "store", [tmp_path / "empty.jsonl"], FakeEncoder())
    with pytest.raises(UsageError, match="no pairs given"):
        CaptionStore.create(tmp_path / "store", [], FakeEncoder())
    assert not (tmp_path / "store").exists()


def test_existing_folders(tmp_path: Path, photos: Path, store: CaptionStore) -> None:
    with pytest.raises(UsageError, match="captions add"):
        CaptionStore.create(store.folder, [photos], FakeEncoder())
    with pytest.raises(UsageError, match="choose another name"):
        CaptionStore.create(photos, [photos], FakeEncoder())
    (tmp_path / "empty").mkdir()
    assert CaptionStore.create(tmp_path / "empty", [photos], FakeEncoder()).captions == 10


def test_folders_that_are_no_store(tmp_path: Path, store: CaptionStore) -> None:
    with pytest.raises(CaptionError, match="lagotto captions create"):
        CaptionStore.open(tmp_path / "none")
    with pytest.raises(CaptionError, match=r"holds no captions\.json"):
        CaptionStore.open(tmp_path)
    path = store.folder / STORE_MANIFEST
    manifest = json.loads(path.read_bytes())
    path.write_bytes(canonical_json(manifest | {"version": 2}))
    with pytest.raises(CaptionError) as error:
        CaptionStore.open(store.folder)
    assert_one_line(error.value, "version 2", "reads up to 1", "pip install --upgrade")
    for change in ({"dim": 9}, {"format": "x"}, {"encoder": "y"}):
        path.write_bytes(canonical_json(manifest | change))
        with pytest.raises(CaptionError):
            CaptionStore.open(store.folder)


def test_damage_is_named(complete_store: Path) -> None:
    states = files.read_log(complete_store)
    path = complete_store / files.TEXTS
    data = bytearray(path.read_bytes())
    data[states[1].lengths[files.TEXTS] + 1] ^= 1
    path.write_bytes(data)
    (results,) = CaptionStore.open(complete_store).verify()
    assert results.startswith("shard 3 ")
    path.write_bytes(data[:-1])
    with pytest.raises(CaptionError, match=r"texts\.utf8 holds .* it was cut"):
        CaptionStore.open(complete_store)
    log = (complete_store / files.LOG_NAME).read_bytes()
    (complete_store / files.LOG_NAME).write_bytes(log.replace(b'"pictures":2', b'"pictures":3', 1))
    with pytest.raises(CaptionError, match="line 2 is damaged"):
        CaptionStore.open(complete_store)


def test_one_writer_at_a_time(store: CaptionStore, photos: Path) -> None:
    with (
        folder_lock(store.folder, "caption store", CaptionError),
        pytest.raises(CaptionError, match="another process is writing to caption store"),
    ):
        store.add([photos])


def test_a_full_disk_is_said_before_the_work(tmp_path: Path) -> None:
    needs = Needs(10, 50, disk_bytes=2_000_000, memory_bytes=1, free_bytes=1_000_000, notes=())
    with pytest.raises(CaptionError) as error:
        needs.check(tmp_path / "store")
    assert_one_line(error.value, "2 MB", "1 MB free")


def test_a_disk_that_fills_up_leaves_the_store_as_it_was(
    complete_store: Path, tmp_path: Path
) -> None:
    before = files.read_log(complete_store)
    (complete_store / files.SPANS).chmod(0o400)
    (complete_store / files.PAIRS).rename(tmp_path / "pairs")
    (complete_store / files.PAIRS).mkdir()
    parts = dict.fromkeys(files.DATA_NAMES, b"12345678")
    with pytest.raises(HubError, match="cannot write"):
        files.append_shard(complete_store, before[-1], (1, 1, 0, 0), parts)
    (complete_store / files.PAIRS).rmdir()
    (tmp_path / "pairs").rename(complete_store / files.PAIRS)
    (complete_store / files.SPANS).chmod(0o600)
    assert files.read_log(complete_store) == before
    assert not CaptionStore.open(complete_store).verify()


def test_needs_are_announced_before_the_work(tmp_path: Path, photos: Path) -> None:
    announced: list[Needs] = []
    encoder = FakeEncoder()

    def announce(needs: Needs) -> None:
        assert not encoder.texts
        announced.append(needs)

    store = CaptionStore.create(tmp_path / "store", [photos], encoder, announce=announce)
    (needs,) = announced
    assert (needs.pictures, needs.captions) == (5, 10)
    written = sum(store.committed.lengths.values())
    assert written <= needs.disk_bytes <= 1.2 * written
    assert needs.memory_bytes > 0


# -------------------------------------------------------------------------------------- search


def test_search(store: CaptionStore, photos: Path) -> None:
    results = search_text(store, said(3)[1], 2)
    assert results.captions[0].text == said(3)[1]
    assert results.captions[0].similarity == pytest.approx(1, abs=1e-3)
    assert not results.pictures
    results = search_picture(store, photos / "images" / "0002.png", 3)
    assert results.pictures[0].source == "photos/images/0002.png"
    assert results.pictures[0].captions == tuple(said(2))
    assert len(results.captions) == 3
    with pytest.raises(UsageError, match="empty"):
        search_text(store, "  ", 1)
    with pytest.raises(UsageError, match="no such file"):
        search_picture(store, photos / "none.png", 1)
    with pytest.raises(UsageError, match="caption 10 is not in"):
        store.texts([10])


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_seen_keys_are_a_set(first: list[int], second: list[int]) -> None:
    keys = KeySet(np.array(first, np.uint64))
    for key in second:
        keys.add(key)
    keys._compact()
    for key in first + second:
        assert key in keys
        assert ((key + 1) % 2**64 in keys) == ((key + 1) % 2**64 in {*first, *second})
