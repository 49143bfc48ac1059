"""A vocabulary and labels come in; for each picture, P(none of these) and suggestions go out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from lagotto.core.errors import UsageError
from lagotto.core.vectors import unit_rows
from lagotto.zeroshot.rejection.agreement import AgreedEvidence
from lagotto.zeroshot.rejection.batch_curve import LEAST_BATCH
from lagotto.zeroshot.rejection.evidence import evidence_against, rival_words
from lagotto.zeroshot.rejection.logistic import probability
from lagotto.zeroshot.rejection.suggestions import SuggestedWords
from lagotto.zeroshot.rejection.vocabulary import OpenVocabulary
from lagotto.zeroshot.types import Suggestion

SAME_MEANING_COSINE = 0.8
"""Cosine of a word and a label, as directions from the mean of the background words, from which the
word is not suggested beside the label: "sofa" and "couch" have 0.81 with a small general encoder.
benchmarks/quality/none_of_these.py loses no suggestion by it."""

_BLOCK = 512
"""Pictures whose cosines with the vocabulary are in memory at once."""


@dataclass(frozen=True, slots=True)
class NoneJudge:
    """Judges whether any of the labels fits a picture, and what it may be instead."""

    vocabulary: OpenVocabulary
    prompts: Float32[np.ndarray, "labels dim"]
    rivals: Bool[np.ndarray, " background"]
    suggested: SuggestedWords
    scale: float

    @classmethod
    def of(
        cls,
        vocabulary: OpenVocabulary,
        prompts: Float32[np.ndarray, "labels dim"],
        labels: Sequence[str],
        scale: float,
    ) -> "NoneJudge":
        """The judge for some labels.

        Args:
            vocabulary: The open vocabulary.
            prompts: Unit embeddings of the labels.
            labels: The labels in words.
            scale: The encoder's logit scale.
        """
        rivals = rival_words(prompts, vocabulary.background)
        mean = vocabulary.background.mean(axis=0)
        words, directions = unit_rows(vocabulary.embeddings - mean), unit_rows(prompts - mean)
        other = np.asarray((words @ directions.T).max(axis=1) < SAME_MEANING_COSINE)
        suggested = SuggestedWords.beside(vocabulary.words, labels, other)
        return cls(vocabulary, prompts, rivals, suggested, scale)

    def probability(
        self,
        pictures: Float32[np.ndarray, "pictures dim"],
        batch: Float32[np.ndarray, "batch dim"] | None = None,
    ) -> Float64[np.ndarray, " pictures"]:
        """P(none) of pictures; 0 if no word of the vocabulary is left.

        Args:
            pictures: Unit embeddings of the pictures.
            batch: Those of all pictures that are asked together, with which the evidence is
                agreed, and from which its spread and the share without a label are estimated;
                None for `pictures`. With fewer than LEAST_BATCH each picture is judged alone.
        """
        if not self.rivals.any():
            return np.zeros(len(pictures))
        evidence = self.evidence(pictures)
        together = pictures if batch is None else batch
        if len(together) < LEAST_BATCH:
            return probability(self.vocabulary.curve.log_odds(evidence))
        if together is pictures:
            of_batch = AgreedEvidence.among(pictures, evidence)
            evidence = of_batch.agreed
        else:
            of_batch = AgreedEvidence.among(together, self.evidence(together))
            evidence = of_batch.beside(pictures, evidence)
        curve, labels = self.vocabulary.batch_curve, len(self.prompts)
        return probability(curve.log_odds(evidence, labels, of_batch.agreed))

    def evidence(
        self, pictures: Float32[np.ndarray, "pictures dim"]
    ) -> Float64[np.ndarray, " pictures"]:
        """The evidence against the labels, of each picture alone."""
        background = self.vocabulary.background[self.rivals].T
        parts = [
            evidence_against(part @ self.prompts.T, part @ background, self.scale)
            for start in range(0, len(pictures), _BLOCK)
            for part in (pictures[start : start + _BLOCK],)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def suggest(
        self, picture: Float32[np.ndarray, " dim"], captions: Sequence[str]
    ) -> tuple[Suggestion, ...]:
        """What one picture may be beside the labels, best first."""
        return self.suggested.suggest(self.vocabulary.embeddings @ picture, captions, self.scale)


def check_reject(reject: float | None) -> float | None:
    """The threshold of P(none) from which a picture is answered by no label; None for never.

    Raises:
        UsageError: It is no probability.
    """
    if reject is None:
        return None
    if isinstance(reject, bool) or not isinstance(reject, int | float) or not 0 <= reject <= 1:
        raise UsageError(
            f"reject is {reject}; give a probability from 0 to 1, such as 0.5: pictures of which "
            "no label fits with at least this probability are answered (none of these)"
        )
    return float(reject)
