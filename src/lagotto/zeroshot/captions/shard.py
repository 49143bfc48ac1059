"""Pairs with their embeddings come in; the bytes to append to a store's data files go out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from lagotto.core.files import canonical_json
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions import files as files

EncodedRow = Float[np.ndarray, " dim"]


@dataclass(slots=True)
class NewCaption:
    """A caption, its source and key, and its embedding once it is computed."""

    text: str
    source: str
    key: int
    row: EncodedRow | None = None


@dataclass(slots=True)
class NewPicture:
    """A picture by its sha256, its captions, and its embedding once it is computed."""

    digest: bytes
    captions: list[NewCaption] = field(default_factory=list)
    row: EncodedRow | None = None


@dataclass(slots=True)
class Shard:
    """Pictures in the order of arrival, captions without a picture, and items set aside."""

    pictures: dict[bytes, NewPicture] = field(default_factory=dict)
    text_only_captions: list[NewCaption] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    to_encode: int = 0
    pictured_captions: int = 0

    @property
    def captions(self) -> int:
        """The number of captions, with a picture or without."""
        return self.pictured_captions + len(self.text_only_captions)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """(pictures, captions, captions without a picture, items set aside)."""
        return len(self.pictures), self.captions, len(self.text_only_captions), len(self.skipped)

    def in_order(self) -> tuple[list[NewPicture], list[NewCaption]]:
        """The pictures and the captions, as their rows follow each other."""
        pictures = list(self.pictures.values())
        captions = [caption for picture in pictures for caption in picture.captions]
        return pictures, captions + self.text_only_captions

    def spans(self, before: files.Committed) -> Int64[np.ndarray, "pictures 2"]:
        """The first caption of each picture, and one past its last."""
        counts = [len(picture.captions) for picture in self.pictures.values()]
        ends = before.captions + np.cumsum([0, *counts], dtype=np.int64)
        return np.stack([ends[:-1], ends[1:]], axis=1)

    def parts(self, before: files.Committed) -> dict[str, bytes]:
        """The bytes to append to each data file; all embeddings must be computed."""
        pictures, captions = self.in_order()
        texts = [caption.text.encode() for caption in captions]
        sources = [caption.source.encode() for caption in captions]
        skipped_rows = [{"source": row.source, "reason": row.reason} for row in self.skipped]
        return {
            files.IMAGE_EMBEDDINGS: _rows([picture.row for picture in pictures]),
            files.SPANS: self.spans(before).astype("<i8").tobytes(),
            files.DIGESTS: b"".join(picture.digest for picture in pictures),
            files.TEXT_EMBEDDINGS: _rows([caption.row for caption in captions]),
            files.TEXTS: b"".join(texts),
            files.TEXT_ENDS: _ends(texts, before.lengths[files.TEXTS]),
            files.SOURCES: b"".join(sources),
            files.SOURCE_ENDS: _ends(sources, before.lengths[files.SOURCES]),
            files.PAIRS: np.array([caption.key for caption in captions], "<u8").tobytes(),
            files.SKIPPED: b"".join(canonical_json(dict(row)) + b"\n" for row in skipped_rows),
        }


def _rows(rows: Sequence[EncodedRow | None]) -> bytes:
    return b"".join(to_float16(row).tobytes() for row in rows if row is not None)


def to_float16(row: EncodedRow) -> np.ndarray[Any, np.dtype[Any]]:
    """An embedding as it is stored: little-endian float16."""
    return row.astype("<f2")


def _ends(parts: Sequence[bytes], start: int) -> bytes:
    """The end offset of each part in a file that has `start` bytes before them."""
    return (
        (start + np.cumsum([len(part) for part in parts], dtype=np.int64)).astype("<i8").tobytes()
    )
