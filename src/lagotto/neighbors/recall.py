"""How much of the exact answer an index finds, measured on its own rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from lagotto.neighbors.base import RowIndex

SAMPLE_QUERIES = 200
_SEED = 0
_SAME = 1e-6
"""Cosines that differ by less are one: which of two equal rows is found does not count."""


@dataclass(frozen=True, slots=True)
class Recall:
    """The mean share of the `at` nearest rows that is found; None where there are none."""

    at: int
    share: float | None
    sampled: int


def measure_recall(
    index: RowIndex,
    exact: RowIndex,
    rows: Float[np.ndarray, "rows dim"],
    numbers: Int64[np.ndarray, " numbers"],
    at: int,
) -> Recall:
    """Recall on a seeded sample of the rows in `numbers`, each left out of its own answer."""
    if len(numbers) < 2:
        return Recall(at, None, 0)
    rng = np.random.default_rng(_SEED)
    sample = np.sort(rng.choice(numbers, min(SAMPLE_QUERIES, len(numbers)), replace=False))
    queries = np.asarray(rows[sample], np.float32)
    places, near = index.search(queries, at + 1)
    true_places, true_near = exact.search(queries, at + 1)
    shares = []
    for i, own in enumerate(sample):
        wanted = true_near[i][true_places[i] != own][:at]
        found = near[i][places[i] != own][:at]
        shares.append(float((found >= wanted[-1] - _SAME).sum()) / len(wanted))
    return Recall(at, float(np.mean(shares)), len(sample))
