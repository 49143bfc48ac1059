"""Stage 5 of zero-shot classification: the votes of image and captions → one prediction.

All rules but that of PaperCode are pure functions of one picture's votes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from lagotto.core.vectors import softmax
from lagotto.zeroshot.votes import confidence


@dataclass(frozen=True, slots=True)
class Pooled:
    """Probabilities over the labels, and the shares of image and captions, summing to 1."""

    probabilities: Float64[np.ndarray, "pictures labels"]
    weights: Float64[np.ndarray, "pictures 2"]


@dataclass(frozen=True, slots=True)
class MeanConfidence:
    """Mean confidence of both votes over a calibration run, for the paper's rule."""

    image: float = 1.0
    captions: float = 1.0


def pool_paper(
    image: Float64[np.ndarray, "pictures labels"],
    captions: Float64[np.ndarray, "pictures labels"],
    means: MeanConfidence,
) -> Pooled:
    """The paper's rule without state: each vote weighted by confidence / mean confidence."""
    a = confidence(image) / max(means.image, 1e-12)
    b = confidence(captions) / max(means.captions, 1e-12)
    return _weighted(image, captions, np.maximum(a, 0), np.maximum(b, 0))


@dataclass(slots=True)
class PaperCode:
    """The released script's weighting, its state made explicit: sums over all pictures so far.

    A prediction depends on which pictures came before, and in which order.
    """

    image_total: float = 0.0
    caption_total: float = 0.0

    def pool(
        self,
        image: Float64[np.ndarray, "pictures labels"],
        captions: Float64[np.ndarray, "pictures labels"],
    ) -> Pooled:
        """The pictures' predictions, one after the other; each adds its confidences first."""
        alphas, betas = confidence(image), confidence(captions)
        a, b = np.zeros(len(image)), np.zeros(len(image))
        for row in range(len(image)):
            self.image_total += float(alphas[row])
            self.caption_total += float(betas[row])
            a[row] = alphas[row] / self.image_total if self.image_total else 0.0
            b[row] = betas[row] / self.caption_total if self.caption_total else 0.0
        return _weighted(image, captions, a, b)


def pool_guarded(
    image_logits: Float[np.ndarray, "pictures labels"],
    captions: Float64[np.ndarray, "pictures labels"],
    caption_weight: Float64[np.ndarray, " pictures"],
) -> Pooled:
    """A product of experts: softmax(image_logits + caption_weight * log(caption vote)).

    `caption_weight` is what the captions have earned, relative to the image; 0 declines them.
    """
    floor = np.log(np.maximum(captions, 1e-12))
    mixed = softmax(image_logits + caption_weight[:, None] * floor)
    return Pooled(mixed, _shares(np.ones(len(captions)), caption_weight))


def image_alone(votes: Float64[np.ndarray, "pictures labels"], *, image: bool) -> Pooled:
    """One vote as the prediction: the image's, or the captions'."""
    shares = np.tile([1.0, 0.0] if image else [0.0, 1.0], (len(votes), 1))
    return Pooled(votes.copy(), shares)


def _weighted(
    image: Float64[np.ndarray, "pictures labels"],
    captions: Float64[np.ndarray, "pictures labels"],
    a: Float64[np.ndarray, " pictures"],
    b: Float64[np.ndarray, " pictures"],
) -> Pooled:
    """The weighted sum of both votes, as probabilities; the image alone where both weigh 0."""
    shares = _shares(a, b)
    return Pooled(shares[:, :1] * image + shares[:, 1:] * captions, shares)


def _shares(
    a: Float64[np.ndarray, " pictures"], b: Float64[np.ndarray, " pictures"]
) -> Float64[np.ndarray, "pictures 2"]:
    """Both weights over their sum; (1, 0) where the sum is 0."""
    total = a + b
    empty = total <= 0
    safe = np.where(empty, 1.0, total)
    return np.stack([np.where(empty, 1.0, a / safe), np.where(empty, 0.0, b / safe)], axis=1)
