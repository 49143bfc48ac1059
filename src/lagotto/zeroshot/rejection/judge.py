"""A vocabulary and labels come in; for each picture, P(none of these) and suggestions go out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from lagotto.core.errors import UsageError
from lagotto.zeroshot.rejection.evidence import evidence_against, rival_words
from lagotto.zeroshot.rejection.suggestions import SuggestedWords
from lagotto.zeroshot.rejection.vocabulary import OpenVocabulary
from lagotto.zeroshot.types import Suggestion


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
        suggested = SuggestedWords.beside(vocabulary.words, labels)
        return cls(vocabulary, prompts, rivals, suggested, scale)

    def probability(
        self, pictures: Float32[np.ndarray, "pictures dim"]
    ) -> Float64[np.ndarray, " pictures"]:
        """P(none) of pictures by their unit embeddings; 0 if no word of the vocabulary is left."""
        if not self.rivals.any():
            return np.zeros(len(pictures))
        rivals = pictures @ self.vocabulary.background[self.rivals].T
        evidence = evidence_against(pictures @ self.prompts.T, rivals, self.scale)
        log_odds = self.vocabulary.curve.log_odds(evidence)
        return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))))

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
