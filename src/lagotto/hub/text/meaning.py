"""Labels as vectors and a concept's direction come in; the labels of similar meaning go out.

Labels whose words differ from those of a query may still name the same thing: "puppy" and "dog".
Their embeddings by the hub's encoder tell how near they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int8

from lagotto.core.vectors import unit_rows
from lagotto.hub.text.matching import MATCH, MatchConfig

_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class LabelEmbeddings:
    """The different labels of a hub as directions in its encoder's space.

    Attributes:
        labels: each published label of the hub once.
        values: its direction, in steps: the embedding of the label's first name in the encoder's
            prompt, less the mean of the background words, of unit length. [labels, dim]
        steps: the size of a step of each label.
        config: the thresholds of a match.
    """

    labels: tuple[str, ...]
    values: Int8[np.ndarray, "labels dim"]
    steps: Float32[np.ndarray, " labels"]
    config: MatchConfig = MATCH

    def likeness(self, direction: Float32[np.ndarray, " dim"]) -> Mapping[str, float]:
        """The labels that mean nearly the same as a concept, and how much each is like its name.

        Args:
            direction: the concept's embedding less the mean of the background words, of any
                length.

        Returns:
            For each label of similar meaning its likeness: `MatchConfig.meaning_weight` times the
            cosine. It is below 1, which is the likeness of a label with the same words. At most
            `MatchConfig.most_labels` labels, the most similar ones.
        """
        length = float(np.linalg.norm(direction))
        if not self.labels or length == 0:
            return {}
        cosines = np.empty(len(self.labels), np.float32)
        for first in range(0, len(cosines), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            cosines[rows] = self.values[rows].astype(np.float32) @ direction
        cosines *= self.steps / np.float32(length)
        order = np.argsort(-cosines, kind="stable")[: self.config.most_labels]
        similar = order[cosines[order] >= self.config.least_cosine].tolist()
        weight = self.config.meaning_weight
        return {self.labels[row]: weight * float(cosines[row]) for row in similar}


def quantize_directions(
    labels: Sequence[str],
    embeddings: Float32[np.ndarray, "labels dim"],
    mean: Float32[np.ndarray, " dim"],
) -> LabelEmbeddings:
    """Labels with their embeddings, as directions from the mean of the background words."""
    directions = unit_rows(embeddings - mean)
    steps = np.maximum(np.abs(directions).max(axis=1, initial=0.0), 1e-9).astype(np.float32) / 127
    values = np.rint(directions / steps[:, None]).astype(np.int8)
    return LabelEmbeddings(tuple(labels), values, steps)
