"""The compiled kernel's part for background words: the same results as numpy's, without tables.

It is written in loops because numpy's own functions take seconds to compile. A query of a million
logits takes an eighth longer without it (benchmarks/speed/query.py).
"""

from typing import Any

import numpy as np
from numba import types

from lagotto.core.zscore import ROUNDING, ROUNDINGS
from lagotto.hub.kernels.numba_compile import compile_function

_STEPS = ROUNDINGS * float(np.finfo(np.float32).eps)
_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_INDICES = types.Array(types.int64, 1, "C", readonly=True)
_TABLE = types.Array(types.float32, 2, "C", readonly=True)
_INDEX_TABLE = types.Array(types.int64, 2, "C", readonly=True)
_SUM = types.float32(_FLOATS, _INDICES, _FLOATS)
_MOMENTS = types.UniTuple(types.float32, 2)(types.float32[::1])
_TOP_K = types.void(types.float32[::1], types.int64[::1])
_DIRECTIONS = types.void(_TABLE, _FLOATS, _TABLE, types.int64, types.float32[:, ::1])
_COSINES = types.void(_TABLE, _FLOATS, types.float32[::1])
_RIVAL_SCORE = types.float32(
    *(_FLOATS, types.float32[::1], types.float32[::1]),
    types.Tuple((_INDEX_TABLE, _TABLE, _TABLE)),
    types.Tuple((types.int64, types.int64, types.float32)),
)
_SCORE_BACKGROUND = types.void(
    types.Tuple((_TABLE, _FLOATS, _INDEX_TABLE, _TABLE, _TABLE, _INDICES)),
    types.Tuple((types.float32, types.int64, types.int64, types.float32)),
    *(_TABLE, _TABLE, _FLOATS),
    types.Tuple((types.float32[:, ::1], types.float32[::1])),
    types.UniTuple(types.int64, 2),
)


def _one_sum(descriptor: Any, probes: Any, weights: Any) -> Any:
    """A logit's weighted sum over a word's probes."""
    total = np.float32(0)
    for j in range(probes.size):
        total += weights[j] * descriptor[probes[j]]
    return total


def _fill_direction_scores(
    embeddings: Any, origin: Any, directions: Any, first: int, scores: Any
) -> None:
    """Writes the words' dot products with some directions; four at a time, to read words once."""
    hits, dim = scores.shape[0], embeddings.shape[1]
    for word in range(embeddings.shape[0]):
        embedding = embeddings[word]
        for h in range(0, hits - 3, 4):
            d0, d1 = directions[first + h], directions[first + h + 1]
            d2, d3 = directions[first + h + 2], directions[first + h + 3]
            s0, s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for i in range(dim):
                value = embedding[i] - origin[i]
                s0 += value * d0[i]
                s1 += value * d1[i]
                s2 += value * d2[i]
                s3 += value * d3[i]
            scores[h, word], scores[h + 1, word] = s0, s1
            scores[h + 2, word], scores[h + 3, word] = s2, s3
        for h in range(hits - hits % 4, hits):
            d0, s0 = directions[first + h], np.float32(0)
            for i in range(dim):
                s0 += (embedding[i] - origin[i]) * d0[i]
            scores[h, word] = s0


def _fill_cosines(embeddings: Any, concept: Any, cosines: Any) -> None:
    """Writes the words' dot products with a concept."""
    for word in range(embeddings.shape[0]):
        embedding, total = embeddings[word], np.float32(0)
        for i in range(concept.size):
            total += embedding[i] * concept[i]
        cosines[word] = total


def _mean_and_spread(values: Any) -> Any:
    """As `zscore.moments` of one row."""
    total, squares, largest = 0.0, 0.0, 0.0
    for i in range(values.size):
        total += values[i]
        largest = max(largest, abs(values[i]))
    mean = total / values.size
    for i in range(values.size):
        squares += (values[i] - mean) ** 2
    spread = np.float32(np.sqrt(squares / values.size))
    equal = spread <= ROUNDING or spread <= _STEPS * largest
    return np.float32(mean), np.float32(1) if equal else spread


