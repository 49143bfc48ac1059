"""Pictures that are asked together come in with their evidence; evidence on which pictures that are
alike agree goes out.

Pictures of one thing lie near each other also where the encoder hardly knows its name. So what is
seen of a picture against the labels counts for those beside it too: a kernel average (Nadaraya and
Watson, 1964) over the batch, in which the picture itself counts as one that is somewhat alike.
Mean and spread of the batch's evidence stay, so that the curve of a batch holds for it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.vectors import unit_rows

PICTURE_SHARPNESS = 7.0
"""Scale of the cosine of two pictures, as directions from the mean of their batch.
benchmarks/quality/none_of_these.py"""

OWN_WEIGHT = 0.05
"""Weight of a picture's own evidence: that of another picture at a cosine of 0.57.
benchmarks/quality/none_of_these.py"""

_COPY = 1 - 1e-5
"""Cosine from which a picture of the batch is the same one: it has no second voice."""

_BLOCK = 512
"""Pictures whose cosines with the batch are in memory at once."""


@dataclass(frozen=True, slots=True, eq=False)
class AgreedEvidence:
    """The evidence of a batch, and how that of pictures beside it becomes agreed with it.

    `agreed` is that of the batch itself; `centre` its mean picture, `directions` its pictures from
    there; `mean` and `factor` bring averages back to mean and spread of `evidence`.
    """

    centre: Float32[np.ndarray, " dim"]
    directions: Float32[np.ndarray, "batch dim"]
    evidence: Float64[np.ndarray, " batch"]
    agreed: Float64[np.ndarray, " batch"]
    mean: float
    factor: float

    @classmethod
    def among(
        cls,
        batch: Float32[np.ndarray, "batch dim"],
        evidence: Float64[np.ndarray, " batch"],
    ) -> "AgreedEvidence":
        """The agreed evidence of a batch of at least one picture.

        Args:
            batch: Unit embeddings of its pictures.
            evidence: The evidence of each picture alone.
        """
        centre = batch.mean(axis=0)
        directions = unit_rows(batch - centre)
        averages = _averages(directions, evidence, directions, evidence)
        spread, mean = float(averages.std()), float(averages.mean())
        factor = float(evidence.std()) / spread if spread > 0 else 1.0
        agreed = evidence.mean() + factor * (averages - mean)
        return cls(centre, directions, evidence, np.asarray(agreed), mean, factor)

    def beside(
        self,
        pictures: Float32[np.ndarray, "pictures dim"],
        evidence: Float64[np.ndarray, " pictures"],
    ) -> Float64[np.ndarray, " pictures"]:
        """The agreed evidence of pictures that are judged with the batch; `agreed` for its own.

        Args:
            pictures: Unit embeddings of the pictures.
            evidence: The evidence of each picture alone.
        """
        directions = unit_rows(pictures - self.centre)
        averages = _averages(directions, evidence, self.directions, self.evidence)
        return np.asarray(self.evidence.mean() + self.factor * (averages - self.mean))


def _averages(
    directions: Float32[np.ndarray, "pictures dim"],
    own: Float64[np.ndarray, " pictures"],
    batch: Float32[np.ndarray, "batch dim"],
    evidence: Float64[np.ndarray, " batch"],
) -> Float64[np.ndarray, " pictures"]:
    """The mean of a picture's own evidence and that of the batch, by how alike its pictures are."""
    averages = np.empty(len(own))
    for start in range(0, len(own), _BLOCK):
        block = slice(start, start + _BLOCK)
        cosines = directions[block] @ batch.T
        weights = np.where(cosines < _COPY, np.exp(PICTURE_SHARPNESS * (cosines - 1)), 0.0)
        weighted = weights.astype(np.float64) @ evidence + OWN_WEIGHT * own[block]
        averages[block] = weighted / (weights.sum(axis=1, dtype=np.float64) + OWN_WEIGHT)
    return averages
