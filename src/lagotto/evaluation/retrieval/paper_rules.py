"""Layer 3: the rules that the paper compares, on whole batches: plain numpy (ProbeLog, section 4).

Every one takes queries (cosines of a text with the probes, or a descriptor) and the table of all
logits, and gives a score for every logit: higher is better.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from lagotto.core.errors import UsageError
from lagotto.evaluation.retrieval.logit_table import LogitTable
from lagotto.evaluation.retrieval.probe_selection import (
    ProbeSelection,
    distances,
    select_probes,
)

_GATHERED = 128
"""Probes up to which a query's own rows are read; with more, all rows in one matrix product."""


def standardize_rows(
    values: Float[np.ndarray, "queries probes"],
) -> Float32[np.ndarray, "queries probes"]:
    """Each query minus its mean over its standard deviation, as a search standardises it.

    Zeros for a query that is the same on every probe.
    """
    wide: Float64[np.ndarray, "queries probes"] = values.astype(np.float64)
    wide -= wide.mean(axis=1, keepdims=True)
    spread = wide.std(axis=1, keepdims=True)
    scaled = np.divide(wide, spread, out=np.zeros_like(wide), where=spread > 0)
    return np.asarray(scaled.astype(np.float32))


def paper_rule(
    values: Float32[np.ndarray, "queries probes"], table: LogitTable, k: int
) -> Float32[np.ndarray, "queries logits"]:
    """The paper's rule: minus the distance over the k probes that the query is surest of."""
    return selected(standardize_rows(values), table.descriptors, k, "top-k")


def full_query(
    values: Float32[np.ndarray, "queries probes"], table: LogitTable
) -> Float32[np.ndarray, "queries logits"]:
    """The baseline "full query": minus the distance over all probes."""
    return selected(standardize_rows(values), table.descriptors, values.shape[1], "all")


def model_level(
    values: Float32[np.ndarray, "queries probes"], table: LogitTable
) -> Float32[np.ndarray, "queries logits"]:
    """The baseline "model level": a model is the mean of its descriptors, standardised again.

    It finds models and cannot tell their outputs apart: all of a model have its score, so that the
    first of them stands for it.
    """
    sums = np.add.reduceat(table.descriptors, table.firsts, axis=1)  # zeros where set aside
    models = standardize_rows(sums.T).T
    whole = selected(standardize_rows(values), models, values.shape[1], "all")
    return whole[:, table.owners]


def selected(
    queries: Float32[np.ndarray, "queries probes"],
    standardized: Float32[np.ndarray, "probes logits"],
    k: int,
    selection: ProbeSelection,
    seed: int = 0,
) -> Float32[np.ndarray, "queries logits"]:
    """Minus the Euclidean distance over the probes that a selection takes for each query.

    The random selection of query i is seeded with seed + i. Raises UsageError unless k is one of 1
    to the number of probes.
    """
    if not 1 <= k <= queries.shape[1]:
        raise UsageError(
            f"k = {k} was asked for, and there are {queries.shape[1]} probes; "
            f"choose k between 1 and {queries.shape[1]}"
        )
    if selection == "all":
        return _over_weights(queries, standardized, np.ones_like(queries))
    chosen = np.stack(
        [select_probes(query, k, selection, seed + row) for row, query in enumerate(queries)]
    )
    if k > _GATHERED:
        weights = np.zeros_like(queries)
        np.put_along_axis(weights, chosen, np.float32(1), axis=1)
        return _over_weights(queries, standardized, weights)
    return _over_rows(queries, standardized, chosen)


def _over_rows(
    queries: Float32[np.ndarray, "queries probes"],
    standardized: Float32[np.ndarray, "probes logits"],
    chosen: Int64[np.ndarray, "queries k"],
) -> Float32[np.ndarray, "queries logits"]:
    scores = np.empty((len(queries), standardized.shape[1]), np.float32)
    for row, probes in enumerate(chosen):
        scores[row] = -distances(queries[row], standardized, probes)
    return scores


def _over_weights(
    queries: Float32[np.ndarray, "queries probes"],
    standardized: Float32[np.ndarray, "probes logits"],
    weights: Float32[np.ndarray, "queries probes"],
) -> Float32[np.ndarray, "queries logits"]:
    """The same by |q|² - 2 q·g + |g|², every term weighted: two matrix products."""
    weighted = weights * queries
    squares = np.einsum("qp,qp->q", weighted, queries)[:, None] - 2 * (weighted @ standardized)
    squares += weights @ np.square(standardized)
    return np.asarray(-np.sqrt(np.maximum(squares, 0)))
