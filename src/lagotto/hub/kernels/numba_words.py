"""The compiled kernel of what is asked of names: the same as numpy's, without tables between.

Loaded on demand by `kernel`. Written out in loops: numpy's own functions take seconds to compile.
"""

from typing import Any

import numpy as np
from numba import types

from lagotto.core.zscore import ROUNDING
from lagotto.hub.kernels.numba_kernel import compiled

_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_PLACES = types.Array(types.int64, 1, "C", readonly=True)
_TABLE = types.Array(types.float32, 2, "C", readonly=True)
_PLACES_TABLE = types.Array(types.int64, 2, "C", readonly=True)
_NAME_SUMS = types.void(
    _TABLE, _PLACES_TABLE, _TABLE, _PLACES_TABLE, types.float32[:, ::1], types.int64, types.int64
)
_SUM = types.float32(_FLOATS, _PLACES, _FLOATS)
_MOMENTS = types.UniTuple(types.float32, 2)(types.float32[::1])
_HIGHEST = types.void(types.float32[::1], types.int64[::1])
_DOT_WORDS = types.void(_TABLE, _FLOATS, _TABLE, types.int64, types.float32[:, ::1])
_COSINES = types.void(_TABLE, _FLOATS, types.float32[::1])
_LEVEL = types.float32(
    *(_FLOATS, types.float32[::1], types.float32[::1]),
    types.Tuple((_PLACES_TABLE, _TABLE, _TABLE)),
    types.Tuple((types.int64, types.int64, types.float32)),
)
_ASK_WORDS = types.void(
    types.Tuple((_TABLE, _FLOATS, _PLACES_TABLE, _TABLE, _TABLE, _PLACES)),
    types.Tuple((types.float32, types.int64, types.int64, types.float32)),
    *(_TABLE, _TABLE, _FLOATS),
    types.Tuple((types.float32[:, ::1], types.float32[::1])),
    types.UniTuple(types.int64, 2),
)


def _one_sum(own: Any, rows: Any, shares: Any) -> Any:
    """A logit's weighted sum over a name's probes."""
    total = np.float32(0)
    for j in range(rows.size):
        total += shares[j] * own[rows[j]]
    return total


def _name_sums(
    descriptors: Any, probes: Any, weights: Any, asked: Any, sums: Any, first: int, last: int
) -> None:
    """Writes sums[first:last], one after the other: a logit's descriptor stays in the cache."""
    for logit in range(first, last):
        own = descriptors[logit]
        for place in range(asked.shape[1]):
            name = asked[logit, place]
            sums[logit, place] = _sum(own, probes[name], weights[name])


def _along_words(embeddings: Any, origin: Any, directions: Any, first: int, along: Any) -> None:
    """Writes the words' dot products with some directions; four at a time, to read words once."""
    hits, dim = along.shape[0], embeddings.shape[1]
    for word in range(embeddings.shape[0]):
        own = embeddings[word]
        for h in range(0, hits - 3, 4):
            d0, d1 = directions[first + h], directions[first + h + 1]
            d2, d3 = directions[first + h + 2], directions[first + h + 3]
            s0, s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for i in range(dim):
                there = own[i] - origin[i]
                s0 += there * d0[i]
                s1 += there * d1[i]
                s2 += there * d2[i]
                s3 += there * d3[i]
            along[h, word], along[h + 1, word] = s0, s1
            along[h + 2, word], along[h + 3, word] = s2, s3
        for h in range(hits - hits % 4, hits):
            d0, s0 = directions[first + h], np.float32(0)
            for i in range(dim):
                s0 += (own[i] - origin[i]) * d0[i]
            along[h, word] = s0


def _cosines_of(embeddings: Any, concept: Any, cosines: Any) -> None:
    """Writes the words' dot products with a concept."""
    for word in range(embeddings.shape[0]):
        own, total = embeddings[word], np.float32(0)
        for i in range(concept.size):
            total += own[i] * concept[i]
        cosines[word] = total


