"""What adding captions will need, judged from the first pairs of each source, before it starts."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.types import EncoderInfo
from lagotto.zeroshot.captions.ingest import PICTURE_BATCH, ShardLimits
from lagotto.zeroshot.captions.sources.pairs import Pair, PairSource

_SAMPLE = 64
_SAMPLED_SOURCES = 8
_PICTURE_BYTES = 16 + 32
"""Span and digest."""

_CAPTION_BYTES = 8 + 8 + 8
"""Ends of text and source, key of the pair."""

_DECODING_BYTES = 64 * 2**20
_PIXEL_COPIES = 8
"""A batch of pixels as uint8, and the float32 tensors that are made of it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """About what a run will take, if all pairs are new and usable; `notes` are worth reading.

    `memory_bytes` is beside the encoder itself; `free_bytes` is what the disk has.
    """

    pictures: int
    captions: int
    disk_bytes: int
    memory_bytes: int
    free_bytes: int
    notes: tuple[str, ...]

    def check(self, folder: Path) -> None:
        """Raises CaptionError where the disk has less free than the store will take."""
        if self.free_bytes < self.disk_bytes:
            raise CaptionError(
                f"{folder} would take about {self.disk_bytes / 1e6:,.0f} MB and its disk has "
                f"{self.free_bytes / 1e6:,.0f} MB free; free space or choose another folder"
            )


def estimate_needs(
    folder: Path, sources: Sequence[PairSource], encoder: EncoderInfo, captions_now: int
) -> Needs:
    """Needs of adding the sources to the store in a folder; the first pairs of a few are read."""
    pictures = captions = text_bytes = 0.0
    ratios = (1.0, 1.0, 64.0)
    for number, source in enumerate(sources):
        if number < _SAMPLED_SOURCES:
            ratios = _ratios(source)
        pictures += source.rows * ratios[0]
        captions += source.rows * ratios[1]
        text_bytes += source.rows * ratios[2]
    row = 2 * encoder.dim
    disk = pictures * (row + _PICTURE_BYTES) + captions * (row + _CAPTION_BYTES) + text_bytes
    height, width, channels = encoder.pixels.shape
    shard = min(captions, ShardLimits().captions) * (2 * row + 600)
    batch = PICTURE_BATCH * height * width * channels * _PIXEL_COPIES + _DECODING_BYTES
    memory = shard + 16 * (captions_now + captions) + (batch if pictures else 0)
    return Needs(
        pictures=round(pictures),
        captions=round(captions),
        disk_bytes=round(disk),
        memory_bytes=round(memory),
        free_bytes=shutil.disk_usage(folder).free,
        notes=tuple(source.note for source in sources if source.note),
    )


def _ratios(source: PairSource) -> tuple[float, float, float]:
    """Pictures, captions and bytes of texts and source names, for each row of the source."""
    rows = pictures = captions = text_bytes = 0
    for item in islice(source.read(), _SAMPLE):
        rows += item.rows if isinstance(item, Pair) else 1
        if isinstance(item, Pair):
            pictured = item.load is not None or (
                item.given is not None and item.given.image is not None
            )
            pictures += pictured
            captions += len(item.captions)
            text_bytes += sum(len(text.encode()) for text in item.captions)
            text_bytes += len(item.captions) * len(item.source.encode())
    if not rows:
        return 0.0, 0.0, 0.0
    return pictures / rows, captions / rows, text_bytes / rows
