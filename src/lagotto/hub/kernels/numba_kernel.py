"""The compiled kernel: the same results as numpy's, at the speed of memory.

It is imported by `dispatch` when it pays. Its functions hold no lock while they run, so several
threads can share a scan.
"""

import os
from typing import Any

import numpy as np
from numba import types

from lagotto.hub.descriptors.rank_blend import score_levels
from lagotto.hub.kernels.kernel import Kernel
from lagotto.hub.kernels.numba_background import score_background
from lagotto.hub.kernels.numba_compile import compile_function
from lagotto.hub.kernels.numba_read import read_file_rows
from lagotto.hub.kernels.spans import as_whole_rows

_ROWS = types.Array(types.int8, 2, "C", readonly=True)
_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_PROBES = types.Array(types.int64, 1, "C", readonly=True)
_SCAN = types.void(_ROWS, _FLOATS, _PROBES, _FLOATS, types.float32[::1], types.int64, types.int64)
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

_CODES = 256
_LOWEST_CODE = -128


def _scan_distances(
    values: Any, steps: Any, probes: Any, query: Any, distances: Any, first: int, last: int
) -> None:
    """Writes distances[first:last]; eight rows at a time, to read and write the sums less often."""
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


def _scan_sums(
    values: Any, steps: Any, probes: Any, weights: Any, sums: Any, first: int, last: int
) -> None:
    """Writes sums[first:last], as `_scan_distances`; an invalid logit gets minus infinity."""
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


def _fill_table(own: Any, step: Any, level: Any, levels: Any, table: Any) -> None:
    """Writes the blended value of each whole number of a logit.

    `own` are the logit's quantiles, counted from the lowest whole number, and `level` is the score
    between two of them. A number between two quantiles is interpolated; a number that equals
    several gets their middle. `levels` is room to work in.
    """
    last = own.size - 1
    levels[: own[0]] = 0.0
    levels[own[last] :] = last if own[last] > own[last - 1] else last - 1
    below = 0
    for i in range(1, last + 1):
        if own[i] > own[i - 1]:
            levels[own[i - 1]] = (below + i - 1) / 2.0
            width = np.float32(own[i] - own[i - 1])
            for code in range(own[i - 1] + 1, own[i]):
                levels[code] = i - 1 + np.float64(np.float32(code - own[i - 1]) / width)
            below = i
    levels[own[last]] = (below + last) / 2.0
    flat = own[0] == own[last]
    for code in range(_CODES):
        plain = np.float32(code + _LOWEST_CODE) * step
        score = np.float32(levels[code] * np.float64(level))
        blended = (plain + score - np.float32(1)) / np.float32(2)
        table[code] = np.float32(0) if flat else blended


def _blend_columns(
    values: Any, quantiles: Any, steps: Any, level: Any, result: Any, begin: int, end: int
) -> None:
    """Writes some columns of `rank_blend.blend_by_quantiles`, each by a table of its values."""
    own, levels = np.empty(quantiles.shape[1], np.int64), np.empty(_CODES, np.float64)
    table = np.empty(_CODES, np.float32)
    for c in range(begin, end):
        for i in range(own.size):
            own[i] = quantiles[c, i] - _LOWEST_CODE
        _fill_table_compiled(own, steps[c], level, levels, table)
        for j in range(values.shape[0]):
            result[j, c] = table[values[j, c] - _LOWEST_CODE]


def _weigh_columns(
    table: Any,
    columns: Any,
    rows: Any,
    weights: Any,
    direction: Any,
    level: Any,
    results: Any,
) -> None:
    """Writes some logits' weighted sums of blended values, and products with a direction.

    The values are read a row at a time: logits that lie near each other share a page.
    """
    values, steps, quantiles, directions, direction_steps = table
    sums, direction_scores = results
    codes = np.empty((columns.size, rows.size), np.int64)
    for j in range(rows.size):
        row = values[rows[j]]
        for c in range(columns.size):
            codes[c, j] = row[columns[c]] - _LOWEST_CODE
    own, levels = np.empty(quantiles.shape[1], np.int64), np.empty(_CODES, np.float64)
    blended = np.empty(_CODES, np.float32)
    for c in range(columns.size):
        for i in range(own.size):
            own[i] = quantiles[columns[c], i] - _LOWEST_CODE
        _fill_table_compiled(own, steps[columns[c]], level, levels, blended)
        total = np.float32(0)
        for j in range(rows.size):
            total += weights[j] * blended[codes[c, j]]
        sums[c] = total
        row, total = directions[columns[c]], np.float32(0)
        for i in range(row.size):
            total += np.float32(row[i]) * direction[i]
        direction_scores[c] = total * direction_steps[columns[c]]


_fill_table_compiled = compile_function(_fill_table, _TABLE)
_blend_compiled = compile_function(_blend_columns, _BLEND)
_weigh_compiled = compile_function(_weigh_columns, _WEIGH, "contract", "reassoc")


def _blend(
    values: Any, quantiles: Any, steps: Any, probes: int, result: Any, first: int, last: int
) -> None:
    """Writes the columns from `first` to `last` of values and quantiles in whole steps, blended."""
    _blend_compiled(values, quantiles, steps, score_levels(probes)[1], result, first, last)


def _weigh(table: Any, *others: Any) -> None:
    """Writes the sums and the direction scores of some logits of a table, see numpy's."""
    *arrays, sums, direction_scores = others
    level = score_levels(table[0].shape[0])[1]
    table = (as_whole_rows(table[0]), *table[1:])
    _weigh_compiled(table, *arrays, level, (sums, direction_scores))


NUMBA_KERNEL = Kernel(
    compile_function(_scan_distances, _SCAN, "contract"),
    compile_function(_scan_sums, _SCAN, "contract"),
    _blend,
    _weigh,
    score_background,
    columns_apart=True,
    read_rows=read_file_rows if hasattr(os, "pread") else None,
)
