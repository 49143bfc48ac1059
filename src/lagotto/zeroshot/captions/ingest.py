"""Caption sources come in; new pairs are embedded and appended to a store, shard by shard."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain

import numpy as np
from jaxtyping import UInt8

from lagotto.core.errors import CaptionError, PictureError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.progress import Progress
from lagotto.core.sources.count import SourceCount, add_counts
from lagotto.core.types import JsonObject, Skipped
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.captions.dedup import KeySet, pair_key, reason_key
from lagotto.zeroshot.captions.files import Committed
from lagotto.zeroshot.captions.index_record import IndexRecord
from lagotto.zeroshot.captions.shard import (
    NewCaption,
    NewPicture,
    Shard,
    to_float16,
)
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairSource,
)
from lagotto.zeroshot.captions.storage.base import StoreWriter

MAX_CAPTION_LENGTH = 10_000
"""Characters; a longer text is a document, of which an encoder would read only the first words."""

MAX_UNUSABLE = 1_000_000
"""Items from the start of which none can be used: the rest is not read."""

PICTURE_BATCH = 32
TEXT_BATCH = 256


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """A shard is appended when it reaches one of these; a killed run loses at most one shard."""

    pictures: int = 512
    encoded_captions: int = 4096
    captions: int = 16_384
    skipped: int = 16_384


@dataclass(frozen=True, slots=True)
class IntakeReport:
    """Counts of what a run added; `folded` pairs were in the store already.

    `set_aside` counts the items that could not be used and were not listed before. `source_count`
    says what became of each row, sample and file of the sources. `index` is what was measured of
    the index of a store on a server.
    """

    pictures: int
    captions: int
    text_only: int
    folded: int
    set_aside: int
    source_count: SourceCount = field(default_factory=SourceCount)
    index: IndexRecord | None = None

    def as_json(self) -> JsonObject:
        """The fields by name; `index` only if there is one."""
        content = {**asdict(self), "source_count": self.source_count.as_json()}
        if self.index is None:
            del content["index"]
        return content


def ingest_pairs(
    writer: StoreWriter,
    sources: Sequence[PairSource],
    encoder: Encoder,
    progress: Progress,
    limits: ShardLimits,
) -> IntakeReport:
    """Adds the pairs of some sources to a store, shard by shard.

    Shards that were appended before an error stay.

    Args:
        writer: The store, held for writing.
        sources: The sources.
        encoder: The store's encoder.
        progress: Receives the progress of the work.
        limits: When a shard is complete.

    Raises:
        CaptionError: No pair is usable.
    """
    ingester = _Ingester(writer, writer.recover(), encoder, limits)
    progress.start("embedding pairs", sum(source.rows for source in sources), "rows")
    try:
        rows = 0
        for item in chain.from_iterable(source.read() for source in sources):
            ingester.add(item)
            rows += item.rows if isinstance(item, Pair) else 1
            if rows >= PICTURE_BATCH:
                progress.advance(rows, ingester.note)
                rows = 0
        report = ingester.finish([source.passed_over for source in sources])
        progress.advance(rows, ingester.note)
    finally:
        progress.finish()
    if not report.captions and not report.folded:
        first = ingester.first_reason
        paths = ", ".join(str(source.path) for source in sources)
        count = ingester.skipped_count
        problem = f"{count} set aside, the first: {first}" if first else "nothing in it"
        raise CaptionError(f"no usable pair in {paths}: {problem}; give pictures with captions")
    return report


class _Ingester:
    """Adds items one by one; holds one shard and small batches in memory."""

    def __init__(
        self, writer: StoreWriter, before: Committed, encoder: Encoder, limits: ShardLimits
    ) -> None:
        self._writer = writer
        self._initial_state = self._state = before
        self._encoder = encoder
        self._limits = limits
        self._known_pairs = KeySet(writer.pair_keys(before))
        reasons = (reason_key(row.source, row.reason) for row in writer.skipped(before))
        self._known_reasons = KeySet(np.fromiter(reasons, np.uint64))
        self._shard = Shard()
        self._pictures: list[tuple[NewPicture, UInt8[np.ndarray, "height width channels"]]] = []
        self._texts: list[NewCaption] = []
        self._folded = 0
        self._taken_rows = self._skipped_rows = 0
        self.skipped_count = 0
        self.first_reason = ""

    @property
    def note(self) -> str:
        """The counts so far, for the progress display."""
        captions = self._state.captions - self._initial_state.captions + self._shard.captions
        return f"{captions:,} captions, {self._folded:,} folded, {self.skipped_count:,} set aside"

    @property
    def _has_pairs(self) -> bool:
        """Whether anything that was read can be used."""
        return bool(self._state != self._initial_state or self._shard.captions or self._folded)

    def add(self, item: Item) -> None:
        """Adds a pair to the shard, unless it is known or unusable; appends a full shard.

        Raises CaptionError if MAX_UNUSABLE items came, and none of them can be used.
        """
        if self.skipped_count >= MAX_UNUSABLE and not self._has_pairs:
            raise CaptionError(
                f"the first {self.skipped_count:,} items are no pairs, the first of them: "
                f"{self.first_reason}; give pictures with captions"
            )
        if isinstance(item, Skipped):
            self._skip(item.source, item.reason)
            self._skipped_rows += 1
        else:
            try:
                is_used = self._add_pair(item)
            except PictureError as error:
                self._skip(item.source, str(error))
                is_used = False
            self._taken_rows += item.rows if is_used else 0
            self._skipped_rows += 0 if is_used else item.rows
        full = (
            len(self._shard.pictures) >= self._limits.pictures and bool(self._shard.to_encode)
        ) or (
            self._shard.to_encode >= self._limits.encoded_captions
            or self._shard.captions >= self._limits.captions
            or (len(self._shard.skipped) >= self._limits.skipped and self._has_pairs)
        )
        if full:
            self._commit()

    def finish(self, passed_over: Sequence[Mapping[str, int]]) -> IntakeReport:
        """Appends the last shard, if the run brought anything usable, and returns the counts."""
        if any(self._shard.counts) and self._has_pairs:
            self._commit()
        return IntakeReport(
            pictures=self._state.pictures - self._initial_state.pictures,
            captions=self._state.captions - self._initial_state.captions,
            text_only=self._state.text_only - self._initial_state.text_only,
            folded=self._folded,
            set_aside=self._state.skipped - self._initial_state.skipped,
            source_count=SourceCount(self._taken_rows, self._skipped_rows, add_counts(passed_over)),
        )

    def _skip(self, source: str, reason: str) -> None:
        self.skipped_count += 1
        self.first_reason = self.first_reason or f"{source}: {reason}"
        key = reason_key(source, reason)
        if key not in self._known_reasons:
            self._known_reasons.add(key)
            self._shard.skipped.append(Skipped(source, reason))

    def _add_pair(self, pair: Pair) -> bool:
        """Adds what is new of a pair; false if none of its captions can be used."""
        embeddings = pair.embeddings
        captions = [
            NewCaption(text, pair.source, 0, embeddings.texts[position] if embeddings else None)
            for position, text in enumerate(pair.captions)
        ]
        too_long = sum(len(caption.text) > MAX_CAPTION_LENGTH for caption in captions)
        if too_long:
            self._skip(pair.source, f"a caption of over {MAX_CAPTION_LENGTH:,} characters")
            captions = [caption for caption in captions if len(caption.text) <= MAX_CAPTION_LENGTH]
        if not captions:
            if not too_long:
                self._skip(pair.source, "no caption")
        elif embeddings is not None and embeddings.image is not None:
            digest = hashlib.sha256(
                b"embedding\0" + to_float16(embeddings.image).tobytes()
            ).digest()
            if new := self._without_known(digest, captions):
                self._add_to_picture(digest, new).row = embeddings.image
        elif pair.load is None:
            self._shard.text_only_captions += self._queue(self._without_known(b"", captions))
        else:
            self._add_picture(pair.load(), captions)
        return bool(captions)

    def _add_picture(self, data: bytes, captions: list[NewCaption]) -> None:
        digest = hashlib.sha256(data).digest()
        new = self._without_known(digest, captions)
        if not new:
            return
        if digest in self._shard.pictures:
            self._add_to_picture(digest, new)
            return
        pixels = to_pixels(decode_picture(data), self._encoder.info.pixels)
        self._pictures.append((self._add_to_picture(digest, new), pixels))
        if len(self._pictures) >= PICTURE_BATCH:
            self._embed_pictures()

    def _without_known(self, digest: bytes, captions: list[NewCaption]) -> list[NewCaption]:
        """The captions of a picture that the store does not have, with their keys set."""
        for caption in captions:
            caption.key = pair_key(digest, caption.text)
        new = [caption for caption in captions if caption.key not in self._known_pairs]
        self._folded += len(captions) - len(new)
        return new

    def _add_to_picture(self, digest: bytes, captions: list[NewCaption]) -> NewPicture:
        """Adds captions to a picture of the shard and returns the picture."""
        picture = self._shard.pictures.setdefault(digest, NewPicture(digest))
        picture.captions += self._queue(captions)
        self._shard.pictured_captions += len(captions)
        return picture

    def _queue(self, captions: list[NewCaption]) -> list[NewCaption]:
        """Marks captions as known and queues them for the encoder; returns them."""
        for caption in captions:
            self._known_pairs.add(caption.key)
            if caption.row is None:
                self._texts.append(caption)
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
        """Embeds the queued texts, sorted by length: a batch is padded to its longest text."""
        texts = sorted(self._texts, key=lambda caption: (len(caption.text), caption.text))
        if texts:
            rows = self._encoder.embed_texts([caption.text for caption in texts])
            for caption, row in zip(texts, rows, strict=True):
                caption.row = row
            self._texts.clear()

    def _commit(self) -> None:
        self._embed_pictures()
        self._embed_texts()
        self._state = self._writer.append(self._state, self._shard)
        self._shard = Shard()
