"""Caption sources come in; an estimate of the disk and memory that adding them needs goes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from lagotto.core.errors import CaptionError
from lagotto.core.types import EncoderInfo
from lagotto.zeroshot.captions.ingest import PICTURE_BATCH, ShardLimits
from lagotto.zeroshot.captions.sources.pairs import Pair, PairSource

_SAMPLE_ITEMS = 64
_SAMPLED_SOURCES = 8
_PICTURE_BYTES = 16 + 32
"""Bytes a picture beside its embedding: span and digest."""

_CAPTION_BYTES = 8 + 8 + 8
"""Bytes a caption beside embedding and text: ends of text and source, and the key of the pair."""

_DECODING_BYTES = 64 * 2**20
_PIXEL_COPIES = 8
"""Memory of a batch in units of its uint8 pixels, with the float32 tensors made of it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """An estimate of what a run needs, if all pairs are new and usable.

    `memory_bytes` excludes the encoder itself. `free_bytes` is the free space of the disk,
    None where that is a server's. `notes` are facts worth showing to the user, one line each.
    """

    pictures: int
    captions: int
    disk_bytes: int
    memory_bytes: int
    free_bytes: int | None
    notes: tuple[str, ...]

    def check(self, store: object) -> None:
        """Raises CaptionError if the disk has less free space than the store needs."""
        if self.free_bytes is not None and self.free_bytes < self.disk_bytes:
            raise CaptionError(
                f"{store} would take about {self.disk_bytes / 1e6:,.0f} MB and its disk has "
                f"{self.free_bytes / 1e6:,.0f} MB free; free space or choose another folder"
            )


def estimate_needs(
    free_bytes: int | None, sources: Sequence[PairSource], encoder: EncoderInfo, captions_now: int
) -> Needs:
    """Estimates what adding the sources needs, from the first items of the first few sources.

    Args:
        free_bytes: The free space of the store's disk; None where it is not known.
        sources: The sources to add.
        encoder: The store's encoder.
        captions_now: Captions in the store already.
    """
    pictures = captions = text_bytes = 0.0
    ratios = (1.0, 1.0, 64.0)
    for number, source in enumerate(sources):
        if number < _SAMPLED_SOURCES:
            ratios = _ratios(source)
        pictures += source.rows * ratios[0]
        captions += source.rows * ratios[1]
        text_bytes += source.rows * ratios[2]
    row_bytes = 2 * encoder.dim
    disk = (
        pictures * (row_bytes + _PICTURE_BYTES)
        + captions * (row_bytes + _CAPTION_BYTES)
        + text_bytes
    )
    height, width, channels = encoder.pixels.shape
    shard = min(captions, ShardLimits().captions) * (2 * row_bytes + 600)
    batch = PICTURE_BATCH * height * width * channels * _PIXEL_COPIES + _DECODING_BYTES
    memory = shard + 16 * (captions_now + captions) + (batch if pictures else 0)
    return Needs(
        pictures=round(pictures),
        captions=round(captions),
        disk_bytes=round(disk),
        memory_bytes=round(memory),
        free_bytes=free_bytes,
        notes=tuple(source.note for source in sources if source.note),
    )


def _ratios(source: PairSource) -> tuple[float, float, float]:
    """(pictures, captions, bytes of texts and source names) for each row of the source."""
    rows = pictures = captions = text_bytes = 0
    for item in islice(source.read(), _SAMPLE_ITEMS):
        rows += item.rows if isinstance(item, Pair) else 1
        if isinstance(item, Pair):
            pictured = item.load is not None or (
                item.embeddings is not None and item.embeddings.image is not None
            )
            pictures += pictured
            captions += len(item.captions)
            text_bytes += sum(len(text.encode()) for text in item.captions)
            text_bytes += len(item.captions) * len(item.source.encode())
    if not rows:
        return 0.0, 0.0, 0.0
    return pictures / rows, captions / rows, text_bytes / rows
