"""A picture's cosines with a vocabulary and its captions come in; what it may be goes out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from lagotto.core.text.names import listed_names, name_phrase
from lagotto.core.vectors import softmax, top_k
from lagotto.zeroshot.rejection.nouns import Phrase, named_phrases
from lagotto.zeroshot.types import Suggestion

SUGGESTIONS = 5
CAPTION_BONUS = 2.0
"""What a word gains if all captions of a picture name it, in logits; less if some do.
benchmarks/quality/none_of_these.py"""


@dataclass(frozen=True, slots=True)
class SuggestedWords:
    """The words that may be suggested: those of a vocabulary that say none of the labels."""

    words: tuple[str, ...]
    allowed: Bool[np.ndarray, " words"]
    numbers: dict[Phrase, int]

    @classmethod
    def beside(
        cls,
        words: Sequence[str],
        labels: Sequence[str],
        other: Bool[np.ndarray, " words"] | None = None,
    ) -> "SuggestedWords":
        """All words but those that a label names, or that mean the same.

        Args:
            words: The words of the vocabulary.
            labels: The labels in words.
            other: False for words that mean the same as a label; None for none.
        """
        said = {name_phrase(name) for label in labels for name in listed_names(label)}
        phrases = [name_phrase(word) for word in words]
        allowed = np.array([phrase not in said for phrase in phrases], bool)
        allowed &= True if other is None else other
        numbers: dict[Phrase, int] = {}
        for number, phrase in enumerate(phrases):
            numbers.setdefault(phrase, number)
        return cls(tuple(words), allowed, numbers)

    def suggest(
        self,
        cosines: Float[np.ndarray, " words"],
        captions: Sequence[str],
        scale: float,
        bonus: float = CAPTION_BONUS,
    ) -> tuple[Suggestion, ...]:
        """The words that picture and captions agree on, best first.

        Args:
            cosines: Cosine of the picture with each word.
            captions: The captions found for the picture.
            scale: The encoder's logit scale.
            bonus: What a word gains if all captions name it.
        """
        counts: Counter[int] = Counter()
        for text in captions:
            named = named_phrases(text, self.numbers)
            counts.update(self.numbers[phrase] for phrase in named)
        scores = scale * cosines.astype(np.float64)
        for number, count in counts.items():
            scores[number] += bonus * count / len(captions)
        scores[~self.allowed] = -np.inf
        if not self.allowed.any():
            return ()
        probabilities = softmax(scores)
        best = top_k(scores[None], min(SUGGESTIONS, int(self.allowed.sum())))[0].tolist()
        return tuple(
            Suggestion(self.words[number], float(probabilities[number]), counts[number])
            for number in best
        )
