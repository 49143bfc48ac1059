"""Approximate indexes of a caption store: building, recall, and refusal of outdated ones."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from caption_world import CONCEPTS, WordEncoder, word_store, write_pair_sources
from lagotto.core.errors import CaptionError, UsageError
from lagotto.core.lock import folder_lock
from lagotto.zeroshot.captions.files import INDEX_FOLDER
from lagotto.zeroshot.captions.index import index_store, open_indexes
from lagotto.zeroshot.captions.index_record import recall_lines
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import CALIBRATION_NAME, ZeroShotClassifier
from lagotto.zeroshot.retrieval import Retriever

pytestmark = pytest.mark.skipif(
    find_spec("usearch") is None, reason="the package usearch is not installed"
)

ENCODER = WordEncoder()


@pytest.fixture
def store(tmp_path: Path) -> CaptionStore:
    """Eight pictures of each concept, captioned, and captions alone."""
    sources = write_pair_sources(tmp_path)
    return CaptionStore.create(tmp_path / "store", sources, ENCODER)


def grow(store: CaptionStore, folder: Path) -> CaptionStore:
    more = folder / "more.txt"
    more.write_text("one more caption")
    CaptionStore.open(store.folder, ENCODER).add([more])
    return CaptionStore.open(store.folder, ENCODER)


def test_built_once_and_measured(store: CaptionStore) -> None:
    record, built = index_store(store)
    assert built
    assert (record.pictures.rows, record.captions.rows) == (240, 300)
    assert (record.pictures.recall.at, record.captions.recall.at) == (200, 16)
    for part in (record.pictures, record.captions):
        assert part.recall.sampled == 200
        assert part.recall.share is not None
        assert part.recall.share >= 0.95
        assert part.parameters["dtype"] == "f16"
    assert "240 pictures, recall@200 " in recall_lines(record)[0]
    before = {path: path.read_bytes() for path in (store.folder / INDEX_FOLDER).iterdir()}
    assert index_store(store) == (record, False)
    for path in before:
        if path.name != ".lock":
            path.unlink()
    assert index_store(store) == (record, True)
    assert before == {path: path.read_bytes() for path in (store.folder / INDEX_FOLDER).iterdir()}


def test_approximate_retrieval_is_the_exact_one_here(store: CaptionStore) -> None:
    index_store(store)
    pictures, texts, _ = open_indexes(store)
    queries = np.stack([ENCODER.picture(i, 100) for i in range(30)])
    exact = Retriever(store).retrieve(queries, 16)
    results = Retriever(store, pictures, texts).retrieve(queries, 16)
    assert np.mean(results.indices == exact.indices) > 0.97
    assert np.allclose(results.neighbour_similarity, exact.neighbour_similarity, atol=1e-3)
    rows = store.text_embeddings[results.indices[0]].astype(np.float32)
    assert np.allclose(rows @ queries[0], results.similarities[0], atol=1e-6)


def test_classifier_asks_the_index_and_says_so(store: CaptionStore) -> None:
    index_store(store)
    queries = np.stack([ENCODER.picture(i, 100) for i in range(30)])
    names = [""] * 30
    approximate = ZeroShotClassifier(ENCODER, CONCEPTS, store, approximate=True)
    kept = (store.folder / CALIBRATION_NAME).read_bytes()
    (store.folder / CALIBRATION_NAME).unlink()
    exact = ZeroShotClassifier(ENCODER, CONCEPTS, store)
    assert (store.folder / CALIBRATION_NAME).read_bytes() == kept
    assert any("approximate search: 240 pictures, recall@200" in n for n in approximate.notes)
    assert not any("approximate" in note for note in exact.notes)
    for one, other in zip(
        approximate.predict_embeddings(queries, names),
        exact.predict_embeddings(queries, names),
        strict=True,
    ):
        assert one.probabilities.argmax() == other.probabilities.argmax()


def test_no_index_and_a_stale_one_are_refused_with_the_command(
    store: CaptionStore, tmp_path: Path
) -> None:
    command = f"run: lagotto captions index {store.folder}"
    with pytest.raises(CaptionError, match=f"no approximate index; {command}"):
        ZeroShotClassifier(ENCODER, CONCEPTS, store.folder, approximate=True)
    first, _ = index_store(store)
    grown = grow(store, tmp_path)
    with pytest.raises(CaptionError, match=f"another state of the store .*; {command}"):
        ZeroShotClassifier(ENCODER, CONCEPTS, grown, approximate=True)
    open_indexes(store)  # a view from before still fits
    second, built = index_store(grown)
    assert built
    assert second.store == grown.digest != first.store
    assert second.captions.rows == 301
    open_indexes(grown)


def test_damaged_indexes_are_refused_and_built_anew(store: CaptionStore) -> None:
    index_store(store)
    folder = store.folder / INDEX_FOLDER
    content = (folder / "pictures").read_bytes()
    (folder / "pictures").write_bytes(content[:-1])
    with pytest.raises(
        CaptionError, match="missing, cut short or altered; run: lagotto captions index"
    ):
        open_indexes(store)
    assert index_store(store)[1]
    assert (folder / "pictures").read_bytes() == content
    altered = bytearray(content)
    altered[len(content) * 3 // 4] ^= 0x41  # the library would read outside its memory
    (folder / "pictures").write_bytes(altered)
    with pytest.raises(CaptionError, match="altered"):
        open_indexes(store)
    assert index_store(store)[1]
    for text in ("{}", "nonsense", '{"format": "lagotto-caption-index", "version": 99}'):
        (folder / "index.json").write_text(text)
        with pytest.raises(CaptionError, match="no approximate index"):
            open_indexes(store)
    assert index_store(store)[1]


def test_a_store_of_one_kind_has_one_file(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("bal one\ncor two\ndun three\n")
    store = CaptionStore.create(tmp_path / "store", [tmp_path / "texts.txt"], ENCODER)
    record, _ = index_store(store)
    assert record.pictures.recall.share is None
    assert not (store.folder / INDEX_FOLDER / "pictures").exists()
    pictures, texts, _ = open_indexes(store)
    assert (pictures.count, texts.count) == (0, 3)
    assert recall_lines(record)[0] == "0 pictures"


def test_one_build_at_a_time(store: CaptionStore) -> None:
    folder = store.folder / INDEX_FOLDER
    folder.mkdir()
    with (
        folder_lock(folder, "caption index", CaptionError),
        pytest.raises(CaptionError, match="another process is writing"),
    ):
        index_store(store)


@pytest.mark.parametrize("captions", [None, word_store(ENCODER, each=1)])
def test_only_stores_in_folders_have_indexes(captions: object) -> None:
    with pytest.raises(UsageError, match="needs a caption store in a folder"):
        ZeroShotClassifier(ENCODER, CONCEPTS, captions, approximate=True)
