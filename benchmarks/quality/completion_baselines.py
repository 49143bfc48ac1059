"""The completions that ours is measured against: plain masked ALS, and SVD with mean filling.

References for docs/results.md and tests, in plain numpy; no part of the hub uses them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from lagotto.hub.completion.columns import SeenColumns


def alternating_least_squares(
    models: Sequence[SeenColumns],
    probes: int,
    rank: int = 32,
    ridge: float = 5.0,
    sweeps: int = 15,
    seed: int = 0,
) -> list[Float32[np.ndarray, "probes columns"]]:
    """Each model's columns on every probe: a ridge for its factors, a ridge for each probe's."""
    rng = np.random.default_rng(seed)
    factors = (rng.standard_normal((probes, rank)) / np.sqrt(rank)).astype(np.float32)
    eye = ridge * np.eye(rank, dtype=np.float32)

    def regress(model: SeenColumns) -> Float32[np.ndarray, "rank columns"]:
        own = factors[model.probes]
        solved: Float32[np.ndarray, "rank columns"] = np.linalg.solve(
            own.T @ own + eye, own.T @ model.values
        )
        return solved

    for _ in range(sweeps):
        squares = np.zeros((probes, rank, rank), dtype=np.float32) + eye
        products = np.zeros((probes, rank), dtype=np.float32)
        for model in models:
            columns = regress(model)
            squares[model.probes] += columns @ columns.T
            products[model.probes] += model.values @ columns.T
        factors = np.linalg.solve(squares, products[..., None])[..., 0]
    return [_kept(model, factors @ regress(model)) for model in models]


def filled_svd(
    models: Sequence[SeenColumns], probes: int, rank: int = 32
) -> list[Float32[np.ndarray, "probes columns"]]:
    """Holes filled with the columns' means (zero), then the best matrix of that rank."""
    filled = [np.zeros((probes, model.values.shape[1]), dtype=np.float32) for model in models]
    for model, columns in zip(models, filled, strict=True):
        columns[model.probes] = model.values
    joined = np.concatenate(filled, axis=1)
    squares, directions = np.linalg.eigh((joined @ joined.T).astype(np.float64))
    leading = directions[:, np.argsort(-squares)[:rank]].astype(np.float32)
    return [
        _kept(model, leading @ (leading.T @ columns))
        for model, columns in zip(models, filled, strict=True)
    ]


def _kept(
    model: SeenColumns, columns: Float32[np.ndarray, "probes columns"]
) -> Float32[np.ndarray, "probes columns"]:
    columns[model.probes] = model.values
    return columns
