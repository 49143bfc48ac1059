"""The votes of image and captions come in; one distribution over the labels a picture goes out.

All rules are pure functions of one picture's votes, except PaperCode, which has state.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from lagotto.zeroshot.votes import confidence


@dataclass(frozen=True, slots=True)
class Pooled:
    """Probabilities over the labels, and the weights of image and captions, which sum to 1."""

    probabilities: Float64[np.ndarray, "pictures labels"]
    weights: Float64[np.ndarray, "pictures 2"]


@dataclass(frozen=True, slots=True)
class MeanConfidence:
    """The mean confidences of image votes and caption votes over a store, for the paper's rule."""

    image: float = 1.0
    captions: float = 1.0


def pool_paper(
    image: Float64[np.ndarray, "pictures labels"],
    captions: Float64[np.ndarray, "pictures labels"],
    means: MeanConfidence,
) -> Pooled:
    """The paper's rule without state: each vote weighs confidence / mean confidence."""
    image_weight = confidence(image) / max(means.image, 1e-12)
    caption_weight = confidence(captions) / max(means.captions, 1e-12)
    return _weighted_sum(
        image, captions, np.maximum(image_weight, 0), np.maximum(caption_weight, 0)
    )


@dataclass(slots=True)
class PaperCode:
    """The weighting of the paper's released script, with its state made explicit.

    The state is the sums of confidences over all pictures so far. A prediction therefore depends
    on which pictures came before, and in which order.
    """

    image_total: float = 0.0
    caption_total: float = 0.0

    def pool(
        self,
        image: Float64[np.ndarray, "pictures labels"],
        captions: Float64[np.ndarray, "pictures labels"],
    ) -> Pooled:
        """Pools the pictures one after the other; each adds its confidences to the sums first."""
        image_confidences, caption_confidences = confidence(image), confidence(captions)
        image_weights, caption_weights = np.zeros(len(image)), np.zeros(len(image))
        for row in range(len(image)):
            self.image_total += float(image_confidences[row])
            self.caption_total += float(caption_confidences[row])
            image_weights[row] = (
                image_confidences[row] / self.image_total if self.image_total else 0.0
            )
            caption_weights[row] = (
                caption_confidences[row] / self.caption_total if self.caption_total else 0.0
            )
        return _weighted_sum(image, captions, image_weights, caption_weights)


def single_vote(votes: Float64[np.ndarray, "pictures labels"], *, image: bool) -> Pooled:
    """One vote alone as the prediction: the image's if `image`, else the captions'."""
    shares = np.tile([1.0, 0.0] if image else [0.0, 1.0], (len(votes), 1))
    return Pooled(votes.copy(), shares)


def _weighted_sum(
    image: Float64[np.ndarray, "pictures labels"],
    captions: Float64[np.ndarray, "pictures labels"],
    image_weights: Float64[np.ndarray, " pictures"],
    caption_weights: Float64[np.ndarray, " pictures"],
) -> Pooled:
    """The weighted mean of both votes; the image's alone where both weights are 0."""
    shares = _normalize_weights(image_weights, caption_weights)
    return Pooled(shares[:, :1] * image + shares[:, 1:] * captions, shares)


def _normalize_weights(
    image_weights: Float64[np.ndarray, " pictures"],
    caption_weights: Float64[np.ndarray, " pictures"],
) -> Float64[np.ndarray, "pictures 2"]:
    """Both weights divided by their sum; (1, 0) where the sum is 0."""
    total = image_weights + caption_weights
    no_weight = total <= 0
    divisor = np.where(no_weight, 1.0, total)
    return np.stack(
        [
            np.where(no_weight, 1.0, image_weights / divisor),
            np.where(no_weight, 0.0, caption_weights / divisor),
        ],
        axis=1,
    )
