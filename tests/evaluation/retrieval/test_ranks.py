"""Ranks of right logits, against sorting in plain Python."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.evaluation.retrieval.ranks import join, rank_logits
from retrieval_makers import table

TABLE = table((3, 2, 4))
OWNERS = [0, 0, 0, 1, 1, 2, 2, 2, 2]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, -1.0, float("-inf")]), min_size=9, max_size=9),
    st.sets(st.integers(0, 8), min_size=1),
    st.integers(-1, 8),
)
def test_every_measure_is_what_sorting_gives(
    scores: list[float], right: set[int], query_column: int
) -> None:
    own_model = OWNERS[query_column] if query_column >= 0 else None
    order = sorted(
        (c for c in range(9) if OWNERS[c] != own_model and scores[c] > float("-inf")),
        key=lambda c: (-scores[c], c),
    )
    ranking = rank_logits(
        np.array([scores], np.float32),
        [np.array(sorted(right), np.int64)],
        np.array([query_column]),
        TABLE,
    )
    rank = next((i for i, c in enumerate(order, 1) if c in right), 0)
    assert ranking.first.tolist() == [rank]
    assert ranking.hits.tolist() == [(order + [-1] * 5)[:5]]
    assert ranking.precision5.tolist() == [pytest.approx(sum(c in right for c in order[:5]) / 5)]
    assert ranking.reciprocal_rank.tolist() == [pytest.approx(1 / rank if rank else 0)]
    assert (ranking.top1.tolist(), ranking.top5.tolist()) == ([rank == 1], [1 <= rank <= 5])
    models = list(dict.fromkeys(OWNERS[c] for c in order))
    know = {OWNERS[c] for c in right}
    expected = sum(model in know for model in models[: len(know)]) / len(know)
    assert ranking.model_recall.tolist() == [pytest.approx(expected)]


def test_a_logit_that_is_set_aside_is_no_answer() -> None:
    raw = TABLE.raw.copy()
    raw[:, 4] = 1.0
    flat = replace(TABLE, raw=raw).on_probes(np.arange(len(raw)))
    scores = np.zeros((1, 9), np.float32)
    scores[0, 4] = 9
    ranking = rank_logits(scores, [np.array([4])], np.array([-1]), flat)
    assert (ranking.first.tolist(), 4 in ranking.hits) == ([0], False)


def test_few_logits_leave_places_empty() -> None:
    small = table((1, 1))
    ranking = rank_logits(np.zeros((1, 2), np.float32), [np.array([1])], np.array([0]), small)
    assert ranking.hits.tolist() == [[1, -1, -1, -1, -1]]


def test_batches_are_joined_in_order() -> None:
    scores = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
    correct, query_column = [np.array([place]) for place in range(6)], np.full(6, -1)
    all_at_once = rank_logits(scores, correct, query_column, TABLE)
    parts = [
        rank_logits(scores[a:b], correct[a:b], query_column[a:b], TABLE)
        for a, b in ((0, 4), (4, 6))
    ]
    np.testing.assert_array_equal(join(parts).first, all_at_once.first)
    np.testing.assert_array_equal(join(parts).hits, all_at_once.hits)