def _mean_and_spread(values: Any) -> Any:
    """As `counting.moments`."""
    total, squares = 0.0, 0.0
    for i in range(values.size):
        total += values[i]
    mean = total / values.size
    for i in range(values.size):
        squares += (values[i] - mean) ** 2
    spread = np.float32(np.sqrt(squares / values.size))
    return np.float32(mean), spread if spread > ROUNDING else np.float32(1)


def _places_of_highest(values: Any, places: Any) -> None:
    """Writes where the highest values are, as many as there are places, in any order."""
    least = 0
    for i in range(values.size):
        if i < places.size:
            places[i] = i
            if values[i] < values[places[least]]:
                least = i
        elif values[i] > values[places[least]]:
            places[least] = i
            for at in range(places.size):
                if values[places[at]] < values[places[least]]:
                    least = at


def _level(own: Any, along: Any, usual: Any, words: Any, rules: Any) -> Any:
    """The mean fitted score of a logit's best words, by what they score along its direction."""
    probes, weights, measured = words
    kept, top, share = rules
    short, best = np.empty(kept, np.int64), np.empty(min(top, kept), np.int64)
    _highest(along, short)
    scores = np.empty(kept, np.float32)
    for at in range(kept):
        word = short[at]
        score = (_sum(own, probes[word], weights[word]) - usual[0]) / usual[1]
        scores[at] = (score - measured[0, word]) / measured[1, word] + share * along[word]
    _highest(scores, best)
    total = np.float32(0)
    for at in range(best.size):
        total += scores[best[at]]
    return total / np.float32(best.size)


def _ask_words(
    words: Any,
    rules: Any,
    descriptors: Any,
    directions: Any,
    concept: Any,
    made: Any,
    span: Any,
) -> None:
    """Writes the moments over the usual words, and the levels, of the logits of a span."""
    embeddings, origin, probes, weights, measured, places = words
    same_from, shortlist, top, share = rules
    usual, levels = made
    first, last = span
    along = np.empty((last - first, embeddings.shape[0]), np.float32)
    _dot_words(embeddings, origin, directions, first, along)
    cosines = np.empty(embeddings.shape[0], np.float32)
    _cosines(embeddings, concept, cosines)
    others = 0
    for word in range(cosines.size):
        others += cosines[word] < same_from
    sums, own_usual = np.empty(places.size, np.float32), np.empty(4, np.float32)
    for hit in range(first, last):
        own, there = descriptors[hit], along[hit - first]
        for i in range(places.size):
            sums[i] = _sum(own, probes[places[i]], weights[places[i]])
        own_usual[0], own_usual[1] = _moments(sums)
        for i in range(places.size):
            sums[i] = there[places[i]]
        own_usual[2], own_usual[3] = _moments(sums)
        for i in range(4):
            usual[i, hit] = own_usual[i]
        for word in range(there.size):
            score = (there[word] - own_usual[2]) / own_usual[3]
            score = (score - measured[2, word]) / measured[3, word]
            there[word] = score if cosines[word] < same_from else -np.float32(np.inf)
        levels[hit] = np.float32(np.nan)
        if others:
            asked = (min(shortlist, others), top, share)
            levels[hit] = _level_of(own, there, own_usual, (probes, weights, measured), asked)


_sum = compiled(_one_sum, _SUM, "contract", "reassoc")
name_sums = compiled(_name_sums, _NAME_SUMS, "contract", "reassoc")
_dot_words = compiled(_along_words, _DOT_WORDS, "contract", "reassoc")
_cosines = compiled(_cosines_of, _COSINES, "contract", "reassoc")
_moments = compiled(_mean_and_spread, _MOMENTS, "contract", "reassoc")
_highest = compiled(_places_of_highest, _HIGHEST)
_level_of = compiled(_level, _LEVEL, "contract", "reassoc")
ask_words = compiled(_ask_words, _ASK_WORDS, "contract", "reassoc")
