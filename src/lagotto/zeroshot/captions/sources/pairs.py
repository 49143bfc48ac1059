"""What every caption source gives: pairs of a picture and its captions, one at a time."""

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
"""Captions of one picture held at a time; a picture with more comes again with the rest."""


@dataclass(frozen=True, slots=True)
class Given:
    """Embeddings that the source brings along, of any length: those of the captions, and maybe
    that of the picture."""

    texts: Float[np.ndarray, "captions dim"]
    image: Float[np.ndarray, " dim"] | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Captions and, if they have one, their picture: `load` gives its file or raises PictureError.

    `rows` of the source went into it (for the progress shown).
    """

    source: str
    captions: CaptionTexts
    load: Callable[[], bytes] | None = None
    given: Given | None = None
    rows: int = 1


Item: TypeAlias = Pair | Skipped


@dataclass(frozen=True, slots=True)
class PairSource:
    """A source that was found to be of a known kind.

    `rows` is how many it has, `read` starts reading it from the beginning, `check` (if any) raises
    CaptionError where the source does not fit the encoder, `note` is worth telling the user.
    """

    path: Path
    rows: int
    read: Callable[[], Iterator[Item]]
    check: Callable[[Encoder], None] | None = None
    note: str = ""


PairRow: TypeAlias = tuple[str, str, CaptionTexts]
"""(picture path, or "" for none; name of the row where it has no picture; captions)."""


def pairs_of_rows(rows: Iterable[PairRow | Skipped], folder: Path) -> Iterator[Item]:
    """The pairs of a table's rows; rows in sequence that name the same picture become one pair.

    Paths are relative to the folder; a pair is named `folder/path`, or by its row without one.
    """
    keyed = (
        (("", number), row) if isinstance(row, Skipped) or not row[0] else ((row[0], 0), row)
        for number, row in enumerate(rows)
    )
    for (name, _), group in groupby(keyed, key=itemgetter(0)):
        captions: CaptionTexts = ()
        taken = 0
        for _, row in group:
            if isinstance(row, Skipped):
                yield row
                break
            if not name:
                yield Pair(row[1], row[2])
                break
            captions = merge_captions(captions, row[2])
            taken += 1
            if len(captions) >= MAX_CAPTIONS:
                yield _pictured(name, folder, captions, taken)
                captions, taken = (), 0
        if taken:
            yield _pictured(name, folder, captions, taken)


def _pictured(name: str, folder: Path, captions: CaptionTexts, rows: int) -> Pair:
    source = storable(f"{folder.name}/{name}")
    return Pair(source, captions, picture_at(folder, name), rows=rows)


def picture_at(folder: Path, name: str) -> Callable[[], bytes]:
    """How to load the picture that a table names."""
    if name.startswith(("http://", "https://")):
        return _is_remote
    return partial(read_picture_file, folder / name)


def _is_remote() -> bytes:
    raise PictureError("a web address; download the pictures first, for example with img2dataset")
