"""Stage 5d of hub search: names × a few logits → weighted sums over each name's own probes.

What leads.py rests on, by whichever kernel is loaded (see kernel.py).
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.machine import usable_cores
from lagotto.hub.kernels.dispatch import KernelName, loaded
from lagotto.hub.kernels.thread_pool import run_parallel

WordTables: TypeAlias = tuple[
    Float32[np.ndarray, "words dim"],
    Float32[np.ndarray, " dim"],
    Int64[np.ndarray, "words k"],
    Float32[np.ndarray, "words k"],
    Float32[np.ndarray, "4 words"],
    Int64[np.ndarray, " usual"],
]
"""Words' embeddings, what all have in common, their surest probes with weights, their moments, and
the places of the usual ones: see rivals.py."""

_PRODUCTS_A_TASK = 500_000


def label_sums(
    descriptors: Float32[np.ndarray, "logits probes"],
    probes: Int64[np.ndarray, "names k"],
    weights: Float32[np.ndarray, "names k"],
    asked: Int64[np.ndarray, "logits asked"],
    kernel: KernelName | None = None,
) -> Float32[np.ndarray, "logits asked"]:
    """Weighted sums over their own probes of the names that are asked of each of some logits.

    `asked` are places among the names. Unless `kernel` is given, it is compiled where that is
    loaded.
    """
    result = np.empty(asked.shape, np.float32)
    tables = (descriptors, probes, weights, np.ascontiguousarray(asked), result)
    step = max(1, _PRODUCTS_A_TASK // max(1, asked.shape[1] * probes.shape[1]))
    run_parallel(
        loaded(kernel).name_sums,
        [(*tables, first, min(first + step, len(asked))) for first in range(0, len(asked), step)],
    )
    return result


def background_scores(
    words: WordTables,
    rules: tuple[float, int, int, float],
    descriptors: Float32[np.ndarray, "logits probes"],
    directions: Float32[np.ndarray, "logits dim"],
    concept: Float32[np.ndarray, " dim"],
    kernel: KernelName | None = None,
) -> tuple[Float32[np.ndarray, "4 logits"], Float32[np.ndarray, " logits"]]:
    """What words say of some logits, by blended descriptors and directions: moments and levels.

    The moments are those of a logit's scores over the usual words: mean and spread on the probes,
    and along its direction. The level is the mean fitted score (see leads.py) of its best words.
    `rules`: the cosine from which a word means the concept and is left out; how many words, best
    along the direction, are asked of the probes; how many of these are averaged; what the direction
    counts. The level is nan where no word is left. Unless `kernel` is given, it is compiled where
    that is loaded.
    """
    usual, levels = np.empty((4, len(descriptors)), np.float32), np.empty(len(descriptors), "f4")
    tables = tuple(np.ascontiguousarray(table) for table in words)
    asked = (np.ascontiguousarray(each) for each in (descriptors, directions, concept))
    same, shortlist, top, share = rules
    task = (tables, (np.float32(same), shortlist, top, np.float32(share)), *asked, (usual, levels))
    step = max(1, -(-len(descriptors) // usable_cores()))
    run_parallel(
        loaded(kernel).ask_words,
        [
            (*task, (first, min(first + step, len(descriptors))))
            for first in range(0, len(descriptors), step)
        ],
    )
    return usual, levels
