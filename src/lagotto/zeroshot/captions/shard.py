"""A shard in the making: pairs with their embeddings, and the bytes that they become."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from lagotto.core.files import canonical_json
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions import files as files

EncodedRow = Float32[np.ndarray, " dim"]


@dataclass(slots=True)
class NewCaption:
    """A caption, where it is from, and its embedding once there is one."""

    text: str
    source: str
    key: int
    row: EncodedRow | None = None


@dataclass(slots=True)
class NewPicture:
    """A picture by its sha256, its captions, and its embedding once there is one."""

    digest: bytes
    captions: list[NewCaption] = field(default_factory=list)
    row: EncodedRow | None = None


@dataclass(slots=True)
class Shard:
    """Pictures in the order of their coming, then captions without one; what was set aside."""

    pictures: dict[bytes, NewPicture] = field(default_factory=dict)
    loose: list[NewCaption] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    to_encode: int = 0
    pictured_captions: int = 0

    @property
    def captions(self) -> int:
        """All captions in it."""
        return self.pictured_captions + len(self.loose)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Pictures, captions, captions without a picture, things set aside."""
        return len(self.pictures), self.captions, len(self.loose), len(self.skipped)

    def parts(self, before: files.Committed) -> dict[str, bytes]:
        """What each data file gets behind what it has; all must have their embeddings."""
        pictures = list(self.pictures.values())
        captions = [each for picture in pictures for each in picture.captions] + self.loose
        ends = before.captions + np.cumsum([0, *(len(picture.captions) for picture in pictures)])
        texts = [each.text.encode() for each in captions]
        sources = [each.source.encode() for each in captions]
        skipped = [{"source": each.source, "reason": each.reason} for each in self.skipped]
        return {
            files.IMAGE_EMBEDDINGS: _rows([picture.row for picture in pictures]),
            files.SPANS: np.stack([ends[:-1], ends[1:]], axis=1).astype("<i8").tobytes(),
            files.DIGESTS: b"".join(picture.digest for picture in pictures),
            files.TEXT_EMBEDDINGS: _rows([each.row for each in captions]),
            files.TEXTS: b"".join(texts),
            files.TEXT_ENDS: _ends(texts, before.lengths[files.TEXTS]),
            files.SOURCES: b"".join(sources),
            files.SOURCE_ENDS: _ends(sources, before.lengths[files.SOURCES]),
            files.PAIRS: np.array([each.key for each in captions], "<u8").tobytes(),
            files.SKIPPED: b"".join(canonical_json(dict(row)) + b"\n" for row in skipped),
        }


def _rows(rows: Sequence[EncodedRow | None]) -> bytes:
    return b"".join(halved(row).tobytes() for row in rows if row is not None)


def halved(row: EncodedRow) -> np.ndarray[Any, np.dtype[Any]]:
    """An embedding as it is stored."""
    return row.astype("<f2")


def _ends(parts: Sequence[bytes], start: int) -> bytes:
    """Where each part ends in a file that holds `start` bytes before them."""
    return (
        (start + np.cumsum([len(part) for part in parts], dtype=np.int64)).astype("<i8").tobytes()
    )
