"""Pictures that the encoder takes for faces, texts or unsafe ones come in; why each is left out.

The encoder decides, by words: it errs in both directions, and what it says is no promise. A set
that is to be published wants eyes on its contact sheet too.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lagotto.encoders.base import Encoder
from lagotto.hub.query.probe_weights import ProbeSpace

EXCLUDED = {
    "a face": (
        "a close-up portrait of a person",
        "a selfie",
        "a photo of the face of a person",
        "a passport photo",
    ),
    "text alone": (
        "a page of text",
        "a screenshot of a document",
        "a scanned letter",
        "a slide with text",
    ),
    "unsafe": (
        "a naked person",
        "pornography",
        "a bloody wound",
        "a dead body",
        "a scene of torture",
    ),
}
"""What is left out, and the sentences that stand for it."""

EXCLUDED_FROM = 0.5
"""Probability of a sentence, among the common nouns and all sentences, from which a picture is left
out: more likely than not. Chosen by hand, not measured."""


@dataclass(frozen=True, slots=True)
class Exclusions:
    """For each picture why it is left out, or ""."""

    reasons: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many pictures are left out for each reason."""
        return {kind: self.reasons.count(kind) for kind in EXCLUDED}


def find_exclusions(space: ProbeSpace, encoder: Encoder) -> Exclusions:
    """What the encoder sees in the pictures of a space that a set should not have."""
    sentences = [text for texts in EXCLUDED.values() for text in texts]
    kinds = [kind for kind, texts in EXCLUDED.items() for _ in texts]
    logits = space.logit_scale * (encoder.embed_texts(sentences) @ space.probes.T)
    return Exclusions(exclude(logits.astype(np.float32), space.background_scores[0], kinds))


def exclude(
    logits: Float32[np.ndarray, "sentences pictures"],
    background: Float32[np.ndarray, " pictures"],
    kinds: list[str],
) -> tuple[str, ...]:
    """The kind of each picture's surest sentences, where they are more likely than all nouns.

    Args:
        logits: The scaled cosine of each sentence with each picture.
        background: log sum exp of the common nouns on each picture.
        kinds: What each sentence stands for.
    """
    total = np.logaddexp(np.logaddexp.reduce(logits, axis=0), background)
    reasons = [""] * logits.shape[1]
    for kind in dict.fromkeys(kinds):
        rows = [number for number, item in enumerate(kinds) if item == kind]
        share = np.exp(np.logaddexp.reduce(logits[rows], axis=0) - total)
        for picture in np.flatnonzero(share >= EXCLUDED_FROM).tolist():
            reasons[picture] = reasons[picture] or kind
    return tuple(reasons)
