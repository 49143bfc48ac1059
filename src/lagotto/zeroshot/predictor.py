"""Stage 4 and 5 of zero-shot classification, by mode: retrieved captions → pooled votes.

All the label-dependent state of a classifier is here; it is read, never changed, but in the mode
`paper-code`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.zeroshot.calibration.calibration import Calibration
from lagotto.zeroshot.fusion import (
    MeanConfidence,
    PaperCode,
    Pooled,
    image_alone,
    pool_guarded,
    pool_paper,
)
from lagotto.zeroshot.retrieval import Retrieved
from lagotto.zeroshot.types import Mode
from lagotto.zeroshot.votes import caption_vote, image_vote

NO_CAPTIONS = "the store has no captions for it"
NOT_CALIBRATED = "the store has too few captioned pictures to tell what its captions are worth"
CODE_PREFIX = "a_photo_of_a "
"""What the released script puts before every caption."""


@dataclass(frozen=True, slots=True)
class GuardedSetting:
    """What the guarded rule knows: the calibration, prompts moved by captions that name them, and
    the mean picture and mean caption of the store."""

    calibration: Calibration
    named: Float32[np.ndarray, "labels dim"]
    mean_picture: Float32[np.ndarray, " dim"]
    mean_caption: Float32[np.ndarray, " dim"]


@dataclass(frozen=True, slots=True)
class PicturesVotes:
    """The outcome for some pictures: `declined` says of each why its captions were not asked."""

    image: Float64[np.ndarray, "pictures labels"]
    pooled: Pooled
    declined: tuple[str, ...]


@dataclass(slots=True)
class Voting:
    """How pictures are classified once their captions are known.

    `guarded` is None where the store could not be calibrated; `encode` gives the captions of the
    mode `paper-code` anew, with CODE_PREFIX.
    """

    mode: Mode
    prompts: Float32[np.ndarray, "labels dim"]
    scale: float
    guarded: GuardedSetting | None = None
    means: MeanConfidence = field(default_factory=MeanConfidence)
    encode: Callable[[Retrieved], Float32[np.ndarray, "pictures k dim"]] | None = None
    paper_code: PaperCode = field(default_factory=PaperCode)

    def vote(
        self, pictures: Float32[np.ndarray, "pictures dim"], found: Retrieved | None
    ) -> PicturesVotes:
        """The prediction of each picture; `found` is None in the mode image-only alone."""
        image = image_vote(pictures, self.prompts, self.scale)
        if found is None:
            return PicturesVotes(image, image_alone(image, image=True), ("",) * len(pictures))
        if self.mode == "guarded":
            return self._guarded(pictures, image, found)
        empty = np.asarray(~found.there.any(axis=1))
        embeddings = found.embeddings
        if self.mode == "paper-code" and self.encode is not None:
            embeddings = self.encode(found)
        captions = caption_vote(embeddings, found.there, self.prompts, self.scale)
        pooled = image_alone(image, image=True)
        asked = np.flatnonzero(~empty)
        if len(asked):
            _put(pooled, asked, self._pool(image[asked], captions[asked]))
        return PicturesVotes(image, pooled, tuple(NO_CAPTIONS if none else "" for none in empty))

    def _pool(
        self,
        image: Float64[np.ndarray, "pictures labels"],
        captions: Float64[np.ndarray, "pictures labels"],
    ) -> Pooled:
        if self.mode == "paper":
            return pool_paper(image, captions, self.means)
        if self.mode == "paper-code":
            return self.paper_code.pool(image, captions)
        return image_alone(captions, image=False)

    def _guarded(
        self,
        pictures: Float32[np.ndarray, "pictures dim"],
        image: Float64[np.ndarray, "pictures labels"],
        found: Retrieved,
    ) -> PicturesVotes:
        known = self.guarded
        if known is None:
            return PicturesVotes(
                image, image_alone(image, image=True), (NOT_CALIBRATED,) * len(pictures)
            )
        learned = known.calibration
        near = learned.nearness(found.reach) * found.there.any(axis=1)
        centred = pictures - learned.prior * known.mean_picture
        logits = self.scale * (
            (1 - near[:, None]) * (centred @ self.prompts.T)
            + near[:, None] * (centred @ known.named.T)
        )
        usual = known.named @ known.mean_caption
        captions = caption_vote(found.embeddings, found.there, known.named, self.scale, usual)
        pooled = pool_guarded(logits, captions, near * learned.caption_weight)
        declined = tuple(
            "" if close > 0 else _too_far(float(reach), learned)
            for close, reach in zip(near, found.reach, strict=True)
        )
        return PicturesVotes(image, pooled, declined)


def _too_far(reach: float, learned: Calibration) -> str:
    if not np.isfinite(reach):
        return NO_CAPTIONS
    return (
        f"no captions near enough: the nearest stored pictures have cosine {reach:.2f} with it, "
        f"{learned.far:.2f} is needed"
    )


def _put(pooled: Pooled, rows: np.ndarray, part: Pooled) -> None:
    """Writes a part's rows in their places."""
    pooled.probabilities[rows] = part.probabilities
    pooled.weights[rows] = part.weights
