"""The compiled kernel of hub search: the same as numpy's, at the speed of memory.

Loaded on demand by `kernel`. It holds no lock while it runs, so threads may share a scan.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

from lagotto.hubsearch.blending import score_levels
from lagotto.hubsearch.counting import ROUNDING

_ROWS = types.Array(types.int8, 2, "C", readonly=True)
_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_PROBES = types.Array(types.int64, 1, "C", readonly=True)
_SCAN = types.void(_ROWS, _FLOATS, _PROBES, _FLOATS, types.float32[::1], types.int64, types.int64)
_GATHER = types.void(_ROWS, _PROBES, _PROBES, types.int8[:, ::1])
_BLEND = types.void(
    _ROWS, _ROWS, _FLOATS, types.float32, types.float32[:, ::1], types.int64, types.int64
)
_TABLE = types.void(
    types.int64[::1], types.float32, types.float32, types.float64[::1], types.float32[::1]
)
_WEIGH = types.void(
    types.Tuple((_ROWS, _FLOATS, _ROWS, _ROWS, _FLOATS)),
    *(_PROBES, _PROBES, _FLOATS, _FLOATS, types.float32),
    types.UniTuple(types.float32[::1], 2),
)
_PLACES = types.Array(types.int64, 2, "C", readonly=True)
_TABLES = types.Array(types.float32, 2, "C", readonly=True)
_NAME_SUMS = types.void(
    _TABLES, _PLACES, _TABLES, _PLACES, types.float32[:, ::1], types.int64, types.int64
)
_ASK_WORDS = types.void(
    types.Tuple((_TABLES, _FLOATS, _PLACES, _TABLES, _TABLES, _PROBES)),
    types.Tuple((types.float32, types.int64, types.int64, types.float32)),
    *(_TABLES, _TABLES, _FLOATS),
    types.Tuple((types.float32[:, ::1], types.float32[::1])),
    types.UniTuple(types.int64, 2),
)

_MOMENTS = types.UniTuple(types.float32, 2)(types.float32[::1])
_DOT_WORDS = types.void(_TABLES, _FLOATS, _TABLES, types.int64, types.float32[:, ::1])
_LEVEL = types.float32(
    *(_FLOATS, types.float32[::1], types.float32[::1]),
    types.Tuple((_PLACES, _TABLES, _TABLES)),
    types.Tuple((types.int64, types.int64, types.float32)),
)

_CODES = 256
_LOWEST_CODE = -128


def _fill(
    values: Any, steps: Any, probes: Any, query: Any, distances: Any, first: int, last: int
) -> None:
    """Writes distances[first:last]; eight rows a pass, to read and write the sums less often."""
    k = probes.size
    sums, s = distances[first:last], steps[first:last]
    sums[:] = np.float32(0)
    for j in range(0, k - 7, 8):
        r0, q0 = values[probes[j], first:last], query[j]
        r1, q1 = values[probes[j + 1], first:last], query[j + 1]
        r2, q2 = values[probes[j + 2], first:last], query[j + 2]
        r3, q3 = values[probes[j + 3], first:last], query[j + 3]
        r4, q4 = values[probes[j + 4], first:last], query[j + 4]
        r5, q5 = values[probes[j + 5], first:last], query[j + 5]
        r6, q6 = values[probes[j + 6], first:last], query[j + 6]
        r7, q7 = values[probes[j + 7], first:last], query[j + 7]
        for c in range(sums.size):
            d0 = q0 - s[c] * np.float32(r0[c])
            d1 = q1 - s[c] * np.float32(r1[c])
            d2 = q2 - s[c] * np.float32(r2[c])
            d3 = q3 - s[c] * np.float32(r3[c])
            d4 = q4 - s[c] * np.float32(r4[c])
            d5 = q5 - s[c] * np.float32(r5[c])
            d6 = q6 - s[c] * np.float32(r6[c])
            d7 = q7 - s[c] * np.float32(r7[c])
            sums[c] += (d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3) + (
                d4 * d4 + d5 * d5 + d6 * d6 + d7 * d7
            )
    for j in range(k - k % 8, k):
        row, q = values[probes[j], first:last], query[j]
        for c in range(sums.size):
            d = q - s[c] * np.float32(row[c])
            sums[c] += d * d
    for c in range(sums.size):
        sums[c] = np.sqrt(sums[c]) if s[c] > 0 else np.float32(np.inf)


def _fill_sums(
    values: Any, steps: Any, probes: Any, weights: Any, sums: Any, first: int, last: int
) -> None:
    """Writes sums[first:last], as `_fill` does; a flawed logit gets minus infinity."""
    k = probes.size
    own, s = sums[first:last], steps[first:last]
    own[:] = np.float32(0)
    for j in range(0, k - 7, 8):
        r0, w0 = values[probes[j], first:last], weights[j]
        r1, w1 = values[probes[j + 1], first:last], weights[j + 1]
        r2, w2 = values[probes[j + 2], first:last], weights[j + 2]
        r3, w3 = values[probes[j + 3], first:last], weights[j + 3]
        r4, w4 = values[probes[j + 4], first:last], weights[j + 4]
        r5, w5 = values[probes[j + 5], first:last], weights[j + 5]
        r6, w6 = values[probes[j + 6], first:last], weights[j + 6]
        r7, w7 = values[probes[j + 7], first:last], weights[j + 7]
        for c in range(own.size):
            own[c] += (
                w0 * np.float32(r0[c])
                + w1 * np.float32(r1[c])
                + w2 * np.float32(r2[c])
                + w3 * np.float32(r3[c])
            ) + (
                w4 * np.float32(r4[c])
                + w5 * np.float32(r5[c])
                + w6 * np.float32(r6[c])
                + w7 * np.float32(r7[c])
            )
    for j in range(k - k % 8, k):
        row, w = values[probes[j], first:last], weights[j]
        for c in range(own.size):
            own[c] += w * np.float32(row[c])
    for c in range(own.size):
        own[c] = own[c] * s[c] if s[c] > 0 else -np.float32(np.inf)


def _gather(values: Any, rows: Any, columns: Any, chosen: Any) -> None:
    """Writes the chosen rows of the chosen columns."""
    for j in range(rows.size):
        row, own = values[rows[j]], chosen[j]
        for c in range(columns.size):
            own[c] = row[columns[c]]


def _codes_blended(own: Any, step: Any, level: Any, places: Any, table: Any) -> None:
    """Writes what each code of a logit becomes, by its knots, which count from the lowest code.

    `level` is the score between two knots. A code between two knots lies between their places, one
    that equals some in their middle. `places` is room to work in.
    """
    last = own.size - 1
    places[: own[0]] = 0.0
    places[own[last] :] = last if own[last] > own[last - 1] else last - 1
    below = 0
    for i in range(1, last + 1):
        if own[i] > own[i - 1]:
            places[own[i - 1]] = (below + i - 1) / 2.0
            width = np.float32(own[i] - own[i - 1])
            for code in range(own[i - 1] + 1, own[i]):
                places[code] = i - 1 + np.float64(np.float32(code - own[i - 1]) / width)
            below = i
    places[own[last]] = (below + last) / 2.0
    flat = own[0] == own[last]
    for code in range(_CODES):
        plain = np.float32(code + _LOWEST_CODE) * step
        score = np.float32(places[code] * np.float64(level))
        raised = (plain + score - np.float32(1)) / np.float32(2)
        table[code] = np.float32(0) if flat else raised


def _blend(
    codes: Any, knots: Any, steps: Any, level: Any, result: Any, begin: int, end: int
) -> None:
    """Writes some columns of `blending.blended`, each by a table of what its codes become."""
    own, places = np.empty(knots.shape[1], np.int64), np.empty(_CODES, np.float64)
    table = np.empty(_CODES, np.float32)
    for c in range(begin, end):
        for i in range(own.size):
            own[i] = knots[c, i] - _LOWEST_CODE
        _table(own, steps[c], level, places, table)
        for j in range(codes.shape[0]):
            result[j, c] = table[codes[j, c] - _LOWEST_CODE]


def _weigh(
    table: Any,
    columns: Any,
    rows: Any,
    weights: Any,
    direction: Any,
    level: Any,
    made: Any,
) -> None:
    """Writes the chosen logits' weighted sums of blended values, and dot products with a direction.

    The values are read a row at a time: chosen logits that lie near each other share a page.
    """
    values, steps, knots, directions, direction_steps = table
    sums, along = made
    codes = np.empty((columns.size, rows.size), np.int64)
    for j in range(rows.size):
        row = values[rows[j]]
        for c in range(columns.size):
            codes[c, j] = row[columns[c]] - _LOWEST_CODE
    own, places = np.empty(knots.shape[1], np.int64), np.empty(_CODES, np.float64)
    raised = np.empty(_CODES, np.float32)
    for c in range(columns.size):
        for i in range(own.size):
            own[i] = knots[columns[c], i] - _LOWEST_CODE
        _table(own, steps[columns[c]], level, places, raised)
        total = np.float32(0)
        for j in range(rows.size):
            total += weights[j] * raised[codes[c, j]]
        sums[c] = total
        row, total = directions[columns[c]], np.float32(0)
        for i in range(row.size):
            total += np.float32(row[i]) * direction[i]
        along[c] = total * direction_steps[columns[c]]


def _name_sums(
    descriptors: Any, probes: Any, weights: Any, asked: Any, sums: Any, first: int, last: int
) -> None:
    """Writes sums[first:last], one after the other: a logit's descriptor stays in the cache."""
    for logit in range(first, last):
        own = descriptors[logit]
        for place in range(asked.shape[1]):
            name = asked[logit, place]
            rows, shares, total = probes[name], weights[name], np.float32(0)
            for j in range(rows.size):
                total += shares[j] * own[rows[j]]
            sums[logit, place] = total


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


