"""The kernel of hub search in numpy: it works everywhere, and the compiled one is held to it."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int8, Int64

from lagotto.hubsearch.blending import blended

_VALUES_AT_ONCE = 400_000
_LEAST_COLUMNS = 1024


def fill(
    values: Int8[np.ndarray, "probes logits"],
    steps: Float32[np.ndarray, " logits"],
    probes: Int64[np.ndarray, " k"],
    query: Float32[np.ndarray, " k"],
    distances: Float32[np.ndarray, " logits"],
    first: int,
    last: int,
) -> None:
    """Writes distances[first:last], in parts that stay in the processor's cache."""
    for part in _parts(first, last, len(probes)):
        difference = values[probes, part] * steps[part]
        difference -= query[:, None]
        distances[part] = np.sqrt(np.einsum("kc,kc->c", difference, difference))
    distances[first:last][steps[first:last] == 0] = np.inf


def fill_sums(
    values: Int8[np.ndarray, "probes logits"],
    steps: Float32[np.ndarray, " logits"],
    probes: Int64[np.ndarray, " k"],
    weights: Float32[np.ndarray, " k"],
    sums: Float32[np.ndarray, " logits"],
    first: int,
    last: int,
) -> None:
    """Writes sums[first:last], in parts that stay in the processor's cache."""
    for part in _parts(first, last, len(probes)):
        sums[part] = weights @ values[probes, part].astype(np.float32)
        sums[part] *= steps[part]
    sums[first:last][steps[first:last] == 0] = -np.inf


def gather(
    values: Int8[np.ndarray, "rows logits"],
    rows: Int64[np.ndarray, " k"],
    columns: Int64[np.ndarray, " columns"],
    chosen: Int8[np.ndarray, "k columns"],
) -> None:
    """Writes the chosen rows of the chosen columns."""
    chosen[:] = values[np.ix_(rows, columns)]


def blend(
    codes: Int8[np.ndarray, "rows columns"],
    knots: Int8[np.ndarray, "knots columns"],
    steps: Float32[np.ndarray, " columns"],
    probes: int,
    result: Float32[np.ndarray, "rows columns"],
    first: int,
    last: int,
) -> None:
    """Writes the columns from `first` to `last` of values and knots in whole steps, blended."""
    part = slice(first, last)
    result[:, part] = blended(codes[:, part], knots[:, part], probes, steps[part])


def along(
    directions: Int8[np.ndarray, "logits dim"],
    steps: Float32[np.ndarray, " logits"],
    columns: Int64[np.ndarray, " columns"],
    query: Float32[np.ndarray, " dim"],
    products: Float32[np.ndarray, " columns"],
) -> None:
    """Writes the dot products of the chosen logits' directions with one."""
    products[:] = directions[columns].astype(np.float32) @ query
    products *= steps[columns]


def _parts(first: int, last: int, rows: int) -> Iterator[slice]:
    """The columns from `first` to `last`, so many at once that their rows stay in the cache."""
    width = max(_LEAST_COLUMNS, _VALUES_AT_ONCE // max(1, rows))
    return (slice(begin, min(begin + width, last)) for begin in range(first, last, width))
