"""Pictures, labels and background words as embeddings come in; the evidence against the labels
goes out.

A softmax over the labels alone cannot say that none of them fits: it sums to 1. Here the labels
compete with a background vocabulary, as a concept does in the search of a hub.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64

from lagotto.core.vectors import unit_rows

SHARPNESS = 1.5
"""Scale of the scores, over the encoder's own logit scale. benchmarks/quality/none_of_these.py"""

LABEL_COSINE = 0.6
"""Cosine of a word and a label, as directions from the mean of the background words, from which the
word says the label itself and is no rival of it. benchmarks/quality/none_of_these.py"""


def rival_words(
    prompts: Float[np.ndarray, "labels dim"], background: Float[np.ndarray, "words dim"]
) -> Bool[np.ndarray, " words"]:
    """Which background words are rivals of the labels: those that say none of them."""
    mean = background.mean(axis=0)
    rivals = rival_directions(unit_rows(prompts - mean), unit_rows(background - mean))
    return np.asarray(rivals.all(axis=0))


def rival_directions(
    labels: Float[np.ndarray, "labels dim"], words: Float[np.ndarray, "words dim"]
) -> Bool[np.ndarray, "labels words"]:
    """Which words are rivals of each label, by directions from the background's mean."""
    return np.asarray(labels @ words.T < LABEL_COSINE)


def evidence_against(
    label_cosines: Float[np.ndarray, "pictures labels"],
    rival_cosines: Float[np.ndarray, "pictures rivals"],
    scale: float,
) -> Float64[np.ndarray, " pictures"]:
    """The log odds of any rival word against any label, by the picture alone.

    They are no calibrated odds: there are far more rivals than labels. See `curve`.

    Args:
        label_cosines: Cosine of each picture with each label.
        rival_cosines: Cosine of each picture with each rival word.
        scale: The encoder's logit scale.
    """
    sharp = SHARPNESS * scale
    return np.asarray(_log_sum_exp(sharp * rival_cosines) - _log_sum_exp(sharp * label_cosines))


def _log_sum_exp(values: Float[np.ndarray, "rows columns"]) -> Float64[np.ndarray, " rows"]:
    wide = values.astype(np.float64)
    highest = wide.max(axis=1)
    return np.asarray(highest + np.log(np.exp(wide - highest[:, None]).sum(axis=1)))
