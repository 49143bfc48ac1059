"""The kernel in numpy: it works everywhere, and the compiled one is tested against it."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int8, Int64

from lagotto.core.vectors import quiet_product
from lagotto.core.zscore import moments, zscore
from lagotto.hub.descriptors.rank_blend import blend_by_quantiles
from lagotto.hub.kernels.kernel import BackgroundTables, Kernel, WholeTable
from lagotto.hub.kernels.label_sums import label_sums

_VALUES_AT_ONCE = 400_000
_LEAST_COLUMNS = 1024


def _scan_distances(
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


def _scan_sums(
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


def _blend(
    values: Int8[np.ndarray, "rows columns"],
    quantiles: Int8[np.ndarray, "columns quantiles"],
    steps: Float32[np.ndarray, " columns"],
    probes: int,
    result: Float32[np.ndarray, "rows columns"],
    first: int,
    last: int,
) -> None:
    """Writes the columns from `first` to `last` of values and quantiles in whole steps, blended."""
    part = slice(first, last)
    result[:, part] = blend_by_quantiles(values[:, part], quantiles[part].T, probes, steps[part])


def _weigh(
    table: WholeTable,
    columns: Int64[np.ndarray, " columns"],
    rows: Int64[np.ndarray, " k"],
    weights: Float32[np.ndarray, " k"],
    direction: Float32[np.ndarray, " dim"],
    sums: Float32[np.ndarray, " columns"],
    direction_scores: Float32[np.ndarray, " columns"],
) -> None:
    """Writes the columns' weighted sums of blended values, and products with a direction."""
    values, steps, quantiles, directions, direction_steps = table
    some, probes = values[np.ix_(rows, columns)], len(values)
    blended = blend_by_quantiles(some, quantiles[columns].T, probes, steps[columns])
    sums[:] = np.einsum("kc,k->c", blended, weights)
    direction_scores[:] = directions[columns].astype(np.float32) @ direction
    direction_scores *= direction_steps[columns]


def _score_background(
    words: BackgroundTables,
    rules: tuple[np.float32, int, int, np.float32],
    descriptors: Float32[np.ndarray, "logits probes"],
    directions: Float32[np.ndarray, "logits dim"],
    concept: Float32[np.ndarray, " dim"],
    results: tuple[Float32[np.ndarray, "4 logits"], Float32[np.ndarray, " logits"]],
    span: tuple[int, int],
) -> None:
    """Writes the reference moments and the rival scores of the logits of a span."""
    embeddings, origin, probes, weights, word_moments, reference_words = words
    same_word, shortlist, rivals, direction_weight = rules
    part = slice(*span)
    values, turned = descriptors[part], directions[part]
    scores = quiet_product(embeddings, turned.T).T - quiet_product(turned, origin[:, None])
    queried = np.broadcast_to(reference_words, (len(values), len(reference_words)))
    sums = label_sums(values, probes, weights, queried)
    both = (sums, scores[:, reference_words])
    reference = np.concatenate([moments(each, axis=1) for each in both])
    results[0][:, part] = reference
    same = quiet_product(embeddings, concept[:, None])[:, 0] >= same_word
    count = min(shortlist, int((~same).sum()))
    if count == 0:
        results[1][part] = np.nan
        return
    scores = zscore(zscore(scores, *reference[2:, :, None]), *word_moments[2:])
    scores[:, same] = -np.inf
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]  # in any order: they are averaged
    sums = label_sums(values, probes, weights, best)
    fitted = zscore(zscore(sums, *reference[:2, :, None]), *word_moments[:2, best])
    fitted += direction_weight * np.take_along_axis(scores, best, axis=1)
    rivals = min(rivals, count)
    results[1][part] = np.partition(fitted, count - rivals, axis=1)[:, count - rivals :].mean(
        axis=1
    )


def _parts(first: int, last: int, rows: int) -> Iterator[slice]:
    """The columns from `first` to `last`, so many at once that their rows stay in the cache."""
    width = max(_LEAST_COLUMNS, _VALUES_AT_ONCE // max(1, rows))
    return (slice(begin, min(begin + width, last)) for begin in range(first, last, width))


NUMPY_KERNEL = Kernel(_scan_distances, _scan_sums, _blend, _weigh, _score_background)
