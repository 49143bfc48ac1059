"""A caption store comes in; its pictures, with the background words that captions name, go out.

Nouns of the captions stand in for labels of a user: which of them fits a picture is known.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from lagotto.core.vectors import unit_rows
from lagotto.zeroshot.rejection.evidence import evidence_against, rival_directions
from lagotto.zeroshot.rejection.nouns import background_phrases, named_phrases
from lagotto.zeroshot.types import Captions

MIN_FIT_PICTURES = 50
MIN_NOUNS = 20
_MAX_PICTURES = 1_600
_LEAST_USES, _MOST_SHARE = 4, 0.15


@dataclass(frozen=True, slots=True)
class StorePictures:
    """Pictures of a store: how many captions each has, how many of them name each background word.

    `nouns` are the words that enough pictures show and not too many; `directions` those of all
    words from their mean; `rivals` says of each word which words are no other names of it.
    """

    named: Int64[np.ndarray, "pictures words"]
    captions: Int64[np.ndarray, " pictures"]
    cosines: Float[np.ndarray, "pictures words"]
    nouns: Int64[np.ndarray, " nouns"]
    directions: Float[np.ndarray, "words dim"]
    rivals: Bool[np.ndarray, "words words"]
    scale: float

    @classmethod
    def of(
        cls, captions: Captions, background: Float[np.ndarray, "words dim"], scale: float
    ) -> "StorePictures | None":
        """The pictures of a store, an even sample of many; None if they are too few, or the nouns.

        Args:
            captions: The store.
            background: Unit embeddings of the background words.
            scale: The encoder's logit scale.
        """
        starts, ends = np.asarray(captions.starts[:-1]), np.asarray(captions.ends)
        rows = np.flatnonzero(ends > starts)
        rows = rows[:: max(1, -(-len(rows) // _MAX_PICTURES))]
        if len(rows) < MIN_FIT_PICTURES:
            return None
        named = np.zeros((len(rows), len(background)), np.int64)
        known = background_phrases()
        for i, row in enumerate(rows):
            for text in captions.texts(list(range(int(starts[row]), int(ends[row])))):
                named[i, [known[phrase] for phrase in named_phrases(text, known)]] += 1
        uses = (named > 0).sum(axis=0)
        nouns = np.flatnonzero((uses >= _LEAST_USES) & (uses <= _MOST_SHARE * len(named)))
        if len(nouns) < MIN_NOUNS:
            return None
        cosines = captions.image_embeddings[rows].astype(np.float32) @ background.T
        directions = unit_rows(background - background.mean(axis=0))
        rivals = rival_directions(directions, directions)
        return cls(named, (ends - starts)[rows], cosines, nouns, directions, rivals, scale)

    def draw_nouns(self, count: int, rng: np.random.Generator) -> Int64[np.ndarray, " drawn"]:
        """Some nouns, in random order: of similar meaning half of the time, as labels often are."""
        if rng.random() < 0.5:
            first = self.directions[rng.choice(self.nouns)]
            order = np.argsort(-(self.directions[self.nouns] @ first), kind="stable")
            return np.asarray(rng.permutation(self.nouns[order[:count]]))
        return np.asarray(rng.permutation(rng.choice(self.nouns, count, replace=False)))

    def evidence(
        self, labels: Int64[np.ndarray, " labels"], pictures: Int64[np.ndarray, " pictures"]
    ) -> Float[np.ndarray, " pictures"]:
        """The evidence of some pictures against a list of nouns."""
        rivals = self.rivals[labels].all(axis=0)
        chosen = self.cosines[pictures]
        return evidence_against(chosen[:, labels], chosen[:, rivals], self.scale)

    def showing(self, words: Int64[np.ndarray, " words"]) -> Bool[np.ndarray, " pictures"]:
        """Which pictures show one of these words first of all: half of their captions name it."""
        return np.asarray((2 * self.named[:, words] >= self.captions[:, None]).any(axis=1))

    def mentioning(self, words: Int64[np.ndarray, " words"]) -> Bool[np.ndarray, " pictures"]:
        """Which pictures have a caption that names one of these words."""
        return np.asarray((self.named[:, words] > 0).any(axis=1))
