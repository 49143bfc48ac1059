"""The compact index by itself: scores near the full sums, sizes, ranks that it can have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.core.errors import UsageError
from lagotto.hub.index.low_rank import (
    build_low_rank,
    default_rank,
    find_directions,
)
from lagotto.hub.index.topk import top_k_logits
from lagotto.hub.kernels.dispatch import scan_sums
from lagotto.hub.kernels.gather import gather_values
from lagotto.hub.kernels.kernel import Table


def tables(logits: int = 600, probes: int = 80, rank: int = 6, seed: int = 0) -> list[Table]:
    """Two blocks of descriptors of that rank and a little noise; the last logit is flawed."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((probes, rank)) @ rng.standard_normal((rank, logits))
    values += 0.1 * rng.standard_normal(values.shape)
    steps = (np.abs(values).max(axis=0) / 127).astype(np.float32)
    codes = np.rint(values / steps).astype(np.int8)
    steps[-1], codes[:, -1] = 0, 0
    cut = logits // 3
    return [
        (np.ascontiguousarray(codes[:, :cut]), steps[:cut]),
        (np.ascontiguousarray(codes[:, cut:]), steps[cut:]),
    ]


def full_sums(given: list[Table], weights: np.ndarray) -> np.ndarray:
    return np.concatenate([weights @ (values * steps) for values, steps in given])


def test_ten_best_are_among_its_best() -> None:
    given = tables()
    index = build_low_rank(given, 8)
    rng = np.random.default_rng(1)
    recalls = []
    for _ in range(20):
        weights = np.where(rng.random(80) < 0.2, rng.random(80), 0).astype(np.float32)
        best = np.argsort(-full_sums(given, weights)[:-1], kind="stable")[:10]
        candidates = top_k_logits(index.scores(weights), 40)
        recalls.append(len(set(candidates.tolist()) & set(best.tolist())) / 10)
    assert np.mean(recalls) >= 0.95


def test_descriptors_of_its_rank_are_kept_but_for_rounding() -> None:
    given = tables(rank=3)
    index = build_low_rank(given, 80)
    assert find_directions(given, 80).captured == pytest.approx(1, abs=1e-5)
    assert find_directions(given, 3).captured > 0.99
    weights = np.random.default_rng(2).random(80).astype(np.float32)
    wanted = full_sums(given, weights)[:-1]
    error = index.scores(weights)[:-1] - wanted
    assert np.sqrt(np.square(error).mean()) < 0.05 * wanted.std()


def test_flawed_logits_are_at_minus_infinity() -> None:
    given = tables(logits=30)
    scores = build_low_rank(given, 4).scores(np.ones(80, np.float32))
    assert np.flatnonzero(np.isinf(scores)).tolist() == [29]
    assert top_k_logits(scores, 30).tolist() == list(range(29))


def test_the_directions_are_orthonormal_and_the_same_each_time() -> None:
    factors = find_directions(tables(), 8).factors
    np.testing.assert_allclose(factors.T @ factors, np.eye(8), atol=1e-5)
    np.testing.assert_array_equal(factors, find_directions(tables(), 8).factors)


@pytest.mark.parametrize("probes", [72, 200, 500, 1239, 2239, 4000])
def test_the_default_rank_takes_at_most_a_tenth(probes: int) -> None:
    rank = default_rank(probes)
    assert 1 <= rank <= 64
    assert rank == 1 or (probes + 4) / (rank + 4) >= 10


def test_ranks_that_cannot_be_are_refused() -> None:
    for rank in (0, 81):
        with pytest.raises(UsageError, match="give 1 to 80"):
            find_directions(tables(), rank)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 60))
def test_gathered_logits_scan_as_they_did(seed: int, count: int) -> None:
    given = tables(logits=90)
    rng = np.random.default_rng(seed)
    columns, probes = rng.integers(0, 90, count), rng.permutation(80)[:7]
    weights = rng.standard_normal(7).astype(np.float32)
    own = scan_sums([gather_values(given, columns, probes)], np.arange(7), weights, "numpy")
    whole = scan_sums(given, probes, weights, "numpy")
    np.testing.assert_allclose(own, whole[columns], rtol=1e-5, atol=1e-5)