def _mean_and_spread(values: Any) -> Any:
    """As `counting.moments`."""
    mean, spread = values.mean(), np.float32(values.std())
    return mean, spread if spread > ROUNDING else np.float32(1)


def _level(own: Any, along: Any, usual: Any, words: Any, rules: Any) -> Any:
    """The mean fitted score of a logit's best words, by what they score along its direction."""
    probes, weights, measured = words
    shortlist, top, share = rules
    kept = min(shortlist, np.isfinite(along).sum())
    if kept == 0:
        return np.float32(np.nan)
    least = np.partition(along, along.size - kept)[along.size - kept]
    best = np.full(min(top, kept), -np.inf, np.float32)
    for word in range(along.size):
        if along[word] < least or kept == 0:
            continue
        kept -= 1
        rows, shares, score = probes[word], weights[word], np.float32(0)
        for j in range(rows.size):
            score += shares[j] * own[rows[j]]
        score = (score - usual[0]) / usual[1]
        score = (score - measured[0, word]) / measured[1, word] + share * along[word]
        lowest = best.argmin()
        best[lowest] = max(best[lowest], score)
    return best.mean()


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
    cosines = np.empty((1, embeddings.shape[0]), np.float32)
    _dot_words(embeddings, np.zeros_like(origin), concept.reshape(1, -1), 0, cosines)
    sums, own_usual = np.empty(places.size, np.float32), np.empty(4, np.float32)
    for hit in range(first, last):
        own, there = descriptors[hit], along[hit - first]
        for i in range(places.size):
            rows, shares, total = probes[places[i]], weights[places[i]], np.float32(0)
            for j in range(rows.size):
                total += shares[j] * own[rows[j]]
            sums[i] = total
        own_usual[0], own_usual[1] = _moments(sums)
        for i in range(places.size):
            sums[i] = there[places[i]]
        own_usual[2], own_usual[3] = _moments(sums)
        for word in range(there.size):
            counted = (there[word] - own_usual[2]) / own_usual[3]
            counted = (counted - measured[2, word]) / measured[3, word]
            there[word] = counted if cosines[0, word] < same_from else -np.inf
        levels[hit] = _best_level(
            own, there, own_usual, (probes, weights, measured), (shortlist, top, share)
        )
        usual[:, hit] = own_usual


