"""Texts in, scores of all logits by the words of labels and model names out: keyword search.

It is the baseline of the evaluation: what a hub offers without behaviour.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.text.names import listed_names, name_words
from lagotto.evaluation.retrieval.logit_table import LogitTable

_MODEL_NAME = 0.5
"""What a word in a model's name counts for its outputs, against one in the output's own label."""


class KeywordIndex:
    """The words of every label and of every model name, weighted by how rare they are (tf-idf).

    A label is as many texts as it has names between commas; the best of them counts.
    """

    def __init__(self, table: LogitTable) -> None:
        self._owners = table.owners
        self._labels = _Texts(
            [
                (column, part)
                for column, label in enumerate(table.labels)
                for part in listed_names(label or "")
            ],
            len(table.labels),
        )
        self._models = _Texts(list(enumerate(table.models)), len(table.models))

    def scores(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts logits"]:
        """Cosine of each text's words with those of each logit, 1 where they are the same words.

        Minus infinity where they share no word: such a logit is not found at all.
        """
        return np.stack([self._score(name_words(text)) for text in texts])

    def _score(self, query_words: frozenset[str]) -> Float32[np.ndarray, " logits"]:
        by_model = _MODEL_NAME * self._models.similarity(query_words)[self._owners]
        score = np.maximum(self._labels.similarity(query_words), by_model)
        return np.where(score > 0, score, -np.inf).astype(np.float32)


class _Texts:
    """Texts that belong to things by number; a thing is as similar as its most similar text."""

    def __init__(self, texts: Sequence[tuple[int, str]], things: int) -> None:
        self._things = things
        self._belongs: Int64[np.ndarray, " texts"] = np.array([t for t, _ in texts], np.int64)
        label_words = [name_words(text) for _, text in texts]
        places: dict[str, list[int]] = defaultdict(list)
        for place, text in enumerate(label_words):
            for word in text:
                places[word].append(place)
        self._places = {word: np.array(found) for word, found in places.items()}
        # + 1: a word of every text still counts
        self._rarity = {word: math.log(1 + len(label_words) / len(p)) for word, p in places.items()}
        self._unknown = math.log(1 + len(label_words))
        self._lengths = np.array([self._length(text) for text in label_words])

    def similarity(self, query_words: frozenset[str]) -> Float64[np.ndarray, " things"]:
        """Cosine of the asked words with each thing's best text."""
        shared = np.zeros(len(self._belongs))
        for word in sorted(query_words & self._places.keys()):
            shared[self._places[word]] += self._rarity[word] ** 2
        cosines = np.divide(
            shared, self._lengths * self._length(query_words), out=shared, where=self._lengths > 0
        )
        best = np.zeros(self._things)
        np.maximum.at(best, self._belongs, cosines)
        return best

    def _length(self, text: frozenset[str]) -> float:
        return math.hypot(*(self._rarity.get(word, self._unknown) for word in sorted(text)))
