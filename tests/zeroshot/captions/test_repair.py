"""A log that was damaged or lost: nothing vanishes unsaid, and every whole row comes back."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caption_makers import FakeEncoder, write_jsonl_folder
from command_line import lagotto
from lagotto.core.errors import CaptionError, UsageError
from lagotto.core.lock import folder_lock
from lagotto.core.progress import Silent
from lagotto.zeroshot.captions import files
from lagotto.zeroshot.captions import store as store_module
from lagotto.zeroshot.captions.ingest import ShardLimits, ingest_pairs
from lagotto.zeroshot.captions.repair import BACKUP_NAME, repair_store
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.captions.storage.folder import FolderWriter
from lagotto.zeroshot.captions.store import CaptionStore


def fill(folder: Path, source: Path) -> None:
    ingest_pairs(
        FolderWriter(folder), find_sources(source), FakeEncoder(), Silent(), ShardLimits(2, 3, 100)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of several shards: pictures, captions without one, rows that were set aside."""
    source = write_jsonl_folder(tmp_path / "many", 9, 3)
    with (source / "captions.jsonl").open("a") as file:
        file.write('{"image": "images/none.png", "caption": "a"}\n')
    (tmp_path / "texts.txt").write_text("a dog in the snow\na zebra\n\N{SNOWMAN} in the sun\n")
    store = CaptionStore.begin(tmp_path / "store", FakeEncoder())
    fill(store.folder, source)
    fill(store.folder, tmp_path / "texts.txt")
    return store.folder


def one_byte(log: Path) -> None:
    content = bytearray(log.read_bytes())
    content[-20] ^= 1
    log.write_bytes(content)


def one_byte_in_the_middle(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"captions"', b'"captiona"')
    log.write_bytes(b"".join(lines))


def emptied(log: Path) -> None:
    log.write_bytes(b"")


def last_line_lost(log: Path) -> None:
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))


LOSSES = (one_byte, one_byte_in_the_middle, emptied, Path.unlink)


def rows(folder: Path) -> tuple[list[str], list[str], bytes, bytes, list[int]]:
    """All that a store holds, as its readers see it."""
    with CaptionStore.open(folder) as store:
        every = range(store.captions)
        return (
            store.texts(every),
            store.sources(every),
            np.asarray(store.image_embeddings).tobytes(),
            np.asarray(store.text_embeddings).tobytes(),
            store.owners(every).tolist(),
        )


@pytest.mark.parametrize("damage", LOSSES, ids=lambda damage: damage.__name__)
def test_a_damaged_log_is_refused_and_repaired(
    damage: Callable[[Path], None], folder: Path, tmp_path: Path
) -> None:
    before, skipped = rows(folder), CaptionStore.open(folder).skipped()
    sizes = {name: files.data_size(folder, name) for name in files.DATA_NAMES}
    damage(folder / files.LOG_NAME)
    with pytest.raises(CaptionError, match=f"lagotto captions repair {folder}"):
        CaptionStore.open(folder)
    lagotto("captions", "add", folder, "--pairs", tmp_path / "texts.txt").refused(1, "repair")
    assert {name: files.data_size(folder, name) for name in files.DATA_NAMES} == sizes
    repaired = lagotto("captions", "repair", folder, "--json").json
    assert repaired["removed_bytes"] == 0
    assert rows(folder) == before
    assert CaptionStore.open(folder).skipped() == skipped
    assert CaptionStore.open(folder).verify() == []
    assert (folder / BACKUP_NAME).exists() == (damage in (one_byte, one_byte_in_the_middle))
    fill(folder, tmp_path / "many")  # what is there is known
    assert rows(folder) == before
    assert not repair_store(folder).changed


def test_a_lost_last_line_is_told_and_never_costs_its_rows(folder: Path, tmp_path: Path) -> None:
    before = rows(folder)
    last_line_lost(folder / files.LOG_NAME)
    assert CaptionStore.open(folder).captions < len(before[0])
    (damaged,) = lagotto("captions", "verify", folder, "--json").json["damaged"]
    assert "bytes of which the log does not tell" in damaged
    (tmp_path / "one.txt").write_text("one more\n")
    with pytest.raises(CaptionError, match="captions repair"):
        fill(folder, tmp_path / "one.txt")
    assert repair_store(folder).captions == 3
    assert rows(folder) == before
    fill(folder, tmp_path / "one.txt")
    assert CaptionStore.open(folder).texts([len(before[0])]) == ["one more"]


