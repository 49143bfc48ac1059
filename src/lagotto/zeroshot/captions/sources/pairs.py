"""Rows of tables come in; pairs of a picture and its captions, one at a time, go out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from lagotto.core.errors import PictureError
from lagotto.core.images import read_picture_file
from lagotto.core.parsing.captioned_tables import (
    CaptionTexts,
    merge_captions,
    storable,
)
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder

MAX_CAPTIONS = 1000
"""Captions in one pair, at most; a picture with more captions gives further pairs."""


@dataclass(frozen=True, slots=True)
class PairEmbeddings:
    """Embeddings from the source itself, of any norm: one a caption, and possibly the picture's."""

    texts: Float[np.ndarray, "captions dim"]
    image: Float[np.ndarray, " dim"] | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Captions and, if they have one, their picture.

    `load` returns the bytes of the picture's file, or raises PictureError. `rows` is the number of
    rows of the source that the pair was made of, for the progress display.
    """

    source: str
    captions: CaptionTexts
    load: Callable[[], bytes] | None = None
    embeddings: PairEmbeddings | None = None
    rows: int = 1


Item: TypeAlias = Pair | Skipped


@dataclass(frozen=True, slots=True)
class PairSource:
    """A source of pairs.

    `rows` is the number of its rows, possibly estimated. `read` reads it from the beginning.
    `check`, if any, raises CaptionError if the source does not fit the encoder. `note` is a fact
    worth showing to the user.
    """

    path: Path
    rows: int
    read: Callable[[], Iterator[Item]]
    check: Callable[[Encoder], None] | None = None
    note: str = ""


PairRow: TypeAlias = tuple[str, str, CaptionTexts]
"""(picture path, or "" for none; name of the row where it has no picture; captions)."""


def pairs_of_rows(rows: Iterable[PairRow | Skipped], folder: Path) -> Iterator[Item]:
    """Makes pairs from the rows of a table; successive rows of one picture become one pair.

    Args:
        rows: The rows.
        folder: Paths of pictures are relative to it. The source of a pair is `folder/path`, or the
            name of its row if it has no picture.
    """
    keyed = (
        (("", number), row) if isinstance(row, Skipped) or not row[0] else ((row[0], 0), row)
        for number, row in enumerate(rows)
    )
    for (name, _), group in groupby(keyed, key=itemgetter(0)):
        captions: CaptionTexts = ()
        rows_in_pair = 0
        for _, row in group:
            if isinstance(row, Skipped):
                yield row
                break
            if not name:
                yield Pair(row[1], row[2])
                break
            captions = merge_captions(captions, row[2])
            rows_in_pair += 1
            if len(captions) >= MAX_CAPTIONS:
                yield _pictured(name, folder, captions, rows_in_pair)
                captions, rows_in_pair = (), 0
        if rows_in_pair:
            yield _pictured(name, folder, captions, rows_in_pair)


def _pictured(name: str, folder: Path, captions: CaptionTexts, rows: int) -> Pair:
    source = storable(f"{folder.name}/{name}")
    return Pair(source, captions, picture_at(folder, name), rows=rows)


def picture_at(folder: Path, name: str) -> Callable[[], bytes]:
    """A function that loads the picture that a table names."""
    if name.startswith(("http://", "https://")):
        return _is_remote
    return partial(read_picture_file, folder / name)


def _is_remote() -> bytes:
    raise PictureError("a web address; download the pictures first, for example with img2dataset")
