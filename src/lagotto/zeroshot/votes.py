"""Stage 4 of zero-shot classification: query pictures and their captions → votes over labels.

X-MoRe (arXiv 2308.15273), section 3: the image's vote, the mean of its captions' votes, and how
sure each is. Everything is a pure function of embeddings.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64

from lagotto.core.vectors import entropy, softmax


def image_vote(
    pictures: Float[np.ndarray, "pictures dim"],
    prompts: Float[np.ndarray, "labels dim"],
    scale: float,
) -> Float64[np.ndarray, "pictures labels"]:
    """softmax(scale * cosine) of each picture over the labels; rows are unit embeddings."""
    return softmax(scale * (pictures @ prompts.T))


def caption_vote(
    captions: Float[np.ndarray, "pictures k dim"],
    there: Bool[np.ndarray, "pictures k"],
    prompts: Float[np.ndarray, "labels dim"],
    scale: float,
    usual: Float[np.ndarray, " labels"] | None = None,
) -> Float64[np.ndarray, "pictures labels"]:
    """Mean over a picture's captions of softmax(scale * (cosine - usual)) over the labels.

    `there` is false where a picture has fewer captions; without any, the vote is uniform.
    `usual` is each label's mean cosine over captions of anything, zero if not given.
    """
    labels = len(prompts)
    if captions.shape[1] == 0:
        return np.full((len(captions), labels), 1 / labels)
    cosines = captions.astype(np.float32) @ prompts.astype(np.float32).T
    votes = softmax(scale * (cosines if usual is None else cosines - usual))
    counts = there.sum(axis=1)
    total: Float64[np.ndarray, "pictures labels"] = (votes * there[:, :, None]).sum(axis=1)
    total[counts == 0] = 1 / labels
    return np.asarray(total / np.maximum(counts, 1)[:, None])


def confidence(votes: Float[np.ndarray, "*rows labels"]) -> Float64[np.ndarray, "*rows"]:
    """1 - entropy / log(labels): 0 for a uniform vote, 1 for a certain one."""
    return np.asarray(1 - entropy(votes) / np.log(votes.shape[-1]))