@pytest.mark.parametrize("lost", [emptied, last_line_lost], ids=lambda damage: damage.__name__)
def test_rows_that_were_not_whole_are_removed(lost: Callable[[Path], None], folder: Path) -> None:
    """As after a kill in the middle of a shard, with the note of it lost too."""
    before = rows(folder)
    lost(folder / files.LOG_NAME)
    for name in (files.IMAGE_EMBEDDINGS, files.TEXTS, files.TEXT_ENDS, files.TEXT_EMBEDDINGS):
        with (folder / name).open("ab") as file:
            file.write(b"\xabgarbage" * 9)
    report = repair_store(folder)
    assert report.removed_bytes == 4 * 72
    assert rows(folder) == before
    assert CaptionStore.open(folder).verify() == []


@pytest.mark.parametrize("name", [files.TEXTS, files.TEXT_ENDS, files.DIGESTS, files.PAIRS])
def test_where_a_row_was_altered_too_nothing_is_removed(name: str, folder: Path) -> None:
    (folder / files.LOG_NAME).unlink()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    lagotto("captions", "repair", folder).refused(1, "was altered", "nothing is removed")
    assert (folder / name).read_bytes() == content


def test_a_file_that_was_cut_is_no_matter_of_repair(folder: Path) -> None:
    content = (folder / files.PAIRS).read_bytes()
    (folder / files.PAIRS).write_bytes(content[:-1])
    lagotto("captions", "repair", folder).refused(1, "pairs.u64", "it was cut")
    verified = lagotto("captions", "verify", folder)
    assert (verified.code, "it was cut" in verified.out) == (1, True)
    (folder / files.PAIRS).write_bytes(content)
    assert "every file" in lagotto("captions", "verify", folder).out
    lagotto("captions", "repair", folder / "none").refused(1, "none")


def test_a_refused_create_leaves_what_the_other_fills(tmp_path: Path) -> None:
    """Two at once: whoever does not hold the lock removes nothing."""
    (tmp_path / "texts.txt").write_text("a dog\n")
    begun = CaptionStore.begin(tmp_path / "store", FakeEncoder())
    with (
        folder_lock(begun.folder, "caption store", CaptionError),
        pytest.raises(CaptionError, match="another process is writing"),
    ):
        begun.fill(tmp_path / "texts.txt")
    assert begun.fill(tmp_path / "texts.txt").captions == 1
    assert CaptionStore.open(begun.folder).captions == 1


def test_of_two_creates_at_once_one_makes_the_store(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("".join(f"a dog {i}\n" for i in range(400)))
    ends: list[object] = []

    def create() -> None:
        try:
            made = CaptionStore.create(tmp_path / "store", tmp_path / "texts.txt", FakeEncoder())
            ends.append(made.captions)
        except Exception as error:
            ends.append(type(error).__name__)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends.count(400) == 1
    assert set(map(str, ends)) <= {"400", "UsageError", "CaptionError"}
    assert CaptionStore.open(tmp_path / "store").captions == 400


def test_a_store_made_between_the_look_and_the_lock_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder is loaded between the two; another process makes its store meanwhile."""
    (tmp_path / "texts.txt").write_text("a dog\n")

    def load_slowly(spec: str, *, device: str) -> FakeEncoder:
        CaptionStore.create(tmp_path / "store", tmp_path / "texts.txt", FakeEncoder())
        return FakeEncoder()

    monkeypatch.setattr(store_module, "lasting_spec", str)
    monkeypatch.setattr(store_module, "load_encoder", load_slowly)
    with pytest.raises(UsageError, match="exists already"):
        CaptionStore.begin(tmp_path / "store", "a folder")
    assert CaptionStore.open(tmp_path / "store").captions == 1


def test_the_note_of_a_run_that_was_cut_off_names_its_state(folder: Path) -> None:
    assert not (folder / files.NOTE_NAME).exists()
    states = files.read_log(folder)
    with (folder / files.TEXTS).open("ab") as file:
        file.write(b"half a row")
    assert files.unlogged_bytes(folder, states[-1]) == 10
    for note, left in ((states[-1].chain, 0), (states[-2].chain, 10), ("", 10)):
        (folder / files.NOTE_NAME).write_text(json.dumps({"chain": note}))
        assert files.unlogged_bytes(folder, states[-1]) == left


@pytest.mark.parametrize("place", [0, 8, -1, -9])
def test_altered_spans_are_refused_before_they_are_used(folder: Path, place: int) -> None:
    """They say which captions are read for a picture, so they must not point outside."""
    spans = folder / files.SPANS
    content = bytearray(spans.read_bytes())
    content[place] ^= 0x41
    spans.write_bytes(content)
    with pytest.raises(CaptionError, match=r"spans\.i64 was altered"):
        CaptionStore.open(folder).owners([0])
