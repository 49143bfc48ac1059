"""What every caption store must do, in a folder or on a server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from caption_makers import (
    FakeEncoder,
    png,
    said,
    write_clip_retrieval,
    write_jsonl_folder,
    write_tar,
)
from caption_world import CONCEPTS, WordEncoder, write_pair_sources
from lagotto.core.errors import CaptionError, MismatchError, UsageError
from lagotto.core.progress import Silent
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.ingest import MAX_CAPTION_LENGTH, ShardLimits, ingest_pairs
from lagotto.zeroshot.captions.search import search_picture, search_text
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.captions.status import read_store_status
from lagotto.zeroshot.captions.storage.places import storage_at
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.nearest import search_of
from lagotto.zeroshot.retrieval import Retriever
from lagotto.zeroshot.types import Captions

pytestmark = pytest.mark.xdist_group("postgres")

Place: TypeAlias = Callable[[], str]
SMALL = ShardLimits(pictures=2, encoded_captions=3, captions=100)


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Another free place for a store at each call."""
    numbers = count()
    if request.param == "folder":
        return lambda: str(tmp_path / f"store-{next(numbers)}")
    postgres = request.getfixturevalue("postgres")
    return lambda: str(postgres.address(f"store-{next(numbers)}"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_jsonl_folder(tmp_path / "photos", 5)


def captions_of(store: CaptionStore, picture: int) -> list[str]:
    return store.texts(range(int(store.starts[picture]), int(store.ends[picture])))


def same_in_a_folder(store: CaptionStore, folder: Path, *sources: Path) -> None:
    """The store says what one in a folder says that was made of the same sources."""
    other = CaptionStore.create(folder, sources, FakeEncoder())
    assert store.digest == other.digest
    assert store.committed == other.committed
    rows = range(len(other))
    assert store.texts(rows) == other.texts(rows)
    assert store.sources(rows) == other.sources(rows)
    assert store.skipped() == other.skipped()
    assert store.starts.tolist() == other.starts.tolist()
    assert store.ends.tolist() == other.ends.tolist()
    assert store.owners(rows).tolist() == other.owners(rows).tolist()
    assert store.picture_digests.tolist() == other.picture_digests.tolist()
    for mine, theirs in (
        (store.image_embeddings, other.image_embeddings),
        (store.text_embeddings, other.text_embeddings),
    ):
        np.testing.assert_array_equal(mine[:], theirs[:])


def test_what_goes_in_comes_out_the_same_everywhere(
    place: Place, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts.txt").write_text("alone one\nein Hund, müde\nalone one\n")
    tar = write_tar(tmp_path / "c.tar", 10, 2)
    store = CaptionStore.create(place(), [photos, tmp_path / "texts.txt", tar], FakeEncoder())
    assert isinstance(store, Captions)
    assert (store.pictures, store.captions, store.committed.text_only) == (7, 14, 2)
    assert captions_of(store, 3) == said(3)
    assert "ein Hund, müde" in store
    assert "ein Hund" not in store
    assert photos / "images" / "0001.png" in store
    assert tmp_path / "c.tar" not in store
    assert not store.verify()
    same_in_a_folder(store, tmp_path / "same", photos, tmp_path / "texts.txt", tar)


def test_rows_are_read_as_those_of_an_array(place: Place, photos: Path, tmp_path: Path) -> None:
    store = CaptionStore.create(place(), photos, FakeEncoder())
    rows = store.text_embeddings
    whole = np.asarray(rows)
    assert rows.shape == whole.shape == (10, 8)
    assert whole.dtype == np.float16
    mask = np.arange(10) % 3 == 0
    for key in (
        *(slice(2, 5), slice(None, None, 3), slice(8, 99), slice(4, 4)),
        *(np.array([7, 2, 2, 0]), np.array([], np.int64), mask),
    ):
        np.testing.assert_array_equal(rows[key], whole[key])
    with pytest.raises(IndexError):
        rows[np.array([10])]
    with pytest.raises(UsageError, match="caption 10 is not in"):
        store.texts([10])


def test_a_text_may_hold_what_a_text_column_may_not(place: Place, tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text(
        "\n".join(json.dumps({"caption": text}) for text in ("a\0b", "\U0001f41f", "'; DROP --"))
    )
    store = CaptionStore.create(place(), tmp_path / "odd.jsonl", FakeEncoder())
    assert "'; DROP --" in store
    same_in_a_folder(store, tmp_path / "same", tmp_path / "odd.jsonl")


def test_adding_again_folds_everything_and_encodes_nothing(place: Place, photos: Path) -> None:
    store = CaptionStore.create(place(), photos, FakeEncoder())
    encoder = FakeEncoder()
    again = CaptionStore.open(store.name, encoder)
    report = again.add(photos)
    assert (report.pictures, report.captions, report.folded, report.set_aside) == (0, 0, 10, 0)
    assert (encoder.pictures, encoder.texts) == (0, [])
    assert CaptionStore.open(store.name).digest == store.digest


def test_duplicates_and_later_captions(place: Place, tmp_path: Path) -> None:
    folder = write_jsonl_folder(tmp_path / "photos", 4)
    (folder / "images" / "copy.png").write_bytes(png(0))
    with (folder / "captions.jsonl").open("a") as file:
        file.write(json.dumps({"image": "images/copy.png", "captions": [*said(0), "new"]}) + "\n")
    store = CaptionStore.create(place(), folder, FakeEncoder())
    assert (store.pictures, store.captions) == (4, 9)
    (folder / "more.jsonl").write_text(
        json.dumps({"image": "images/0003.png", "captions": ["said later", said(3)[0]]})
    )
    report = store.add(folder / "more.jsonl")
    assert (report.pictures, report.captions, report.folded) == (1, 1, 1)
    assert store.captions == 9, "a store shows what it held when it was opened"
    reopened = CaptionStore.open(store.name)
    assert captions_of(reopened, 4) == ["said later"]
    assert reopened.picture_digests[4].tolist() == reopened.picture_digests[3].tolist()
    assert not reopened.verify()


def test_what_is_set_aside_says_why_and_is_told_once(place: Place, tmp_path: Path) -> None:
    folder = write_jsonl_folder(tmp_path / "photos", 2)
    (folder / "images" / "broken.png").write_bytes(b"not a picture")
    lines = [
        {"image": "images/broken.png", "caption": "a"},
        {"image": "images/missing.png", "caption": "a"},
        {"image": "images/0000.png", "caption": "x" * (MAX_CAPTION_LENGTH + 1)},
    ]
    with (folder / "captions.jsonl").open("a") as file:
        file.write("\n".join(json.dumps(line) for line in lines))
    store = CaptionStore.create(place(), folder, FakeEncoder())
    assert store.skipped()[1] == Skipped("photos/images/missing.png", "no such file")
    assert store.add(folder).set_aside == 0
    status = read_store_status(CaptionStore.open(store.name))
    assert (status.set_aside, status.captions, status.shards) == (3, 4, 1)
    assert status.disk_bytes > 0
    same_in_a_folder(store, tmp_path / "same", folder)


def test_adopted_embeddings_are_kept(place: Place, tmp_path: Path) -> None:
    encoder = FakeEncoder()
    folder = write_clip_retrieval(tmp_path / "out", FakeEncoder())
    store = CaptionStore.create(place(), folder, encoder)
    assert encoder.pictures == 0
    same_in_a_folder(store, tmp_path / "same", folder)


# ---------------------------------------------------------------------------------------- a kill


def add_some(place: str, source: Path, dies_at: int = 0) -> None:
    """Adds in small shards, as a process that may be killed."""
    with storage_at(place).write() as writer:
        encoder = FakeEncoder(dies_at=dies_at)
        ingest_pairs(writer, find_sources(source), encoder, Silent(), SMALL)


def test_a_killed_run_is_continued_to_the_same_store(place: Place, tmp_path: Path) -> None:
    source = write_jsonl_folder(tmp_path / "many", 9, 3)
    whole, killed = place(), place()
    CaptionStore.begin(whole, FakeEncoder())
    add_some(whole, source)
    CaptionStore.begin(killed, FakeEncoder())
    with pytest.raises(UsageError, match="lagotto captions add"):
        CaptionStore.create(killed, source, FakeEncoder())
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "from caption_makers import FakeEncoder\n"
        "from lagotto.core.progress import Silent\n"
        "from lagotto.zeroshot.captions.ingest import ShardLimits, ingest_pairs\n"
        "from lagotto.zeroshot.captions.sources.registry import find_sources\n"
        "from lagotto.zeroshot.captions.storage.places import storage_at\n"
        f"with storage_at({killed!r}).write() as writer:\n"
        f"    ingest_pairs(writer, find_sources(Path({str(source)!r})),\n"
        "        FakeEncoder(dies_at=16), Silent(), ShardLimits(2, 3, 100))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], check=False, timeout=120, env=dict(os.environ)
    )
    assert process.returncode == -signal.SIGKILL
    half = CaptionStore.open(killed, FakeEncoder())
    assert 0 < half.captions < 27
    assert half.texts(range(half.captions)) == CaptionStore.open(whole).texts(range(half.captions))
    assert not half.verify()
    assert search_text(half, half.texts([1])[0], 1).captions[0].index == 1, "before any index"
    add_some(killed, source)
    assert CaptionStore.open(killed).digest == CaptionStore.open(whole).digest
    assert CaptionStore.open(killed, FakeEncoder()).add(source).folded == 27


# -------------------------------------------------------------------------------------- refusals


def test_another_encoder_is_refused_naming_both(place: Place, photos: Path) -> None:
    store = CaptionStore.create(place(), photos, FakeEncoder())
    with pytest.raises(MismatchError) as error:
        CaptionStore.open(store.name, FakeEncoder("other")).add(photos)
    for word in ("encoder fake (", "not with other (", store.name):
        assert word in str(error.value)


def test_no_usable_pair_leaves_no_store(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"image": "none.png", "caption": "a"}\n{\n')
    where = place()
    with pytest.raises(CaptionError, match="no usable pair"):
        CaptionStore.create(where, tmp_path / "a.jsonl", FakeEncoder())
    with pytest.raises(CaptionError, match="no caption store at"):
        CaptionStore.open(where)


def test_one_writer_at_a_time(place: Place, photos: Path) -> None:
    store = CaptionStore.create(place(), photos, FakeEncoder())
    with (
        storage_at(store.name).write(),
        pytest.raises(CaptionError, match="another process is writing to caption store"),
    ):
        store.add(photos)
    assert store.add(photos).folded == 10


def test_a_closed_store_says_so(place: Place, photos: Path) -> None:
    store = CaptionStore.create(place(), photos, FakeEncoder())
    store.close()
    assert "closed" in repr(store)
    with pytest.raises(UsageError, match="was closed; open it again"):
        store.texts([0])


# ---------------------------------------------------------------------------------------- search


@pytest.fixture
def world(tmp_path: Path) -> list[Path]:
    """The sources of a store."""
    return write_pair_sources(tmp_path)


def test_answers_are_those_of_the_exact_search(
    place: Place, world: list[Path], tmp_path: Path
) -> None:
    encoder = WordEncoder()
    store = CaptionStore.create(place(), world, encoder)
    exact = CaptionStore.create(tmp_path / "exact", world, encoder)
    queries = np.stack([encoder.picture(i, 100) for i in range(30)])
    for part, top in (("pictures", 200), ("captions", 16), ("text_only", 128), ("captions", 999)):
        numbers, cosines = search_of(store, part).search(queries, top)
        true_numbers, true_cosines = search_of(exact, part).search(queries, top)
        np.testing.assert_allclose(cosines, true_cosines, atol=2e-6)
        assert np.mean(numbers == true_numbers) > 0.999  # others are equal but for rounding
    mine, theirs = Retriever(store).retrieve(queries, 16), Retriever(exact).retrieve(queries, 16)
    assert np.mean(mine.indices == theirs.indices) > 0.99
    np.testing.assert_allclose(mine.similarities, theirs.similarities, atol=2e-6)

    found = search_text(store, CONCEPTS[3], 5)
    assert [item.text for item in found.captions] == [
        item.text for item in search_text(exact, CONCEPTS[3], 5).captions
    ]
    picture = search_picture(store, world[0] / "3_0.png", 2)
    assert picture.pictures[0].source == "photos/3_0.png"

    names = [""] * 30
    for one, other in zip(
        ZeroShotClassifier(encoder, CONCEPTS, store.name).predict_embeddings(queries, names),
        ZeroShotClassifier(encoder, CONCEPTS, exact).predict_embeddings(queries, names),
        strict=True,
    ):
        assert one.label == other.label
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_equal_rows_come_in_the_order_of_their_numbers(place: Place, tmp_path: Path) -> None:
    """Two captions that only differ in what the encoder does not read have equal embeddings."""
    encoder = WordEncoder()
    lines = [f"bal{'.' * number} picture" for number in range(40)]
    (tmp_path / "texts.txt").write_text("\n".join(lines))
    store = CaptionStore.create(place(), tmp_path / "texts.txt", encoder)
    query = encoder.embed_texts(["bal"])
    numbers, cosines = search_of(store, "captions").search(query, 40)
    assert len(set(cosines[0].tolist())) == 1
    assert numbers[0].tolist() == list(range(40))


def test_a_store_of_one_kind(place: Place, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("bal one\ncor two\ndun three\n")
    store = CaptionStore.create(place(), tmp_path / "texts.txt", WordEncoder())
    assert store.starts.tolist() == [0]
    queries = WordEncoder().embed_texts(["cor"])
    assert search_of(store, "pictures").search(queries, 5)[0].shape == (1, 0)
    assert Retriever(store).retrieve(queries, 2).indices[0, 0] == 1
