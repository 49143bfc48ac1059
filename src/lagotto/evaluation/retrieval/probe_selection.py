"""A query comes in; the probes that each selection of the paper's ablation takes go out.

The selections are those of ProbeLog's table of selections, in plain numpy. The hub's own search is
tested against them, so they sort by themselves and do not use the hub's top k.
"""

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Float32, Int64

SelectionName: TypeAlias = Literal["top-k", "all", "random-k", "quantiles", "bottom-k"]


def select_probes(
    query: Float[np.ndarray, " probes"], k: int, selection: SelectionName, seed: int = 0
) -> Int64[np.ndarray, " selected"]:
    """Indices of the probes on which query and descriptors are compared.

    Args:
        query: The query's value on every probe.
        k: How many probes; "all" takes all of them.
        selection: "quantiles" takes the probes at evenly spaced ranks of the query.
        seed: Of the selection "random-k".

    Example:
        >>> select_probes(np.array([0.5, 2.0, 2.0, -1.0]), 2, "top-k").tolist()
        [1, 2]
    """
    order = np.argsort(-query, kind="stable").astype(np.int64)
    if selection == "top-k":
        return order[:k]
    if selection == "bottom-k":
        return order[-k:]
    if selection == "random-k":
        return np.random.default_rng(seed).choice(len(query), size=k, replace=False)
    if selection == "quantiles":
        return order[np.linspace(0, len(query) - 1, k).round().astype(np.int64)]
    return order


def distances(
    query: Float[np.ndarray, " probes"],
    standardized: Float[np.ndarray, "probes logits"],
    selected: Int64[np.ndarray, " selected"],
) -> Float32[np.ndarray, " logits"]:
    """Euclidean distance of the query to every descriptor over the selected probes."""
    difference = standardized[selected] - query[selected, None]
    squared: Float32[np.ndarray, " logits"] = np.einsum("pl,pl->l", difference, difference)
    distances: Float32[np.ndarray, " logits"] = np.sqrt(squared).astype(np.float32)
    return distances
