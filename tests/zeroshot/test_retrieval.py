"""Pools captions for pictures as a plain transcription of the paper does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caption_world import CONCEPTS, DIM, WordEncoder, WordStore, word_store
from lagotto.core.vectors import unit_rows
from lagotto.neighbors.exact import ExactIndex
from lagotto.zeroshot.nearest import text_only_spans
from lagotto.zeroshot.retrieval import RETRIEVAL_POOL, Retriever

ENCODER = WordEncoder()


def plain(store: WordStore, query: np.ndarray, k: int, neighbours: int = 200) -> list[str]:
    """X-MoRe, section 3.2, with lists."""
    cosines = store.image_embeddings.astype(np.float32) @ query
    order = [i for i in np.argsort(-cosines, kind="stable") if cosines[i] < 0.9999]
    pool: list[int] = []
    unique_texts: set[str] = set()
    for picture in order[:neighbours]:
        for caption in range(store.starts[picture], store.ends[picture]):
            (text,) = store.texts([caption])
            if text not in unique_texts:
                unique_texts.add(text)
                pool.append(caption)
    pool = pool[:RETRIEVAL_POOL]
    scores = store.text_embeddings[pool].astype(np.float32) @ query
    best = np.argsort(-scores, kind="stable")[:k]
    return store.texts([pool[i] for i in best])


@pytest.mark.parametrize("k", [1, 16, 300])
def test_equals_a_plain_transcription(k: int) -> None:
    store = word_store(ENCODER)
    queries = np.stack([ENCODER.picture(i, 100) for i in range(0, 30, 6)])
    results = Retriever(store).retrieve(queries, k)
    for i, query in enumerate(queries):
        expected = plain(store, query, k)
        assert store.texts(results.indices[i, results.present[i]].tolist()) == expected
        assert len(expected) == min(k, RETRIEVAL_POOL)
        assert (np.diff(results.similarities[i, results.present[i]]) <= 0).all()


def test_the_query_itself_is_left_out() -> None:
    store = word_store(ENCODER, each=2)
    results = Retriever(store).retrieve(store.image_embeddings[:1].astype(np.float32), 16)
    own_captions = range(int(store.starts[0]), int(store.ends[0]))
    assert not set(own_captions) & set(results.indices[0].tolist())
    assert results.neighbour_similarity[0] < 0.9999


def test_more_neighbours_are_asked_where_captions_repeat() -> None:
    images = np.stack([ENCODER.picture(i % 30, 300 + i) for i in range(600)])
    texts = [["the same"] if i < 300 else [f"number {i}"] for i in range(600)]
    store = WordStore(images, texts, ENCODER)
    results = Retriever(store).retrieve(ENCODER.picture(0, 7)[None], RETRIEVAL_POOL)
    assert results.present.all()


def test_text_only_captions_are_found_directly() -> None:
    alone = [f"{name} alone" for name in CONCEPTS]
    store = word_store(ENCODER, each=1, alone=alone)
    results = Retriever(store).retrieve(ENCODER.picture(4, 100)[None], 60)
    texts = store.texts(results.indices[0, results.present[0]].tolist())
    assert f"{CONCEPTS[4]} alone" in texts[:4]
    bare = WordStore(np.empty((0, DIM)), [], ENCODER, alone)
    results = Retriever(bare).retrieve(ENCODER.picture(4, 100)[None], 3)
    assert bare.texts(results.indices[0].tolist())[0] == f"{CONCEPTS[4]} alone"
    assert results.neighbour_similarity[0] == -np.inf


def test_an_empty_store_finds_nothing() -> None:
    store = WordStore(np.empty((0, DIM)), [], ENCODER)
    results = Retriever(store).retrieve(ENCODER.picture(4, 100)[None], 3)
    assert not results.present.any()


def test_text_only_spans_between_pictures() -> None:
    store = WordStore(np.eye(2, DIM), [["a"], ["b"]], ENCODER, alone=["c", "d"])
    store.starts = np.array([1, 2, 3], np.int64)
    store.ends = np.array([2, 3], np.int64)
    assert text_only_spans(store).tolist() == [[0, 1], [3, 4]]


def test_first_is_a_smaller_retrieval() -> None:
    retriever = Retriever(word_store(ENCODER, each=3))
    query = ENCODER.picture(4, 100)[None]
    wide, narrow = retriever.retrieve(query, 32).top_k(5), retriever.retrieve(query, 5)
    assert np.array_equal(wide.indices, narrow.indices)
    assert np.array_equal(wide.embeddings, narrow.embeddings)


@pytest.mark.parametrize("keep", [True, False])
def test_blocks_and_spans_give_the_exact_answer(keep: bool) -> None:
    @settings(max_examples=30)
    @given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 12))
    def check(seed: int, count: int, top: int) -> None:
        rng = np.random.default_rng(seed)
        rows = unit_rows(rng.integers(-1, 2, (count, 8)).astype(np.float32)).astype(np.float16)
        queries = unit_rows(rng.normal(size=(3, 8)))
        cut = sorted(rng.integers(0, count + 1, 4).tolist())
        spans = np.array([cut[:2], cut[2:]], np.int64)
        numbers = np.r_[cut[0] : cut[1], cut[2] : cut[3]]
        results, cosines = ExactIndex(rows, spans, keep=keep, block_bytes=4 * 8 * 7).search(
            queries, top
        )
        scores = queries @ rows[numbers].astype(np.float32).T
        for i in range(3):
            wide = dict(zip(numbers.tolist(), scores[i].tolist(), strict=True))
            assert len(results[i]) == min(top, len(numbers))
            assert np.allclose([wide[n] for n in results[i]], cosines[i], atol=1e-6)
            assert np.allclose(sorted(wide.values(), reverse=True)[:top], cosines[i], atol=1e-6)

    check()
