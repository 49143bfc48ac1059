"""Candidates of an approximate search come in; the best of them, scored exactly, go out."""

import numpy as np
from jaxtyping import Float, Float32, Int64


def best_candidates(
    query: Float32[np.ndarray, " dim"],
    numbers: Int64[np.ndarray, " candidates"],
    rows: Float[np.ndarray, "candidates dim"],
    top: int,
) -> tuple[Int64[np.ndarray, " top"], Float32[np.ndarray, " top"]]:
    """Row numbers and cosines of the best candidates; of equal ones the lower number comes first.

    Args:
        query: A unit query.
        numbers: The row numbers of the candidates, each once.
        rows: The unit rows of these numbers, as they are stored.
        top: How many, at most.
    """
    cosines = np.vecdot(rows.astype(np.float32), query)  # equal rows get equal cosines
    order = np.lexsort((numbers, -cosines))[:top]
    return numbers[order], cosines[order]
