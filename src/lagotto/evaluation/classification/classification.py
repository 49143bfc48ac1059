"""Layer 3: a classifier and labelled pictures → accuracy by mode and K, beside image-only.

One pass: each picture is decoded, embedded and searched for captions once; every setting then votes
on the same embeddings.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.files import canonical_json
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import PixelSpec, Skipped
from lagotto.encoders.base import Encoder
from lagotto.evaluation.classification.dataset import LabelledPicture, LabelledSet
from lagotto.evaluation.classification.sweep import Setting, Sweep
from lagotto.evaluation.intervals import Estimate, class_mean_interval, mean_interval
from lagotto.zeroshot.classifier import ZeroShotClassifier

UNREADABLE_RANK = 0
"""The rank of the right label of a picture that could not be read: a miss in every setting."""

SKIPPED_SHOWN = 100
"""Unreadable pictures that are named; all are counted."""

_BATCH = 128


@dataclass(frozen=True, slots=True)
class Scores:
    """How often one setting is right, over all pictures, those that cannot be read being misses.

    `gain` is acc1 less that of image-only, paired by picture. `recalls` has nan for a label without
    pictures. `declined` pictures were decided by the image alone although the mode asks captions.
    """

    setting: Setting
    acc1: Estimate
    acc5: Estimate
    mean_per_class_recall: Estimate
    gain: Estimate
    recalls: Float64[np.ndarray, " labels"]
    declined: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores on one data set: `scores` has each setting once, image-only first.

    `ranks` are the places of the right labels, UNREADABLE where there is none. `data_digest`
    identifies the labels and the bytes of all pictures, in order. Of the `unreadable` pictures,
    `skipped` names the first SKIPPED_SHOWN.
    """

    data: LabelledSet
    scores: tuple[Scores, ...]
    ranks: Int32[np.ndarray, "settings samples"]
    unreadable: int
    skipped: tuple[Skipped, ...]
    data_digest: str
    seed: int
    notes: tuple[str, ...]

    @property
    def image_only(self) -> Scores:
        """The baseline."""
        return self.scores[0]

    @property
    def main(self) -> Scores:
        """The first setting that was asked for; image-only if nothing else was."""
        return self.scores[min(1, len(self.scores) - 1)]


@dataclass(frozen=True, slots=True)
class _Read:
    """A labelled picture as the encoder takes it, or why it cannot be read."""

    truth: int
    digest: bytes
    pixels: UInt8[np.ndarray, "height width channels"] | Skipped


def evaluate(
    classifier: ZeroShotClassifier,
    data: LabelledSet,
    settings: Sequence[Setting],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Classifies all pictures in every setting and scores them; `seed` is that of the intervals.

    The classifier must be made of `data.labels`. Memory is that of a batch, and 4 bytes a picture
    and setting. The mode paper-code depends on the order of the pictures: that of the data.
    """
    if data.labels != classifier.labels:
        raise UsageError("classifier and data have different labels; make it of data.labels")
    sweep = Sweep(classifier, settings)
    progress = progress or Silent()
    progress.start("classifying", len(data), "pictures")
    truths: list[Int64[np.ndarray, " batch"]] = []
    ranks: list[Int32[np.ndarray, "settings batch"]] = []
    skipped: list[Skipped] = []
    unreadable, digest = 0, hashlib.sha256(canonical_json([each.name for each in data.labels]))
    for batch in _batches(data, classifier.encoder.info.pixels):
        refused = [each.pixels for each in batch if isinstance(each.pixels, Skipped)]
        unreadable += len(refused)
        skipped += refused[: SKIPPED_SHOWN - len(skipped)]
        digest.update(b"".join(each.digest for each in batch))
        truths.append(np.array([each.truth for each in batch], np.int64))
        ranks.append(_ranks(sweep, classifier.encoder, batch))
        progress.advance(len(batch))
    progress.finish()
    truth, table = np.concatenate(truths), np.concatenate(ranks, axis=1)
    scores = tuple(
        score(setting, row, table[0], truth, seed=seed, declined=declined)
        for setting, row, declined in zip(sweep.settings, table, sweep.declined, strict=True)
    )
    return Evaluation(
        data, scores, table, unreadable, tuple(skipped), digest.hexdigest(), seed, sweep.notes
    )


def score(
    setting: Setting,
    ranks: Int32[np.ndarray, " samples"],
    image_only: Int32[np.ndarray, " samples"],
    truth: Int64[np.ndarray, " samples"],
    *,
    seed: int = 0,
    declined: int = 0,
) -> Scores:
    """The scores of a setting from the places of the right labels (UNREADABLE is a miss).

    `image_only` has those of image-only on the same pictures; `recalls` ends with the highest label
    that occurs.
    """
    hits = ranks == 1
    sizes, found = np.bincount(truth), np.bincount(truth, weights=hits)
    return Scores(
        setting=setting,
        acc1=mean_interval(hits, seed=seed),
        acc5=mean_interval((ranks != UNREADABLE_RANK) & (ranks <= 5), seed=seed),
        mean_per_class_recall=class_mean_interval(hits, truth, seed=seed),
        gain=mean_interval(hits.astype(np.int8) - (image_only == 1).astype(np.int8), seed=seed),
        recalls=np.divide(found, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0),
        declined=declined,
    )


def _batches(data: LabelledSet, spec: PixelSpec) -> Iterator[list[_Read]]:
    """The pictures decoded, in order, some at a time."""
    pictures = (_read(picture, spec) for picture in data.pictures())
    while batch := list(islice(pictures, _BATCH)):
        yield batch


def _read(picture: LabelledPicture, spec: PixelSpec) -> _Read:
    """`digest` is that of the bytes and the label; of a file that is not there, of no bytes."""
    data = b""
    try:
        data = picture.read()
        pixels = to_pixels(decode_picture(data), spec)
    except PictureError as error:
        return _Read(picture.truth, _digest(data, picture), Skipped(picture.source, str(error)))
    return _Read(picture.truth, _digest(data, picture), pixels)


def _digest(data: bytes, picture: LabelledPicture) -> bytes:
    return hashlib.sha256(data).digest() + picture.truth.to_bytes(4, "big")


def _ranks(
    sweep: Sweep, encoder: Encoder, batch: Sequence[_Read]
) -> Int32[np.ndarray, "settings batch"]:
    """The places of the right labels; UNREADABLE in every setting where there are no pixels."""
    ranks = np.full((len(sweep.settings), len(batch)), UNREADABLE_RANK, np.int32)
    there = [row for row, each in enumerate(batch) if not isinstance(each.pixels, Skipped)]
    if there:
        embeddings = encoder.embed_pixels(np.stack([np.asarray(batch[i].pixels) for i in there]))
        ranks[:, there] = sweep.ranks(embeddings, np.array([batch[i].truth for i in there]))
    return ranks
