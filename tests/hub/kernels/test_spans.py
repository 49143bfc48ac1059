"""Columns that lie in several tables give the bits of a hub that was made at once."""

from itertools import pairwise

import numpy as np
import pytest

from lagotto.hub.kernels import pages
from lagotto.hub.kernels.dispatch import scan_distances, scan_sums
from lagotto.hub.kernels.gather import weighted_scores
from lagotto.hub.kernels.kernel import KernelName, WholeTable
from lagotto.hub.kernels.spans import as_whole_rows, block_ends, join_columns, split_range

LOGITS = 70_123
CUTS = (0, 3, 1021, 1030, 33_333, 65_537, 65_540, 69_999, LOGITS)
PROBES = 60


@pytest.fixture(scope="module")
def whole() -> WholeTable:
    rng = np.random.default_rng(0)
    return (
        rng.integers(-127, 128, (PROBES, LOGITS)).astype(np.int8),
        rng.uniform(0.01, 0.1, LOGITS).astype(np.float32),
        np.sort(rng.integers(-127, 128, (LOGITS, 32)).astype(np.int8), axis=1),
        rng.integers(-127, 128, (LOGITS, 37)).astype(np.int8),
        rng.uniform(0.01, 0.1, LOGITS).astype(np.float32),
    )


def parts_of(whole: WholeTable, copied: bool) -> list[WholeTable]:
    """The table cut into parts: views of it, or copies as of segments of their own."""
    values, *others = whole
    parts = []
    for first, last in pairwise(CUTS):
        part = values[:, first:last].copy() if copied else values[:, first:last]
        parts.append((part, *(other[first:last] for other in others)))
    return parts  # type: ignore[return-value]


@pytest.mark.parametrize("kernel", ["numpy", "numba"])
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("large", [False, True])
def test_parts_give_the_bits_of_the_whole(
    whole: WholeTable,
    copied: bool,
    large: bool,
    kernel: KernelName,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kernel == "numba":
        pytest.importorskip("numba")
    rng = np.random.default_rng(1)
    rows = np.sort(rng.choice(PROBES, 50, replace=False))
    weights, direction = rng.random(50).astype(np.float32), rng.random(37).astype(np.float32)
    ends = [65_536, LOGITS]
    tables = [
        (whole[0][:, first:last].copy(), *(other[first:last] for other in whole[1:]))
        for first, last in ((0, 65_536), (65_536, LOGITS))
    ]
    parts = parts_of(whole, copied)
    for scan in (scan_sums, scan_distances):
        expected = scan([each[:2] for each in tables], rows, weights, kernel)
        found = scan([each[:2] for each in parts], rows, weights, kernel, ends)
        np.testing.assert_array_equal(found, expected)
    columns = rng.permutation(LOGITS)[:501]
    expected_pair = weighted_scores(tables, columns, rows, weights, direction, kernel)
    if large:
        monkeypatch.setattr(pages, "RESIDENT_BYTES", 0)
    found_pair = weighted_scores(parts, columns, rows, weights, direction, kernel, ends)
    np.testing.assert_array_equal(found_pair, expected_pair)


def test_blocks_take_whole_models_up_to_the_limit() -> None:
    widths = [40_000, 30_000, 70_000, 5, 65_531, 1]
    firsts = np.cumsum([0, *widths[:-1]])
    assert block_ends(firsts, sum(widths)) == [40_000, 70_000, 140_000, 205_536, 205_537]
    assert block_ends(np.zeros(0, np.int64), 0) == []


def test_columns_are_found_where_they_lie(whole: WholeTable) -> None:
    parts = [each[:2] for each in parts_of(whole, copied=True)]
    spans = [*split_range([steps.size for _, steps in parts], 2, 1030)]
    assert spans == [(0, slice(2, 3)), (1, slice(0, 1018)), (2, slice(0, 9))]
    values, steps = join_columns(parts, 2, 1030)
    np.testing.assert_array_equal(values, whole[0][:, 2:1030])
    np.testing.assert_array_equal(steps, whole[1][2:1030])
    assert np.shares_memory(join_columns(parts, 5, 9)[0], parts[1][0])


def test_compiled_code_reads_a_part_as_rows_of_its_table(whole: WholeTable) -> None:
    part = whole[0][:, 100:200]
    rows = as_whole_rows(part)
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(rows[:, :100], part)
