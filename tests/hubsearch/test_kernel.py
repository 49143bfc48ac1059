"""The scan by either kernel against the definition, and re-ranking against a full sort."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.hubsearch.kernel import KernelName, scan, scan_sums
from lagotto.hubsearch.selection import error_bounds, exact_distances, rerank

KERNELS: list[KernelName] = ["numpy", "numba"]


def make_table(seed: int, probes: int, logits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact descriptors, their int8 values and their steps; every ninth logit is flawed."""
    rng = np.random.default_rng(seed)
    exact = rng.normal(size=(probes, logits)).astype(np.float32)
    exact[:, ::9] = 0
    steps = np.abs(exact).max(axis=0) / np.float32(127)
    values = np.rint(exact / np.where(steps > 0, steps, 1)).astype(np.int8)
    return exact, values, steps


def defined(exact: np.ndarray, steps: np.ndarray, rows: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The definition, in float64."""
    distances = np.sqrt(np.square(exact[rows].astype(float) - q[:, None]).sum(axis=0))
    return np.where(steps > 0, distances, np.inf)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("k", [1, 7, 8, 9, 50])
@pytest.mark.parametrize("logits", [1, 17, 3001])
def test_the_scan_is_the_definition(kernel: KernelName, k: int, logits: int) -> None:
    _, values, steps = make_table(k, 60, logits)
    rng = np.random.default_rng(k)
    rows, q = rng.permutation(60)[:k], rng.normal(2, 1, k).astype(np.float32)
    found = scan([(values, steps)], rows, q, kernel)
    expected = defined(values * steps.astype(float), steps, rows, q)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.isinf(found[0])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("k", [1, 7, 8, 9, 50])
@pytest.mark.parametrize("logits", [1, 17, 70_001])
def test_the_sums_are_the_definition(kernel: KernelName, k: int, logits: int) -> None:
    _, values, steps = make_table(k, 60, logits)
    rng = np.random.default_rng(k)
    rows, weights = rng.permutation(60)[:k], rng.normal(0.1, 1, k).astype(np.float32)
    found = scan_sums([(values, steps), (values, steps)], rows, weights, kernel)
    expected = weights.astype(float) @ (values[rows] * steps.astype(float))
    expected[steps == 0] = -np.inf
    np.testing.assert_allclose(found, np.tile(expected, 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_several_tables_wider_than_a_task(kernel: KernelName) -> None:
    tables = [make_table(seed, 12, logits)[1:] for seed, logits in enumerate((70_000, 3, 66_000))]
    q = np.linspace(0, 3, 5, dtype=np.float32)
    rows = np.array([11, 0, 5, 6, 2])
    found = scan(tables, rows, q, kernel)
    expected = [defined(values * steps.astype(float), steps, rows, q) for values, steps in tables]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_query_that_is_a_descriptor_finds_it_near(kernel: KernelName) -> None:
    _, values, steps = make_table(5, 300, 40)
    rows = np.arange(300)
    q = values[:, 7] * steps[7]
    found = scan([(values, steps)], rows, q, kernel)
    assert found.argmin() == 7
    assert found[7] < 1e-5  # no cancellation


def test_no_tables_no_distances() -> None:
    assert scan([], np.array([0]), np.ones(1, dtype=np.float32)).size == 0


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
    scanned = scan([(values, steps)], rows, q, kernel)
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
    scanned = scan([(values, steps)], rows, q)
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


CHOICE = """
import sys
import numpy as np
from lagotto.hubsearch import kernel
kernel.NUMPY_VALUES_BEFORE_NUMBA = 100
if {absent}:
    sys.modules["numba"] = None
names, answers = [], []
table = (np.full((4, 10), 3, np.int8), np.ones(10, np.float32))
for _ in range(4):
    answers.append(kernel.scan([table], np.arange(4), np.ones(4, np.float32))[0])
    names.append(kernel.kernel_name())
print(*names, *answers)
"""


@pytest.mark.parametrize(
    ("absent", "expected"),
    [(False, "numpy numpy numpy numba"), (True, "numpy numpy numpy numpy")],
)
def test_numba_is_loaded_once_it_pays(absent: bool, expected: str) -> None:
    script = CHOICE.format(absent=absent)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [*expected.split(), "4.0", "4.0", "4.0", "4.0"]
