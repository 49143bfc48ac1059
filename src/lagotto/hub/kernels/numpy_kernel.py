"""The kernel of hub search in numpy: it works everywhere, and the compiled one is held to it."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int8, Int64

from lagotto.core.vectors import quiet_product
from lagotto.core.zscore import moments, zscore
from lagotto.hub.descriptors.rank_blend import blended

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
    knots: Int8[np.ndarray, "columns knots"],
    steps: Float32[np.ndarray, " columns"],
    probes: int,
    result: Float32[np.ndarray, "rows columns"],
    first: int,
    last: int,
) -> None:
    """Writes the columns from `first` to `last` of values and knots in whole steps, blended."""
    part = slice(first, last)
    result[:, part] = blended(codes[:, part], knots[part].T, probes, steps[part])


def weigh(
    table: tuple[np.ndarray, ...],
    columns: Int64[np.ndarray, " columns"],
    rows: Int64[np.ndarray, " k"],
    weights: Float32[np.ndarray, " k"],
    direction: Float32[np.ndarray, " dim"],
    sums: Float32[np.ndarray, " columns"],
    along: Float32[np.ndarray, " columns"],
) -> None:
    """Writes the columns' weighted sums of blended values, and dot products with a direction."""
    values, steps, knots, directions, direction_steps = table
    own, probes = knots[columns].T, len(values)
    raised = blended(values[np.ix_(rows, columns)], own, probes, steps[columns])
    sums[:] = np.einsum("kc,k->c", raised, weights)
    along[:] = directions[columns].astype(np.float32) @ direction
    along *= direction_steps[columns]


def name_sums(
    descriptors: Float32[np.ndarray, "logits probes"],
    probes: Int64[np.ndarray, "names k"],
    weights: Float32[np.ndarray, "names k"],
    asked: Int64[np.ndarray, "logits asked"],
    sums: Float32[np.ndarray, "logits asked"],
    first: int,
    last: int,
) -> None:
    """Writes sums[first:last]: of each logit, over the probes of each name asked of it."""
    for logit in range(first, last):
        names = asked[logit]
        sums[logit] = np.einsum("nk,nk->n", weights[names], descriptors[logit, probes[names]])


def ask_words(
    words: tuple[np.ndarray, ...],
    rules: tuple[np.float32, int, int, np.float32],
    descriptors: Float32[np.ndarray, "logits probes"],
    directions: Float32[np.ndarray, "logits dim"],
    concept: Float32[np.ndarray, " dim"],
    made: tuple[Float32[np.ndarray, "4 logits"], Float32[np.ndarray, " logits"]],
    span: tuple[int, int],
) -> None:
    """Writes the moments over the usual words, and the levels, of the logits of a span."""
    embeddings, origin, probes, weights, measured, places = words
    same_from, shortlist, top, share = rules
    first, last = span
    own, there = descriptors[first:last], directions[first:last]
    along = quiet_product(embeddings, there.T).T - quiet_product(there, origin[:, None])
    sums = np.empty((len(own), len(places)), np.float32)
    asked = np.broadcast_to(places, sums.shape)
    name_sums(own, probes, weights, asked, sums, 0, len(own))
    usual = np.concatenate([moments(each, axis=1) for each in (sums, along[:, places])])
    made[0][:, first:last] = usual
    same = quiet_product(embeddings, concept[:, None])[:, 0] >= same_from
    kept = min(shortlist, int((~same).sum()))
    if kept == 0:
        made[1][first:last] = np.nan
        return
    along = zscore(zscore(along, *usual[2:, :, None]), *measured[2:])
    along[:, same] = -np.inf
    short = np.argpartition(-along, kept - 1, axis=1)[:, :kept]
    sums = np.empty(short.shape, np.float32)
    name_sums(own, probes, weights, short, sums, 0, len(own))
    scores = zscore(zscore(sums, *usual[:2, :, None]), *measured[:2, short])
    scores += share * np.take_along_axis(along, short, axis=1)
    top = min(top, kept)
    made[1][first:last] = np.partition(scores, kept - top, axis=1)[:, kept - top :].mean(axis=1)


def _parts(first: int, last: int, rows: int) -> Iterator[slice]:
    """The columns from `first` to `last`, so many at once that their rows stay in the cache."""
    width = max(_LEAST_COLUMNS, _VALUES_AT_ONCE // max(1, rows))
    return (slice(begin, min(begin + width, last)) for begin in range(first, last, width))
