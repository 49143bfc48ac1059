"""Embeddings of pictures, captions and prompts come in; votes over the labels go out.

X-MoRe (arXiv 2308.15273), section 3: the vote of the image, the mean vote of its captions, and the
confidence of a vote. All functions are pure.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64

from lagotto.core.vectors import entropy, softmax


def image_vote(
    pictures: Float[np.ndarray, "pictures dim"],
    prompts: Float[np.ndarray, "labels dim"],
    scale: float,
) -> Float64[np.ndarray, "pictures labels"]:
    """The vote of each picture itself: softmax(scale * cosine) over the labels.

    Args:
        pictures: Unit embeddings of the pictures.
        prompts: Unit embeddings of the labels' prompts.
        scale: The encoder's logit scale.
    """
    return softmax(scale * (pictures @ prompts.T))


def caption_vote(
    captions: Float[np.ndarray, "pictures k dim"],
    present: Bool[np.ndarray, "pictures k"],
    prompts: Float[np.ndarray, "labels dim"],
    scale: float,
) -> Float64[np.ndarray, "pictures labels"]:
    """The mean vote of each picture's captions: softmax(scale * cosine) over the labels.

    Args:
        captions: Unit embeddings of the captions of each picture.
        present: False where a picture has fewer than k captions; without any the vote is uniform.
        prompts: Unit embeddings of the labels' prompts.
        scale: The encoder's logit scale.
    """
    labels = len(prompts)
    if captions.shape[1] == 0:
        return np.full((len(captions), labels), 1 / labels)
    votes = softmax(scale * (captions.astype(np.float32) @ prompts.astype(np.float32).T))
    counts = present.sum(axis=1)
    total: Float64[np.ndarray, "pictures labels"] = (votes * present[:, :, None]).sum(axis=1)
    total[counts == 0] = 1 / labels
    return np.asarray(total / np.maximum(counts, 1)[:, None])


def confidence(votes: Float[np.ndarray, "*rows labels"]) -> Float64[np.ndarray, "*rows"]:
    """The confidence of each vote, 1 - entropy / log(labels): 0 if uniform, 1 if certain.

    A vote on a single label is certain.
    """
    return np.asarray(1 - entropy(votes) / np.log(max(votes.shape[-1], 2)))
