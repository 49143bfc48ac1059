"""A folder of pictures with a text of the same name beside each comes in; pairs go out.

KEY.jpg with KEY.txt, KEY.caption or KEY.json, as img2dataset's layout "files" and the tools that
train adapters have them; a text may also be called KEY.jpg.txt.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.files import read_at_most
from lagotto.core.images import read_picture_file
from lagotto.core.parsing.caption_text import (
    MAX_TEXT_BYTES,
    TEXT_ENDINGS,
    captions_of_file,
)
from lagotto.core.parsing.captioned_tables import CaptionTexts, merge_captions, storable
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import Item, Pair, PairSource


def texts_beside(picture: Path) -> list[Path]:
    """The text files that belong to a picture by their name."""
    names = [picture.with_suffix(f".{ending}") for ending in TEXT_ENDINGS]
    names += [picture.with_name(f"{picture.name}.{ending}") for ending in TEXT_ENDINGS]
    return [path for path in names if path.is_file()]


def sidecar_source(folder: Path, pictures: Sequence[Path]) -> PairSource:
    """A source with the pictures of a folder that have texts beside them.

    Args:
        folder: The folder.
        pictures: Its pictures, sorted.
    """
    return PairSource(folder, len(pictures), partial(_pairs, folder, pictures))


def _pairs(folder: Path, pictures: Sequence[Path]) -> Iterator[Item]:
    for picture in pictures:
        source = storable(f"{folder.resolve().name}/{picture.relative_to(folder).as_posix()}")
        captions: CaptionTexts = ()
        problem = ""
        for text in texts_beside(picture):
            try:
                captions = merge_captions(
                    captions, captions_of_file(_read_text(text), text.suffix[1:])
                )
            except (ValueError, TypeError, RecursionError):
                problem = f"its {storable(text.name)} is not readable as text with captions"
        if captions or not problem:
            yield Pair(source, captions, partial(read_picture_file, picture), file=picture)
        else:
            yield Skipped(source, problem)


def _read_text(file: Path) -> bytes:
    """The bytes of a text; ValueError if it is over MAX_TEXT_BYTES."""
    try:
        data = read_at_most(file, MAX_TEXT_BYTES)
    except OSError as error:
        raise CaptionError(f"cannot read {file}: {error.strerror}; check the file") from error
    if data is None:
        raise ValueError("too long")
    return data
