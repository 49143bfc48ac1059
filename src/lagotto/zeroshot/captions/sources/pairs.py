"""Rows of tables come in; pairs of a picture and its captions, one at a time, go out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby, islice
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
    resolve_picture,
    storable,
)
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder

MAX_CAPTIONS = 1000
"""Captions in one pair, at most; a picture with more captions gives further pairs."""

_NAMES_CHECKED = 20
"""Picture names of a table that are looked up to decide which folder they are relative to."""

_MAX_FOLDERS = 100
_PICTURE_FOLDERS = ("images", "image", "imgs", "img", "pictures", "photos", "jpegimages")


@dataclass(frozen=True, slots=True)
class PairEmbeddings:
    """Embeddings from the source itself, of any norm: one a caption, and possibly the picture's."""

    texts: Float[np.ndarray, "captions dim"]
    image: Float[np.ndarray, " dim"] | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Captions and, if they have one, their picture.

    `load` returns the bytes of the picture's file, or raises PictureError. `rows` is the number of
    rows of the source that the pair was made of. `file` is where the picture lies, if it is a file
    of its own.
    """

    source: str
    captions: CaptionTexts
    load: Callable[[], bytes] | None = None
    embeddings: PairEmbeddings | None = None
    rows: int = 1
    file: Path | None = None


Item: TypeAlias = Pair | Skipped


@dataclass(frozen=True, slots=True)
class PairSource:
    """A source of pairs.

    `rows` is the number of its rows, possibly estimated. `read` reads it from the beginning.
    `check`, if any, raises CaptionError if the source does not fit the encoder. `note` is a fact
    worth showing to the user. `has_pictures` is false for captions alone, and `pictures_beside` is
    then the number of pictures that lie with them and have no caption. `passed_over` has the number
    of files, rows or members that give no pair, by kind; it is complete once the source has been
    read to its end.
    """

    path: Path
    rows: int
    read: Callable[[], Iterator[Item]]
    check: Callable[[Encoder], None] | None = None
    note: str = ""
    has_pictures: bool = True
    pictures_beside: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)


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
    return replace(picture_at(folder, name), source=source, captions=captions, rows=rows)


def picture_at(folder: Path, name: str) -> Pair:
    """A pair without captions, with the picture that a table in a folder names."""
    if name.startswith(("http://", "https://")):
        return Pair(name, (), _is_remote)
    file = resolve_picture(folder, name)
    return Pair(name, (), partial(read_picture_file, file), file=file)


def _is_remote() -> bytes:
    raise PictureError("a web address; download the pictures first, for example with img2dataset")


def located_pairs(
    rows: Iterable[PairRow | Skipped], folder: Path, images: Path | None = None
) -> Iterator[Item]:
    """The pairs of rows whose picture paths are relative to a folder that is found first.

    Args:
        rows: The rows.
        folder: The folder of the table.
        images: The folder of the pictures, if it was given; else it is looked for.
    """
    stream = iter(rows)
    first = list(islice(stream, _NAMES_CHECKED))
    names = [row[0] for row in first if not isinstance(row, Skipped) and row[0]]
    base = find_picture_folder(folder, names, images)
    return pairs_of_rows(chain(first, stream), base or images or folder)


def find_picture_folder(folder: Path, names: list[str], images: Path | None = None) -> Path | None:
    """The first folder that holds one of some pictures; None if none does.

    Looked at are the given folder of pictures alone, or else the folder of the table, the folders
    in it, the folder above and the folders in that. Folders called images and the like come first.
    """
    for candidate in [images] if images is not None else _candidates(folder):
        if any(_is_there(candidate, name) for name in names[:_NAMES_CHECKED]):
            return candidate
    return None


def _candidates(folder: Path) -> Iterator[Path]:
    for base in (folder, folder.parent):
        yield base
        try:
            inside = sorted(path for path in base.iterdir() if path.is_dir())[:_MAX_FOLDERS]
        except OSError:
            continue
        yield from sorted(inside, key=lambda path: path.name.lower() not in _PICTURE_FOLDERS)


def _is_there(folder: Path, name: str) -> bool:
    try:
        return resolve_picture(folder, name).is_file()
    except (OSError, ValueError):
        return False
