"""The compact index against the full scan."""

import numpy as np
import pytest

from lagotto.core.errors import UsageError
from lagotto.hubsearch.kernel import Table
from lagotto.hubsearch.low_rank import build_low_rank, exact_sums, find_best


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


def test_ten_best_are_those_of_the_full_scan() -> None:
    given = tables()
    index = build_low_rank(given, 8)
    rng = np.random.default_rng(1)
    recalls = []
    for _ in range(20):
        weights = np.where(rng.random(80) < 0.2, rng.random(80), 0).astype(np.float32)
        columns, sums = find_best(index, given, weights, 10, candidates=60)
        whole = full_sums(given, weights)
        np.testing.assert_allclose(sums, whole[columns], rtol=1e-4)
        assert (np.diff(sums) <= 0).all()
        best = np.argsort(-whole[:-1], kind="stable")[:10]
        recalls.append(len(set(columns.tolist()) & set(best.tolist())) / 10)
    assert np.mean(recalls) >= 0.95
    assert index.bytes_a_logit < 80 / 5


def test_all_candidates_give_the_exact_answer() -> None:
    given = tables()
    index = build_low_rank(given, 2)
    weights = np.linspace(0, 1, 80, dtype=np.float32)
    columns, _ = find_best(index, given, weights, 5, candidates=600)
    assert columns.tolist() == np.argsort(-full_sums(given, weights)[:-1])[:5].tolist()


def test_flawed_logits_are_never_found() -> None:
    given = tables(logits=30)
    index = build_low_rank(given, 4)
    columns, _ = find_best(index, given, np.ones(80, np.float32), 30)
    assert 29 not in columns.tolist()
    assert len(columns) == 29


def test_exact_sums_cross_blocks() -> None:
    given = tables()
    weights = np.random.default_rng(0).random(80).astype(np.float32)
    chosen = np.array([0, 199, 200, 598])
    np.testing.assert_allclose(
        exact_sums(given, chosen, weights), full_sums(given, weights)[chosen], rtol=1e-4
    )


@pytest.mark.parametrize("rank", [0, 81])
def test_a_rank_that_cannot_be_is_refused(rank: int) -> None:
    with pytest.raises(UsageError, match="give 1 to 80"):
        build_low_rank(tables(), rank)
