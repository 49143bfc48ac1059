"""Labels and a few logits come in; the weighted sum of each label on each logit goes out."""

import numpy as np
from jaxtyping import Float32, Int64


def label_sums(
    descriptors: Float32[np.ndarray, "logits probes"],
    probes: Int64[np.ndarray, "labels k"],
    weights: Float32[np.ndarray, "labels k"],
    queried: Int64[np.ndarray, "logits queried"],
) -> Float32[np.ndarray, "logits queried"]:
    """Weighted sums of labels on some logits, each label over its own k probes.

    Args:
        descriptors: Blended descriptors, one row a logit.
        probes: The probes of each label.
        weights: The weight of each of these probes.
        queried: For each logit the indices of the labels that are summed on it.

    Returns:
        One sum for each queried label of each logit.
    """
    sums = np.empty(queried.shape, np.float32)
    for logit, labels in enumerate(queried):
        sums[logit] = np.einsum("nk,nk->n", weights[labels], descriptors[logit, probes[labels]])
    return sums