def _fill_top_k(values: Any, indices: Any) -> None:
    """Writes the indices of the highest values, in any order: what they are for is averaged."""
    least = 0
    for i in range(values.size):
        if i < indices.size:
            indices[i] = i
            if values[i] < values[indices[least]]:
                least = i
        elif values[i] > values[indices[least]]:
            indices[least] = i
            for j in range(indices.size):
                if values[indices[j]] < values[indices[least]]:
                    least = j


def _mean_of_best(
    descriptor: Any, direction_scores: Any, reference: Any, words: Any, rules: Any
) -> Any:
    """The mean score of a logit's best words: its rival score."""
    probes, weights, word_moments = words
    count, rivals, direction_weight = rules
    shortlist, best = np.empty(count, np.int64), np.empty(min(rivals, count), np.int64)
    _top_k(direction_scores, shortlist)
    scores = np.empty(count, np.float32)
    for i in range(count):
        word = shortlist[i]
        score = (_sum(descriptor, probes[word], weights[word]) - reference[0]) / reference[1]
        score = (score - word_moments[0, word]) / word_moments[1, word]
        scores[i] = score + direction_weight * direction_scores[word]
    _top_k(scores, best)
    total = np.float32(0)
    for i in range(best.size):
        total += scores[best[i]]
    return total / np.float32(best.size)


def _score_background(
    words: Any,
    rules: Any,
    descriptors: Any,
    directions: Any,
    concept: Any,
    results: Any,
    span: Any,
) -> None:
    """Writes the reference moments and the rival scores of the logits of a span."""
    embeddings, origin, probes, weights, word_moments, reference_words = words
    same_word, shortlist, rivals, direction_weight = rules
    moments, rival_scores = results
    first, last = span
    direction_scores = np.empty((last - first, embeddings.shape[0]), np.float32)
    _direction_scores(embeddings, origin, directions, first, direction_scores)
    cosines = np.empty(embeddings.shape[0], np.float32)
    _cosines(embeddings, concept, cosines)
    others = 0
    for word in range(cosines.size):
        others += cosines[word] < same_word
    sums, reference = np.empty(reference_words.size, np.float32), np.empty(4, np.float32)
    for hit in range(first, last):
        descriptor, scores = descriptors[hit], direction_scores[hit - first]
        for i in range(reference_words.size):
            sums[i] = _sum(descriptor, probes[reference_words[i]], weights[reference_words[i]])
        reference[0], reference[1] = _moments(sums)
        for i in range(reference_words.size):
            sums[i] = scores[reference_words[i]]
        reference[2], reference[3] = _moments(sums)
        for i in range(4):
            moments[i, hit] = reference[i]
        for word in range(scores.size):
            score = (scores[word] - reference[2]) / reference[3]
            score = (score - word_moments[2, word]) / word_moments[3, word]
            scores[word] = score if cosines[word] < same_word else -np.float32(np.inf)
        rival_scores[hit] = np.float32(np.nan)
        if others:
            limits = (min(shortlist, others), rivals, direction_weight)
            word_tables = (probes, weights, word_moments)
            rival_scores[hit] = _rival_score(descriptor, scores, reference, word_tables, limits)


_sum = compile_function(_one_sum, _SUM, "contract", "reassoc")
_direction_scores = compile_function(_fill_direction_scores, _DIRECTIONS, "contract", "reassoc")
_cosines = compile_function(_fill_cosines, _COSINES, "contract", "reassoc")
_moments = compile_function(_mean_and_spread, _MOMENTS, "contract", "reassoc")
_top_k = compile_function(_fill_top_k, _TOP_K)
_rival_score = compile_function(_mean_of_best, _RIVAL_SCORE, "contract", "reassoc")
score_background = compile_function(_score_background, _SCORE_BACKGROUND, "contract", "reassoc")
"""Writes reference moments and rival scores of some logits: see `background_scores`."""
