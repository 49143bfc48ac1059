"""Two features and answers come in; a probability rising in one, falling in the other goes out.

Part of none_calibration.py, which says what it is for.
"""

from dataclasses import dataclass

import numpy as np

CELLS = 12
ROUNDS = 60


@dataclass(frozen=True)
class Surface:
    """P(none) on a grid of evidence and confidence, rising in the first, falling in the second."""

    edges: tuple[np.ndarray, np.ndarray]
    values: np.ndarray

    def at(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        rows, columns = (
            np.searchsorted(edges, values)
            for edges, values in zip(self.edges, (first, second), strict=True)
        )
        return np.asarray(self.values[rows, columns])


def fit_surface(first: np.ndarray, second: np.ndarray, none: np.ndarray) -> Surface:
    """The isotonic regression on a grid, by alternating fits along rows and columns (Dykstra)."""
    shares = np.linspace(0, 1, CELLS + 1)[1:-1]
    edges = (np.quantile(first, shares), np.unique(np.quantile(second, shares)))
    rows, columns = np.searchsorted(edges[0], first), np.searchsorted(edges[1], second)
    shape = (len(edges[0]) + 1, len(edges[1]) + 1)
    counts, sums = np.full(shape, 2.0), np.ones(shape)  # a cell without pictures is even
    np.add.at(counts, (rows, columns), 1)
    np.add.at(sums, (rows, columns), none)
    values, corrections = sums / counts, [np.zeros(shape), np.zeros(shape)]
    for turn in range(2 * ROUNDS):
        given = values - corrections[turn % 2]
        if turn % 2:
            values = np.stack([-rising(-row, w) for row, w in zip(given, counts, strict=True)])
        else:
            values = np.stack([rising(c, w) for c, w in zip(given.T, counts.T, strict=True)]).T
        corrections[turn % 2] = values - given
    return Surface(edges, np.clip(values, 0.01, 0.99))


def rising(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The rising sequence of least weighted squared error."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        total, mass, count = value * weight, weight, 1
        while blocks and blocks[-1][0] * mass >= total * blocks[-1][1]:
            before = blocks.pop()
            total, mass, count = total + before[0], mass + before[1], count + before[2]
        blocks.append((total, mass, count))
    return np.repeat([total / mass for total, mass, _ in blocks], [n for _, _, n in blocks])
