"""Embeddings of pictures and their captions come in; pooled votes, by mode, go out.

This module holds all state of a classifier that depends on the labels. Only the mode `paper-code`
changes that state.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.vectors import softmax
from lagotto.zeroshot.calibration.calibration import Calibration
from lagotto.zeroshot.fusion import (
    MeanConfidence,
    PaperCode,
    Pooled,
    pool_paper,
    single_vote,
)
from lagotto.zeroshot.prompts.adaptation import PromptShift
from lagotto.zeroshot.retrieval import Retrieval
from lagotto.zeroshot.types import Mode
from lagotto.zeroshot.votes import caption_vote, image_vote

NO_CAPTIONS = "the store has no captions for it"
NOT_CALIBRATED = "the store has too few captioned pictures to tell what its captions are worth"
LEAST_TEXTS = 5_000
"""Captions of a store that cannot be calibrated from which they are asked.
benchmarks/quality/caption_votes.py"""
TEXT_SHIFT = PromptShift(captions=1.0, pictures=0.0)
"""How far prompts are shifted then. benchmarks/quality/caption_votes.py"""

CODE_PREFIX = "a_photo_of_a "
"""The prefix that the paper's released script puts before every caption."""


@dataclass(frozen=True, slots=True)
class GuardedSetting:
    """The parameters of the guarded rule for one store and one set of labels.

    `shifted_prompts` are the labels' prompts, shifted towards the captions that name them.
    `mean_picture` is the mean embedding of the store's pictures. Without a `calibration`, as of a
    store of texts alone, there is no prior, and prompts are shifted for every picture.
    """

    calibration: Calibration | None
    shifted_prompts: Float32[np.ndarray, "labels dim"]
    mean_picture: Float32[np.ndarray, " dim"]


@dataclass(frozen=True, slots=True)
class BatchVotes:
    """The votes on some pictures; `declined` says why a picture's captions did not vote, or ""."""

    image: Float64[np.ndarray, "pictures labels"]
    pooled: Pooled
    declined: tuple[str, ...]


@dataclass(slots=True)
class Voting:
    """The voting rule of one mode: classifies pictures whose captions were retrieved.

    `guarded` is None if the store has too little for the guarded rule. `reencode` embeds the
    captions again with CODE_PREFIX, for the mode `paper-code`.
    """

    mode: Mode
    prompts: Float32[np.ndarray, "labels dim"]
    scale: float
    guarded: GuardedSetting | None = None
    means: MeanConfidence = field(default_factory=MeanConfidence)
    reencode: Callable[[Retrieval], Float32[np.ndarray, "pictures k dim"]] | None = None
    paper_code: PaperCode = field(default_factory=PaperCode)

    def vote(
        self, pictures: Float32[np.ndarray, "pictures dim"], retrieved: Retrieval | None
    ) -> BatchVotes:
        """The votes on each picture; `retrieved` is None only in the mode image-only."""
        image = image_vote(pictures, self.prompts, self.scale)
        if retrieved is None:
            return BatchVotes(image, single_vote(image, image=True), ("",) * len(pictures))
        if self.mode == "guarded":
            return self._guarded(pictures, image, retrieved)
        empty = np.asarray(~retrieved.present.any(axis=1))
        embeddings = retrieved.embeddings
        if self.mode == "paper-code" and self.reencode is not None:
            embeddings = self.reencode(retrieved)
        captions = caption_vote(embeddings, retrieved.present, self.prompts, self.scale)
        pooled = single_vote(image, image=True)
        rows = np.flatnonzero(~empty)
        if len(rows):
            _assign_rows(pooled, rows, self._pool(image[rows], captions[rows]))
        return BatchVotes(image, pooled, tuple(NO_CAPTIONS if flag else "" for flag in empty))

    def _pool(
        self,
        image: Float64[np.ndarray, "pictures labels"],
        captions: Float64[np.ndarray, "pictures labels"],
    ) -> Pooled:
        if self.mode == "paper":
            return pool_paper(image, captions, self.means)
        if self.mode == "paper-code":
            return self.paper_code.pool(image, captions)
        return single_vote(captions, image=False)

    def _guarded(
        self,
        pictures: Float32[np.ndarray, "pictures dim"],
        image: Float64[np.ndarray, "pictures labels"],
        retrieved: Retrieval,
    ) -> BatchVotes:
        setting = self.guarded
        if setting is None:
            return BatchVotes(
                image, single_vote(image, image=True), (NOT_CALIBRATED,) * len(pictures)
            )
        calibration = setting.calibration
        similarity = retrieved.neighbour_similarity
        gate = np.asarray(retrieved.present.any(axis=1), np.float64)
        prompts, centred = setting.shifted_prompts, pictures
        if calibration is not None:
            gate = gate * calibration.gate(similarity)
            centred = pictures - calibration.prior * setting.mean_picture
        logits = self.scale * (
            (1 - gate[:, None]) * (centred @ self.prompts.T) + gate[:, None] * (centred @ prompts.T)
        )
        pooled = single_vote(softmax(logits), image=True)
        declined = tuple(
            "" if value > 0 else _reason_declined(nearness, calibration)
            for value, nearness in zip(gate, similarity.tolist(), strict=True)
        )
        return BatchVotes(image, pooled, declined)


def _reason_declined(similarity: float, calibration: Calibration | None) -> str:
    """Why the captions of a picture with this neighbour similarity are not asked."""
    if calibration is None or not np.isfinite(similarity):
        return NO_CAPTIONS
    return (
        f"no captions near enough: the nearest stored pictures have cosine {similarity:.2f} with "
        f"it, {calibration.gate_low:.2f} is needed"
    )


def _assign_rows(pooled: Pooled, rows: np.ndarray, part: Pooled) -> None:
    """Writes the rows of `part` into these rows of `pooled`."""
    pooled.probabilities[rows] = part.probabilities
    pooled.weights[rows] = part.weights
