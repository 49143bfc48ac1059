"""What either kernel reads, against the definition and against the other kernel."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptor_table import make_table
from lagotto.hub.descriptors.rank_blend import blend_by_quantiles
from lagotto.hub.kernels.background_scores import background_scores
from lagotto.hub.kernels.dispatch import scan_distances, scan_sums
from lagotto.hub.kernels.gather import (
    blend_values,
    gather_values,
    weighted_scores,
)
from lagotto.hub.kernels.kernel import KernelName
from lagotto.hub.kernels.label_sums import label_sums

KERNELS: list[KernelName] = ["numpy", "numba"]


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
    found = scan_distances([(values, steps)], rows, q, kernel)
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
    found = scan_distances(tables, rows, q, kernel)
    expected = [defined(values * steps.astype(float), steps, rows, q) for values, steps in tables]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_query_that_is_a_descriptor_finds_it_near(kernel: KernelName) -> None:
    _, values, steps = make_table(5, 300, 40)
    rows = np.arange(300)
    q = values[:, 7] * steps[7]
    found = scan_distances([(values, steps)], rows, q, kernel)
    assert found.argmin() == 7
    assert found[7] < 1e-5  # no cancellation


def test_no_tables_no_distances() -> None:
    assert scan_distances([], np.array([0]), np.ones(1, dtype=np.float32)).size == 0


def cut(values: np.ndarray, steps: np.ndarray, widths: list[int]) -> list[tuple]:
    """A table of logits as several, of those widths."""
    ends = np.cumsum(widths).tolist()
    return [
        (np.ascontiguousarray(values[:, end - width : end]), steps[end - width : end].copy())
        for end, width in zip(ends, widths, strict=True)
    ]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 700), st.booleans())
def test_gathered_values_are_those_of_the_tables(seed: int, count: int, ascending: bool) -> None:
    rng = np.random.default_rng(seed)
    _, values, steps = make_table(seed, 60, 330)
    columns, rows = rng.integers(0, 330, count), rng.permutation(60)[: rng.integers(1, 60)]
    columns = np.sort(columns) if ascending else columns
    found, own = gather_values(cut(values, steps, [100, 1, 200, 29]), columns, rows)
    np.testing.assert_array_equal(found, values[np.ix_(rows, columns)])
    np.testing.assert_array_equal(own, steps[columns])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 128))
def test_both_kernels_blend_to_the_same_bits(seed: int, columns: int, spread: int) -> None:
    """Whatever the knots: many alike, all alike, at the ends of what a code can be."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, (80, columns)).astype(np.int8)
    knots = np.sort(rng.integers(-spread, spread, (32, columns)), axis=0).astype(np.int8)
    knots[:, rng.random(columns) < 0.1] = rng.integers(-128, 128)
    steps = rng.uniform(0, 0.1, columns).astype(np.float32)
    by_logit = np.ascontiguousarray(knots.T)
    found = blend_values(codes, by_logit, 2000, steps, "numba")
    np.testing.assert_array_equal(found, blend_by_quantiles(codes, knots, 2000, steps))
    np.testing.assert_array_equal(found, blend_values(codes, by_logit, 2000, steps, "numpy"))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("count", [0, 1, 300])
def test_chosen_logits_are_weighed_by_their_blended_values_and_directions(
    kernel: KernelName, count: int
) -> None:
    rng = np.random.default_rng(count)
    values, knots = (rng.integers(-127, 128, (n, 330)).astype(np.int8) for n in (60, 32))
    knots.sort(axis=0)
    knots[:, 17] = 5  # a flawed logit
    steps, direction_steps = rng.uniform(0, 0.1, (2, 330)).astype(np.float32)
    directions = rng.integers(-128, 128, (330, 512)).astype(np.int8)
    columns, rows = rng.integers(0, 330, count), rng.permutation(60)[:50]
    columns[:1] = 17
    weights, direction = (rng.normal(size=n).astype(np.float32) for n in (50, 512))
    cuts = [slice(0, 130), slice(130, 330)]
    tables = [
        (values[:, c].copy(), steps[c], knots[:, c].T.copy(), directions[c], direction_steps[c])
        for c in cuts
    ]
    sums, along = weighted_scores(tables, columns, rows, weights, direction, kernel)
    raised = blend_by_quantiles(values, knots, 60, steps)[rows][:, columns]
    np.testing.assert_allclose(sums, weights @ raised, rtol=1e-4, atol=1e-4)
    products = (directions[columns] * direction_steps[columns, None].astype(float)) @ direction
    np.testing.assert_allclose(along, products, rtol=1e-4, atol=1e-3)
    assert (sums[:1] == 0).all()


@pytest.mark.parametrize("logits", [0, 1, 90])
def test_labels_are_summed_over_their_own_probes(logits: int) -> None:
    rng = np.random.default_rng(logits)
    descriptors = rng.normal(size=(logits, 70)).astype(np.float32)
    probes = np.stack([rng.permutation(70)[:50] for _ in range(200)])
    weights = rng.random((200, 50)).astype(np.float32)
    queried = rng.integers(0, 200, (logits, 150))
    expected = [
        [weights[name] @ own[probes[name]] for name in names]
        for own, names in zip(descriptors, queried, strict=True)
    ]
    found = label_sums(descriptors, probes, weights, queried)
    np.testing.assert_allclose(found, np.reshape(expected, queried.shape), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("logits", [0, 1, 7, 10])
@pytest.mark.parametrize("shortlist", [1, 16, 300])
def test_both_kernels_ask_the_same_of_words(logits: int, shortlist: int) -> None:
    rng = np.random.default_rng(logits)
    words, concept, directions = (
        rng.normal(size=(n, 48)).astype(np.float32) for n in (120, 1, logits)
    )
    words[5] = concept[0] = words[5] / np.linalg.norm(words[5])
    probes = np.stack([rng.permutation(70)[:20] for _ in range(120)])
    weights = rng.random((120, 20)).astype(np.float32)
    measured = rng.uniform(0.5, 1, (4, 120)).astype(np.float32)
    tables = (words, words.mean(axis=0), probes, weights, measured, np.arange(0, 120, 3))
    descriptors = rng.normal(size=(logits, 70)).astype(np.float32)
    descriptors[:1] = 0  # says nothing of any word: no spread
    asked = tables, (0.95, shortlist, 3, 0.75), descriptors, directions, concept[0]
    usual, levels = background_scores(*asked, "numpy")
    same_usual, same_levels = background_scores(*asked, "numba")
    np.testing.assert_allclose(same_usual, usual, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(same_levels, levels, rtol=1e-4, atol=1e-4)
    assert (usual[1, :1] == 1).all()


CHOICE = """
import sys
import numpy as np
from lagotto.hub.kernels import dispatch as kernel
kernel.NUMPY_VALUES_BEFORE_NUMBA = 100
if {absent}:
    sys.modules["numba"] = None
names, answers = [], []
table = (np.full((4, 10), 3, np.int8), np.ones(10, np.float32))
for _ in range(4):
    answers.append(kernel.scan_distances([table], np.arange(4), np.ones(4, np.float32))[0])
    names.append(kernel.kernel_name())
print(*names, *answers)
"""


@pytest.mark.thorough
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