def _compile(function: Callable[..., Any], signature: Any, *relaxed: str) -> Callable[..., Any]:
    """Compiles once and keeps the machine code on disk where some cache folder can be written.

    `relaxed` are the freedoms that its arithmetic has; none: as numpy rounds.
    """
    # Tests wrap every function to check its shapes; the compiler needs the function itself.
    bare = inspect.unwrap(function)
    try:
        return njit(signature, nogil=True, fastmath=set(relaxed), cache=True)(bare)  # type: ignore[no-any-return]
    except (RuntimeError, OSError):
        return njit(signature, nogil=True, fastmath=set(relaxed))(bare)  # type: ignore[no-any-return]


fill = _compile(_fill, _SCAN, "contract")
fill_sums = _compile(_fill_sums, _SCAN, "contract")
gather = _compile(_gather, _GATHER)
name_sums = _compile(_name_sums, _NAME_SUMS, "contract", "reassoc")
_table = _compile(_codes_blended, _TABLE)
_moments = _compile(_mean_and_spread, _MOMENTS)
_dot_words = _compile(_along_words, _DOT_WORDS, "contract", "reassoc")
_best_level = _compile(_level, _LEVEL, "contract", "reassoc")
ask_words = _compile(_ask_words, _ASK_WORDS, "contract", "reassoc")
_blend_by_level = _compile(_blend, _BLEND)
_weigh_by_level = _compile(_weigh, _WEIGH, "contract", "reassoc")


def blend(
    codes: Any, knots: Any, steps: Any, probes: int, result: Any, first: int, last: int
) -> None:
    """Writes the columns from `first` to `last` of values and knots in whole steps, blended."""
    _blend_by_level(codes, knots, steps, score_levels(probes)[1], result, first, last)


def weigh(table: Any, *others: Any) -> None:
    """Writes the sums and the dot products of some logits of a table, see numpy's."""
    *asked, sums, along = others
    _weigh_by_level(table, *asked, score_levels(table[0].shape[0])[1], (sums, along))
