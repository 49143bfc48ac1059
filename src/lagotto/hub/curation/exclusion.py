"""Pictures that the encoder takes for faces, texts or unsafe ones come in; why each is left out.

The encoder decides, by words: it errs in both directions, and what it says is no promise. A set
that is to be published wants eyes on its contact sheet too.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lagotto.encoders.base import Encoder
from lagotto.hub.query.probe_weights import ProbeSpace

UNSAFE = "unsafe"
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
    UNSAFE: (
        "a naked person",
        "pornography",
        "a bloody wound",
        "a dead body",
        "a scene of torture",
    ),
}
"""What is left out, and the sentences that stand for it."""


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
    cosines = np.asarray(encoder.embed_texts(sentences) @ space.probes.T, dtype=np.float32)
    return Exclusions(exclude(cosines, space.background_cosines.max(axis=0), kinds))


def exclude(
    cosines: Float32[np.ndarray, "sentences pictures"],
    nearest_noun: Float32[np.ndarray, " pictures"],
    kinds: list[str],
) -> tuple[str, ...]:
    """The kind of each picture's nearest sentence, where that is nearer than every common noun.

    Probabilities would depend on the scale of the encoder; which text is nearest does not.

    Args:
        cosines: The cosine of each sentence with each picture.
        nearest_noun: The highest cosine of any common noun with each picture.
        kinds: What each sentence stands for.
    """
    nearest = cosines.argmax(axis=0)
    is_out = cosines.max(axis=0) > nearest_noun
    return tuple(
        kinds[sentence] if out else ""
        for sentence, out in zip(nearest.tolist(), is_out.tolist(), strict=True)
    )
