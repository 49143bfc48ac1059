"""Embeddings of pictures come in; the rank of the right label in each of many settings goes out.

Settings share work: captions are retrieved once, for the highest K, and each caption that the mode
`paper-code` encodes again is encoded once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.retrieval import Retrieval
from lagotto.zeroshot.types import Mode

CAPTION_CACHE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Setting:
    """The mode of a classifier and the number of captions; 0 captions for image-only."""

    mode: Mode
    k: int


IMAGE_ONLY = Setting("image-only", 0)


class Sweep:
    """One classifier in many settings.

    `settings` are the requested ones, each once, after image-only. `declined` counts for each
    setting the pictures that the image alone decided in a mode that uses captions. `notes` are
    those of the classifier and its settings.
    """

    def __init__(self, classifier: ZeroShotClassifier, settings: Sequence[Setting]) -> None:
        self.settings = tuple(dict.fromkeys((IMAGE_ONLY, *settings)))
        self.declined = [0] * len(self.settings)
        max_k = max(setting.k for setting in self.settings)
        notes, base = list(classifier.notes), classifier
        self._variants = []
        shared_captions: CaptionEncodingCache | None = None
        for setting in self.settings:
            variant = base.variant(setting.mode, max(1, setting.k))
            notes += variant.notes
            if setting.mode == "guarded":
                base = variant  # the other K share its calibration
            if variant.voting.reencode is not None:
                shared_captions = shared_captions or CaptionEncodingCache(
                    variant.voting.reencode, classifier.encoder.info.dim
                )
                variant.voting.reencode = shared_captions
            self._variants.append(variant)
        widest = next(row for row, setting in enumerate(self.settings) if setting.k == max_k)
        self._widest = self._variants[widest]
        self.notes = tuple(dict.fromkeys(notes))

    def ranks(
        self,
        embeddings: Float32[np.ndarray, "samples dim"],
        truth: Int64[np.ndarray, " samples"],
    ) -> Int32[np.ndarray, "settings samples"]:
        """The rank of each picture's right label in each setting; 1 is the prediction."""
        retrieved = self._widest.retrieve(embeddings)
        ranks = np.empty((len(self.settings), len(truth)), np.int32)
        for row, (setting, variant) in enumerate(zip(self.settings, self._variants, strict=True)):
            captions = retrieved.top_k(setting.k) if retrieved is not None and setting.k else None
            votes = variant.voting.vote(embeddings, captions)
            ranks[row] = truth_ranks(votes.pooled.probabilities, truth)
            self.declined[row] += sum(bool(reason) for reason in votes.declined)
        return ranks


def truth_ranks(
    probabilities: Float64[np.ndarray, "samples labels"], truth: Int64[np.ndarray, " samples"]
) -> Int32[np.ndarray, " samples"]:
    """The rank of the right label, from 1; of equally likely labels the lower index is first."""
    right = np.take_along_axis(probabilities, truth[:, None], axis=1)
    is_lower = np.arange(probabilities.shape[1]) < truth[:, None]
    ranked_before = (probabilities > right) | ((probabilities == right) & is_lower)
    return np.asarray(1 + ranked_before.sum(axis=1)).astype(np.int32)


class CaptionEncodingCache:
    """Encodes captions of pictures like `encode`, with a cache of the embeddings.

    The cache is emptied when it would exceed `cache_bytes`.
    """

    def __init__(
        self,
        encode: Callable[[Retrieval], Float32[np.ndarray, "pictures k dim"]],
        dim: int,
        cache_bytes: int = CAPTION_CACHE_BYTES,
    ) -> None:
        self._encode = encode
        self._dim = dim
        self._max_rows = cache_bytes // (4 * dim)
        self._rows: dict[int, Float32[np.ndarray, " dim"]] = {}

    def __call__(self, retrieved: Retrieval) -> Float32[np.ndarray, "pictures k dim"]:
        """The embeddings, zero where there is no caption."""
        needed = np.unique(retrieved.indices[retrieved.present]).tolist()
        missing = [index for index in needed if index not in self._rows]
        if len(self._rows) + len(missing) > self._max_rows:
            self._rows.clear()
            missing = needed
        if missing:
            shape = (1, len(missing))
            request = Retrieval(
                np.array([missing], np.int64),
                np.zeros(shape, np.float32),
                np.zeros((*shape, self._dim), np.float32),
                np.zeros(1),
            )
            self._rows |= zip(missing, self._encode(request)[0], strict=True)
        rows = np.zeros((*retrieved.indices.shape, self._dim), np.float32)
        for position, index in np.ndenumerate(retrieved.indices):
            if index >= 0:
                rows[position] = self._rows[int(index)]
        return rows
