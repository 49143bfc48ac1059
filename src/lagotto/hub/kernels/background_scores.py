"""Background words and a few logits come in; what the words score on each logit goes out."""

import numpy as np
from jaxtyping import Float32

from lagotto.core.machine import usable_cores
from lagotto.hub.kernels.dispatch import current_kernel
from lagotto.hub.kernels.kernel import BackgroundTables, KernelName
from lagotto.hub.kernels.thread_pool import run_parallel


def background_scores(
    words: BackgroundTables,
    rules: tuple[float, int, int, float],
    descriptors: Float32[np.ndarray, "logits probes"],
    directions: Float32[np.ndarray, "logits dim"],
    concept: Float32[np.ndarray, " dim"],
    kernel: KernelName | None = None,
) -> tuple[Float32[np.ndarray, "4 logits"], Float32[np.ndarray, " logits"]]:
    """What the background words score on some logits.

    Args:
        words: The background words as one hub has measured them.
        rules: The cosine from which a word means the concept and is left out; how many words, best
            by their direction score, are scored on the probes; how many of these, best by both
            scores, are averaged; the weight of the direction score.
        descriptors: Blended descriptors, one row a logit.
        directions: The logits' directions in the encoder's space.
        concept: The unit embedding of the concept that is searched.
        kernel: By default the compiled one if it is loaded, else numpy's.

    Returns:
        The reference moments of each logit, and its rival score. The moments are mean and standard
        deviation, over the reference words, of the sums on the probes and of the direction scores.
        The rival score is the mean score of the best words, nan where no word is left.
    """
    logits = len(descriptors)
    results = np.empty((4, logits), np.float32), np.empty(logits, np.float32)
    tables = tuple(np.ascontiguousarray(table) for table in words)
    arrays = (np.ascontiguousarray(array) for array in (descriptors, directions, concept))
    same_word, shortlist, rivals, weight = rules
    limits = (np.float32(same_word), shortlist, rivals, np.float32(weight))
    task = (tables, limits, *arrays, results)
    step = max(1, -(-logits // usable_cores()))
    run_parallel(
        current_kernel(kernel).score_background,
        [(*task, (first, min(first + step, logits))) for first in range(0, logits, step)],
    )
    return results
