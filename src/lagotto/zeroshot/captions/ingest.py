"""From caption sources to shards: pairs folded, set aside or embedded, then added to the store."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lagotto.core.errors import CaptionError, PictureError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.progress import Progress
from lagotto.core.types import JsonObject, SetAside
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.captions import files as files
from lagotto.zeroshot.captions.dedup import SeenKeys, pair_key
from lagotto.zeroshot.captions.shard import (
    NewCaption,
    NewPicture,
    Shard,
    halved,
)
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairSource,
)

MAX_CAPTION_LENGTH = 10_000
"""Characters; a longer text is a document, of which the encoder would see the first words."""

PICTURE_BATCH = 32
TEXT_BATCH = 256


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """A shard is added when one of these is reached; a kill loses at most one shard of work."""

    pictures: int = 512
    encoded_captions: int = 4096
    captions: int = 16_384


@dataclass(frozen=True, slots=True)
class IntakeReport:
    """What a run added; `folded` pairs were in the store already, `set_aside` are new reasons."""

    pictures: int
    captions: int
    text_only: int
    folded: int
    set_aside: int

    def as_json(self) -> JsonObject:
        """The fields by name."""
        return asdict(self)


def ingest_pairs(
    folder: Path,
    sources: Sequence[PairSource],
    encoder: Encoder,
    progress: Progress,
    limits: ShardLimits,
) -> IntakeReport:
    """Adds the sources' pairs to the store in a folder, shard by shard; hold its lock meanwhile.

    Raises CaptionError where none of them is usable; shards added before an error stay.
    """
    states = files.read_log(folder)
    intake = _Intake(folder, states[-1] if states else files.Committed(), encoder, limits)
    progress.start("embedding pairs", sum(source.rows for source in sources), "rows")
    try:
        rows = 0
        for item in chain.from_iterable(source.read() for source in sources):
            intake.take(item)
            rows += item.rows if isinstance(item, Pair) else 1
            if rows >= PICTURE_BATCH:
                progress.advance(rows, intake.note)
                rows = 0
        report = intake.finish()
        progress.advance(rows, intake.note)
    finally:
        progress.finish()
    if not report.captions and not report.folded:
        first = intake.first_reason
        places = ", ".join(str(source.path) for source in sources)
        why = f"{intake.refused} set aside, the first: {first}" if first else "nothing in it"
        raise CaptionError(f"no usable pair in {places}: {why}; give pictures with captions")
    return report


class _Intake:
    """Takes one item after the other; holds one shard and small batches in memory."""

    def __init__(
        self, folder: Path, before: files.Committed, encoder: Encoder, limits: ShardLimits
    ) -> None:
        self._folder = folder
        self._start = self._before = before
        self._encoder = encoder
        self._limits = limits
        self._seen = SeenKeys(
            np.array(files.mapped(folder, files.PAIRS, "<u8", (before.captions,)))
        )
        self._reasons = SeenKeys(np.fromiter(_reason_keys(folder, before), np.uint64))
        self._shard = Shard()
        self._pictures: list[tuple[NewPicture, UInt8[np.ndarray, "height width channels"]]] = []
        self._texts: list[NewCaption] = []
        self._folded = 0
        self.refused = 0
        self.first_reason = ""

    @property
    def note(self) -> str:
        """How far it is, in words."""
        captions = self._before.captions - self._start.captions + self._shard.captions
        return f"{captions:,} captions, {self._folded:,} folded, {self.refused:,} set aside"

    def take(self, item: Item) -> None:
        """Puts a pair into the shard, folds it or sets it aside; adds the shard when it is full."""
        if isinstance(item, SetAside):
            self._refuse(item.source, item.reason)
        else:
            try:
                self._take_pair(item)
            except PictureError as error:
                self._refuse(item.source, str(error))
        full = (
            len(self._shard.pictures) >= self._limits.pictures and bool(self._shard.to_encode)
        ) or (
            self._shard.to_encode >= self._limits.encoded_captions
            or self._shard.captions >= self._limits.captions
        )
        if full:
            self._commit()

    def finish(self) -> IntakeReport:
        """Adds what is left, if the run brought anything usable, and says what was added."""
        nothing = self._before == self._start and not self._shard.captions and not self._folded
        if any(self._shard.counts) and not nothing:
            self._commit()
        return IntakeReport(
            pictures=self._before.pictures - self._start.pictures,
            captions=self._before.captions - self._start.captions,
            text_only=self._before.text_only - self._start.text_only,
            folded=self._folded,
            set_aside=self._before.set_aside - self._start.set_aside,
        )

    def _refuse(self, source: str, reason: str) -> None:
        self.refused += 1
        self.first_reason = self.first_reason or f"{source}: {reason}"
        key = pair_key(b"", f"{source}\0{reason}")
        if key not in self._reasons:
            self._reasons.add(key)
            self._shard.set_aside.append(SetAside(source, reason))

    def _take_pair(self, pair: Pair) -> None:
        given = pair.given
        captions = [
            NewCaption(text, pair.source, 0, given.texts[place] if given else None)
            for place, text in enumerate(pair.captions)
        ]
        long = sum(len(each.text) > MAX_CAPTION_LENGTH for each in captions)
        if long:
            self._refuse(pair.source, f"a caption of over {MAX_CAPTION_LENGTH:,} characters")
            captions = [each for each in captions if len(each.text) <= MAX_CAPTION_LENGTH]
        if not captions:
            if not long:
                self._refuse(pair.source, "no caption")
        elif given is not None and given.image is not None:
            digest = hashlib.sha256(b"embedding\0" + halved(given.image).tobytes()).digest()
            if fresh := self._fresh(digest, captions):
                self._picture(digest, fresh).row = given.image
        elif pair.load is None:
            self._shard.loose += self._taken(self._fresh(b"", captions))
        else:
            self._take_picture(pair.load(), captions)

    def _take_picture(self, data: bytes, captions: list[NewCaption]) -> None:
        digest = hashlib.sha256(data).digest()
        fresh = self._fresh(digest, captions)
        if not fresh:
            return
        if digest in self._shard.pictures:
            self._picture(digest, fresh)
            return
        pixels = to_pixels(decode_picture(data), self._encoder.info.pixels)
        self._pictures.append((self._picture(digest, fresh), pixels))
        if len(self._pictures) >= PICTURE_BATCH:
            self._embed_pictures()

    def _fresh(self, digest: bytes, captions: list[NewCaption]) -> list[NewCaption]:
        """Those captions of the picture that are not in yet, with their keys."""
        for each in captions:
            each.key = pair_key(digest, each.text)
        fresh = [each for each in captions if each.key not in self._seen]
        self._folded += len(captions) - len(fresh)
        return fresh

    def _picture(self, digest: bytes, captions: list[NewCaption]) -> NewPicture:
        """The shard's picture, which has the captions now."""
        picture = self._shard.pictures.setdefault(digest, NewPicture(digest))
        picture.captions += self._taken(captions)
        self._shard.pictured_captions += len(captions)
        return picture

    def _taken(self, captions: list[NewCaption]) -> list[NewCaption]:
        """The captions, now known and waiting for their embeddings."""
        for each in captions:
            self._seen.add(each.key)
            if each.row is None:
                self._texts.append(each)
                self._shard.to_encode += 1
        if len(self._texts) >= TEXT_BATCH:
            self._embed_texts()
        return captions

    def _embed_pictures(self) -> None:
        if self._pictures:
            rows = self._encoder.embed_pixels(np.stack([pixels for _, pixels in self._pictures]))
            for (picture, _), row in zip(self._pictures, rows, strict=True):
                picture.row = row
            self._pictures.clear()

    def _embed_texts(self) -> None:
        """Shorter texts first: a batch is as long as its longest."""
        texts = sorted(self._texts, key=lambda each: (len(each.text), each.text))
        if texts:
            rows = self._encoder.embed_texts([each.text for each in texts])
            for each, row in zip(texts, rows, strict=True):
                each.row = row
            self._texts.clear()

    def _commit(self) -> None:
        self._embed_pictures()
        self._embed_texts()
        parts = self._shard.parts(self._before)
        self._before = files.append_shard(self._folder, self._before, self._shard.counts, parts)
        self._shard = Shard()


def _reason_keys(folder: Path, before: files.Committed) -> Iterator[int]:
    """Keys of what was set aside by earlier runs."""
    if not before.set_aside:
        return
    with (folder / files.SET_ASIDE).open("rb") as lines:
        for _, line in zip(range(before.set_aside), lines, strict=False):
            row = json.loads(line)
            yield pair_key(b"", f"{row['source']}\0{row['reason']}")
