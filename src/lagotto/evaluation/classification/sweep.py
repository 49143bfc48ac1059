"""Layer 3: picture embeddings → the place of the right label, in many settings at once.

What settings share is done once: captions are retrieved for the highest K, and those that the mode
`paper-code` encodes anew are encoded once each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.retrieval import Retrieval
from lagotto.zeroshot.types import Mode

SWEEP_KEPT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to classify: the mode and the number of captions, 0 for image-only."""

    mode: Mode
    k: int


IMAGE_ONLY = Setting("image-only", 0)


class Sweep:
    """A classifier in many settings. `settings` are those asked for, each once, image-only first.

    `declined` counts, for each, pictures that the image alone decided although the mode asks
    captions. `notes` are the classifier's and those of its settings.
    """

    def __init__(self, classifier: ZeroShotClassifier, settings: Sequence[Setting]) -> None:
        self.settings = tuple(dict.fromkeys((IMAGE_ONLY, *settings)))
        self.declined = [0] * len(self.settings)
        most = max(setting.k for setting in self.settings)
        notes, base = list(classifier.notes), classifier
        self._variants = []
        kept: EncodedOnce | None = None
        for setting in self.settings:
            variant = base.variant(setting.mode, max(1, setting.k))
            notes += variant.notes
            if setting.mode == "guarded":
                base = variant  # what it learned from the store serves its other K
            if variant.voting.reencode is not None:
                kept = kept or EncodedOnce(variant.voting.reencode, classifier.encoder.info.dim)
                variant.voting.reencode = kept
            self._variants.append(variant)
        widest = next(row for row, setting in enumerate(self.settings) if setting.k == most)
        self._widest = self._variants[widest]
        self.notes = tuple(dict.fromkeys(notes))

    def ranks(
        self,
        embeddings: Float32[np.ndarray, "samples dim"],
        truth: Int64[np.ndarray, " samples"],
    ) -> Int32[np.ndarray, "settings samples"]:
        """The place of each picture's right label in each setting, 1 being the prediction."""
        found = self._widest.retrieve(embeddings)
        ranks = np.empty((len(self.settings), len(truth)), np.int32)
        for row, (setting, variant) in enumerate(zip(self.settings, self._variants, strict=True)):
            captions = found.top_k(setting.k) if found is not None and setting.k else None
            votes = variant.voting.vote(embeddings, captions)
            ranks[row] = truth_ranks(votes.pooled.probabilities, truth)
            self.declined[row] += sum(bool(reason) for reason in votes.declined)
        return ranks


def truth_ranks(
    probabilities: Float64[np.ndarray, "samples labels"], truth: Int64[np.ndarray, " samples"]
) -> Int32[np.ndarray, " samples"]:
    """The place of the right label, from 1; of equally likely labels the lower number is first."""
    right = np.take_along_axis(probabilities, truth[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < truth[:, None]
    ahead = (probabilities > right) | ((probabilities == right) & before)
    return np.asarray(1 + ahead.sum(axis=1)).astype(np.int32)


class EncodedOnce:
    """Encodes the captions of pictures as `encode` does, but each once while it is kept.

    Once there are more than fit `kept_bytes`, all are forgotten.
    """

    def __init__(
        self,
        encode: Callable[[Retrieval], Float32[np.ndarray, "pictures k dim"]],
        dim: int,
        kept_bytes: int = SWEEP_KEPT_BYTES,
    ) -> None:
        self._encode = encode
        self._dim = dim
        self._most = kept_bytes // (4 * dim)
        self._rows: dict[int, Float32[np.ndarray, " dim"]] = {}

    def __call__(self, found: Retrieval) -> Float32[np.ndarray, "pictures k dim"]:
        """The embeddings, zero where there is no caption."""
        wanted = np.unique(found.indices[found.present]).tolist()
        missing = [index for index in wanted if index not in self._rows]
        if len(self._rows) + len(missing) > self._most:
            self._rows.clear()
            missing = wanted
        if missing:
            shape = (1, len(missing))
            asked = Retrieval(
                np.array([missing], np.int64),
                np.zeros(shape, np.float32),
                np.zeros((*shape, self._dim), np.float32),
                np.zeros(1),
            )
            self._rows |= zip(missing, self._encode(asked)[0], strict=True)
        rows = np.zeros((*found.indices.shape, self._dim), np.float32)
        for place, index in np.ndenumerate(found.indices):
            if index >= 0:
                rows[place] = self._rows[int(index)]
        return rows
