"""An approximate and an exact index come in; the recall of the approximate one goes out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from lagotto.neighbors.base import RowIndex, StoredRows

SAMPLE_QUERIES = 200
_SEED = 0
_SAME = 1e-6
"""Cosines that differ by less are equal: which of two equal rows is found does not count."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall at `at`: the mean share of the `at` nearest rows that is found; None without rows.

    `sampled` is the number of queries that it was measured with.
    """

    at: int
    share: float | None
    sampled: int


def measure_recall(
    index: RowIndex,
    exact: RowIndex,
    rows: StoredRows,
    numbers: Int64[np.ndarray, " numbers"],
    at: int,
) -> Recall:
    """Recall on a seeded sample of the rows in `numbers`; no row is its own neighbor."""
    if len(numbers) < 2:
        return Recall(at, None, 0)
    rng = np.random.default_rng(_SEED)
    sample = np.sort(rng.choice(numbers, min(SAMPLE_QUERIES, len(numbers)), replace=False))
    queries = np.asarray(rows[sample], np.float32)
    row_numbers, cosines = index.search(queries, at + 1)
    true_numbers, true_cosines = exact.search(queries, at + 1)
    shares = []
    for i, row in enumerate(sample):
        expected = true_cosines[i][true_numbers[i] != row][:at]
        actual = cosines[i][row_numbers[i] != row][:at]
        shares.append(float((actual >= expected[-1] - _SAME).sum()) / len(expected))
    return Recall(at, float(np.mean(shares)), len(sample))
