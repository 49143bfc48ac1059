"""The best of a scan against a full sort of everything."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptor_table import make_table
from lagotto.hub.index.topk import (
    error_bounds,
    exact_distances,
    rerank,
    top_k_logits,
    widest_steps,
    within_reach,
)
from lagotto.hub.kernels.dispatch import scan_distances
from lagotto.hub.kernels.kernel import KernelName

KERNELS: list[KernelName] = ["numpy", "numba"]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 300),
    st.integers(1, 30_000),
    st.sampled_from([500, 1_000_000]),
)
def test_the_highest_are_those_of_a_full_sort(
    seed: int, count: int, logits: int, spread: int
) -> None:
    """With ties, which go to the lower column, and nearly without."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-spread, spread, logits).astype(np.float32)
    scores[rng.random(logits) < 0.1] = -np.inf
    found = top_k_logits(scores, count)
    assert (np.diff(found) > 0).all()
    order = np.argsort(-scores, kind="stable")[:count]
    np.testing.assert_array_equal(found, np.sort(order[np.isfinite(scores[order])]))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20_000), st.integers(1, 6), st.booleans())
def test_what_is_out_of_reach_is_not_among_the_nearest(
    seed: int, logits: int, top: int, wider: bool
) -> None:
    """Scans as far from the truth as their bounds allow, some steps much wider than the others."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([0.0, 0.02, 0.05, 1.5], logits, p=[0.1, 0.5, 0.39, 0.01]).astype(np.float32)
    truth = rng.integers(184, 1600, logits) / 8.0
    truth[rng.random(logits) < 0.1] = np.inf
    truth[(steps > 1) & (rng.random(logits) < 0.2)] = 20.0  # seems as far as many others
    near = np.where(np.isfinite(truth), truth, 0).astype(np.float32)
    error = rng.choice([-0.999, 0, 0.999], logits) * error_bounds(near, steps, 50)
    scanned = (truth + error).astype(np.float32)
    widest = widest_steps(steps * 2 if wider else steps)
    found = within_reach(scanned, steps, widest, 50, top)
    assert (np.diff(found) > 0).all()
    bounds = error_bounds(scanned[found], steps[found], 50)
    places, distances = rerank(scanned[found], bounds, lambda places: truth[found[places]], top)
    order = np.argsort(truth, kind="stable")[:top]
    order = order[np.isfinite(truth[order])]
    np.testing.assert_array_equal(found[places], order)
    np.testing.assert_array_equal(distances, truth[order])


def test_few_are_within_reach_of_many() -> None:
    _, values, steps = make_table(3, 50, 200_000)
    q = values[:, 1234] * steps[1234] + np.float32(0.1)
    scanned = scan_distances([(values, steps)], np.arange(50), q)
    found = within_reach(scanned, steps, widest_steps(steps), 50, 10)
    assert 1234 in found
    assert len(found) < 2_000


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 3000),
    st.integers(1, 30),
    st.sampled_from(KERNELS),
)
def test_reranking_gives_the_full_sort(
    seed: int, k: int, logits: int, top: int, kernel: KernelName
) -> None:
    exact, values, steps = make_table(seed, 40, logits)
    rng = np.random.default_rng(seed)
    exact[:, logits // 2] = exact[:, -1]  # a copy: its distance is a tie
    values[:, logits // 2], steps[logits // 2] = values[:, -1], steps[-1]
    rows = rng.permutation(40)[:k]
    q = (exact[rows, rng.integers(logits)] + rng.normal(0, 0.3, k)).astype(np.float32)
    scanned = scan_distances([(values, steps)], rows, q, kernel)
    bounds = error_bounds(scanned, steps, k)
    truth = np.where(steps > 0, exact_distances(exact[rows], q), np.inf)
    known = np.isfinite(truth)
    assert (np.abs(scanned[known] - truth[known]) <= bounds[known]).all()
    found, distances = rerank(
        scanned, bounds, lambda columns: exact_distances(exact[np.ix_(rows, columns)], q), top
    )
    order = np.argsort(truth, kind="stable")[:top]
    order = order[np.isfinite(truth[order])]
    np.testing.assert_array_equal(found, order)
    np.testing.assert_array_equal(distances, truth[order])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8000), st.integers(1, 300))
def test_reranking_holds_for_any_scan_within_its_bounds(seed: int, logits: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 400, logits) / 16.0
    bounds = rng.choice([0.0, 0.5, 8.0, 64.0], logits).astype(np.float32)
    scanned = (truth + rng.integers(-16, 17, logits) / 16 * bounds).astype(np.float32)
    found, distances = rerank(scanned, bounds, lambda columns: truth[columns], top)
    order = np.argsort(truth, kind="stable")[:top]
    np.testing.assert_array_equal(found, order)
    np.testing.assert_array_equal(distances, truth[order])


def test_reranking_looks_at_few_logits() -> None:
    exact, values, steps = make_table(3, 50, 100_000)
    rows = np.arange(50)
    q = exact[:, 1234] + np.float32(0.1)
    scanned = scan_distances([(values, steps)], rows, q)
    looked_at = []

    def measure(columns: np.ndarray) -> np.ndarray:
        looked_at.extend(columns.tolist())
        return exact_distances(exact[:, columns], q)

    found, _ = rerank(scanned, error_bounds(scanned, steps, 50), measure, 10)
    assert found[0] == 1234
    assert len(looked_at) <= 1000
    assert len(set(looked_at)) == len(looked_at)


def test_an_exact_distance_does_not_depend_on_its_company() -> None:
    exact = make_table(8, 500, 33)[0]
    q = np.linspace(-1, 2, 500, dtype=np.float32)
    together = exact_distances(exact, q)
    alone = [exact_distances(exact[:, [column]], q)[0] for column in range(33)]
    assert together.tolist() == alone
