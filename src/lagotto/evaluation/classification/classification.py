"""A classifier and labelled pictures come in; accuracy by mode and K, with image-only, goes out.

Each picture is decoded, embedded and searched for captions once. Every setting votes on the same
embeddings and captions.
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
from lagotto.core.sources.count import SourceCount
from lagotto.core.types import PixelSpec, Skipped
from lagotto.encoders.base import Encoder
from lagotto.evaluation.classification.dataset import LabelledPicture, LabelledSet
from lagotto.evaluation.classification.sweep import Setting, Sweep
from lagotto.evaluation.intervals import Estimate, class_mean_interval, mean_interval
from lagotto.zeroshot.classifier import ZeroShotClassifier

UNREADABLE_RANK = 0
"""The rank of the right label of a picture that could not be read; it counts as a miss."""

MAX_NAMED_UNREADABLE = 100
"""Unreadable pictures that results list by name; all are counted."""

_BATCH = 128


@dataclass(frozen=True, slots=True)
class Scores:
    """The accuracy of one setting over all pictures; unreadable ones count as misses.

    `gain` is acc1 minus that of image-only, paired by picture. `recalls` is nan for a label without
    pictures. `declined` counts pictures decided by the image alone in a mode that uses captions.
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

    `ranks` are the ranks of the right labels, from 1; UNREADABLE_RANK for an unreadable picture.
    `data_digest` identifies the labels and the bytes of all pictures, in order. `skipped` names
    the first MAX_NAMED_UNREADABLE of the `unreadable` pictures.
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
    def source_count(self) -> SourceCount:
        """What became of each file of the data; an unreadable picture is skipped, and a miss."""
        return SourceCount(len(self.data) - self.unreadable, self.unreadable, self.data.passed_over)

    @property
    def image_only(self) -> Scores:
        """The baseline."""
        return self.scores[0]

    @property
    def main(self) -> Scores:
        """The scores of the first requested setting; of image-only if there is no other."""
        return self.scores[min(1, len(self.scores) - 1)]


@dataclass(frozen=True, slots=True)
class _DecodedPicture:
    """A labelled picture in the encoder's pixel format, or why it cannot be read."""

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
    """Classifies all pictures in every setting and scores them.

    Memory is that of a batch, and 4 bytes a picture and setting. The mode paper-code depends on the
    order of the pictures, which is that of the data.

    Args:
        classifier: A classifier whose labels are `data.labels`.
        data: The labelled pictures.
        settings: The settings; image-only is always added.
        seed: The seed of the bootstrap intervals.
        progress: Receives the progress of the work.

    Raises:
        UsageError: The classifier has other labels.
    """
    if data.labels != classifier.labels:
        raise UsageError("classifier and data have different labels; make it of data.labels")
    sweep = Sweep(classifier, settings)
    progress = progress or Silent()
    progress.start("classifying", len(data), "pictures")
    truths: list[Int64[np.ndarray, " batch"]] = []
    ranks: list[Int32[np.ndarray, "settings batch"]] = []
    named_unreadable: list[Skipped] = []
    unreadable, digest = 0, hashlib.sha256(canonical_json([item.name for item in data.labels]))
    for batch in _batches(data, classifier.encoder.info.pixels):
        unreadable_batch = [item.pixels for item in batch if isinstance(item.pixels, Skipped)]
        unreadable += len(unreadable_batch)
        named_unreadable += unreadable_batch[: MAX_NAMED_UNREADABLE - len(named_unreadable)]
        digest.update(b"".join(item.digest for item in batch))
        truths.append(np.array([item.truth for item in batch], np.int64))
        ranks.append(_ranks(sweep, classifier.encoder, batch))
        progress.advance(len(batch))
    progress.finish()
    truth, table = np.concatenate(truths), np.concatenate(ranks, axis=1)
    scores = tuple(
        score(setting, row, table[0], truth, seed=seed, declined=declined)
        for setting, row, declined in zip(sweep.settings, table, sweep.declined, strict=True)
    )
    return Evaluation(
        data=data,
        scores=scores,
        ranks=table,
        unreadable=unreadable,
        skipped=tuple(named_unreadable),
        data_digest=digest.hexdigest(),
        seed=seed,
        notes=(*data.notes, *sweep.notes),
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
    """The scores of a setting, from the ranks of the right labels.

    Args:
        setting: The setting.
        ranks: The rank of each picture's right label; UNREADABLE_RANK is a miss.
        image_only: The ranks of image-only on the same pictures.
        truth: The right label of each picture. `recalls` ends with the highest one.
        seed: The seed of the bootstrap intervals.
        declined: Pictures that the image alone decided.
    """
    hits = ranks == 1
    sizes, hits_of_label = np.bincount(truth), np.bincount(truth, weights=hits)
    return Scores(
        setting=setting,
        acc1=mean_interval(hits, seed=seed),
        acc5=mean_interval((ranks != UNREADABLE_RANK) & (ranks <= 5), seed=seed),
        mean_per_class_recall=class_mean_interval(hits, truth, seed=seed),
        gain=mean_interval(hits.astype(np.int8) - (image_only == 1).astype(np.int8), seed=seed),
        recalls=np.divide(hits_of_label, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0),
        declined=declined,
    )


def _batches(data: LabelledSet, spec: PixelSpec) -> Iterator[list[_DecodedPicture]]:
    """Decodes the pictures in order, a batch at a time."""
    pictures = (_read(picture, spec) for picture in data.pictures())
    while batch := list(islice(pictures, _BATCH)):
        yield batch


def _read(picture: LabelledPicture, spec: PixelSpec) -> _DecodedPicture:
    """Decodes a picture; its digest covers file and label (a missing file counts as empty)."""
    data = b""
    try:
        data = picture.read()
        pixels = to_pixels(decode_picture(data), spec)
    except PictureError as error:
        return _DecodedPicture(
            picture.truth, _digest(data, picture), Skipped(picture.source, str(error))
        )
    return _DecodedPicture(picture.truth, _digest(data, picture), pixels)


def _digest(data: bytes, picture: LabelledPicture) -> bytes:
    return hashlib.sha256(data).digest() + picture.truth.to_bytes(4, "big")


def _ranks(
    sweep: Sweep, encoder: Encoder, batch: Sequence[_DecodedPicture]
) -> Int32[np.ndarray, "settings batch"]:
    """The ranks of the right labels; UNREADABLE_RANK in every setting without pixels."""
    ranks = np.full((len(sweep.settings), len(batch)), UNREADABLE_RANK, np.int32)
    readable = [row for row, picture in enumerate(batch) if not isinstance(picture.pixels, Skipped)]
    if readable:
        embeddings = encoder.embed_pixels(np.stack([np.asarray(batch[i].pixels) for i in readable]))
        ranks[:, readable] = sweep.ranks(embeddings, np.array([batch[i].truth for i in readable]))
    return ranks
