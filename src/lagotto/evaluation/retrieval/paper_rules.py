"""Queries and a table of all logits come in; scores by each rule that the paper compares go out.

A query is the cosines of a text with the probes, or a descriptor; higher scores are better. The
rules are those of ProbeLog, section 4, in plain numpy.
"""

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.core.errors import UsageError
from lagotto.core.zscore import zscore_rows
from lagotto.evaluation.retrieval.logit_table import LogitTable
from lagotto.evaluation.retrieval.probe_selection import (
    SelectionName,
    distances,
    select_probes,
)

_GATHERED = 128
"""Up to so many probes a query's own rows are read; with more, all rows in a matrix product."""


def standardize_rows(
    values: Float[np.ndarray, "queries probes"],
) -> Float32[np.ndarray, "queries probes"]:
    """Queries as a search standardizes them; zeros for one that is the same on every probe."""
    return np.asarray(zscore_rows(values.astype(np.float64)), dtype=np.float32)


def paper_rule(
    values: Float32[np.ndarray, "queries probes"], table: LogitTable, k: int
) -> Float32[np.ndarray, "queries logits"]:
    """The paper's rule: minus the distance over the top k probes of the query."""
    return selected(standardize_rows(values), table.descriptors, k, "top-k")


def full_query(
    values: Float32[np.ndarray, "queries probes"], table: LogitTable
) -> Float32[np.ndarray, "queries logits"]:
    """The baseline "full query": minus the distance over all probes."""
    return selected(standardize_rows(values), table.descriptors, values.shape[1], "all")


def model_level(
    values: Float32[np.ndarray, "queries probes"], table: LogitTable
) -> Float32[np.ndarray, "queries logits"]:
    """The baseline "model level": a model is the mean of its descriptors, standardized again.

    It finds models and cannot tell their outputs apart: all outputs of a model get the same score.
    """
    sums = np.add.reduceat(table.descriptors, table.firsts, axis=1)  # zeros for invalid logits
    models = standardize_rows(sums.T).T
    whole = selected(standardize_rows(values), models, values.shape[1], "all")
    return whole[:, table.owners]


def selected(
    queries: Float32[np.ndarray, "queries probes"],
    standardized: Float32[np.ndarray, "probes logits"],
    k: int,
    selection: SelectionName,
    seed: int = 0,
) -> Float32[np.ndarray, "queries logits"]:
    """Minus the Euclidean distance over the probes that a selection takes for each query.

    Args:
        queries: Standardized queries.
        standardized: Descriptors.
        k: How many probes are selected.
        selection: Which probes.
        seed: The random selection of query i is seeded with seed + i.

    Returns:
        One row a query and one column a logit.

    Raises:
        UsageError: k is not one of 1 to the number of probes.
    """
    if not 1 <= k <= queries.shape[1]:
        raise UsageError(
            f"k = {k} was asked for, and there are {queries.shape[1]} probes; "
            f"choose k between 1 and {queries.shape[1]}"
        )
    if selection == "all":
        return _over_weights(queries, standardized, np.ones_like(queries))
    probes = np.stack(
        [select_probes(query, k, selection, seed + row) for row, query in enumerate(queries)]
    )
    if k > _GATHERED:
        weights = np.zeros_like(queries)
        np.put_along_axis(weights, probes, np.float32(1), axis=1)
        return _over_weights(queries, standardized, weights)
    return _over_rows(queries, standardized, probes)


def _over_rows(
    queries: Float32[np.ndarray, "queries probes"],
    standardized: Float32[np.ndarray, "probes logits"],
    probes: Int64[np.ndarray, "queries k"],
) -> Float32[np.ndarray, "queries logits"]:
    """Minus the distances over each query's own probes, read one query after the other."""
    scores = np.empty((len(queries), standardized.shape[1]), np.float32)
    for row, own in enumerate(probes):
        scores[row] = -distances(queries[row], standardized, own)
    return scores


def _over_weights(
    queries: Float32[np.ndarray, "queries probes"],
    standardized: Float32[np.ndarray, "probes logits"],
    weights: Float32[np.ndarray, "queries probes"],
) -> Float32[np.ndarray, "queries logits"]:
    """The same as |q|² - 2 q·g + |g|², with a weight of 0 or 1 a probe: two matrix products."""
    weighted = weights * queries
    squares = np.einsum("qp,qp->q", weighted, queries)[:, None] - 2 * (weighted @ standardized)
    squares += weights @ np.square(standardized)
    return np.asarray(-np.sqrt(np.maximum(squares, 0)))
