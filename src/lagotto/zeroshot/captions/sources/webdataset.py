"""A webdataset tar comes in, read in place; pairs go out. Nothing is unpacked to disk.

A sample is the members with the same key. The key is the path up to the first dot of the file name
(webdataset's rule), or up to the last dot where that gives no sample.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.images import MAX_PICTURE_BYTES, UNREAD_SUFFIXES
from lagotto.core.parsing.caption_text import (
    MAX_TEXT_BYTES,
    TEXT_ENDINGS,
    captions_of_file,
)
from lagotto.core.parsing.captioned_tables import (
    CaptionTexts,
    merge_captions,
    storable,
)
from lagotto.core.parsing.tar import (
    PICTURE_ENDINGS,
    TarMember,
    TarSurvey,
    read_samples,
    survey_tar,
)
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairSource,
)


def tar_source(path: Path) -> PairSource:
    """A source with the samples of a tar: KEY.jpg, .png or .webp with KEY.txt or KEY.json.

    A json member holds its text under "caption". Other members are counted and passed over, and so
    is everything that is not a regular file.

    Raises:
        CaptionError: The file is not an uncompressed tar.
    """
    survey = survey_tar(path, TEXT_ENDINGS, CaptionError)
    note = ""
    if survey.by_name:
        note = f"{path}: pictures and texts in different folders are paired by their names"
    elif survey.pictures and survey.others and not survey.paired:
        note = f"{path}: none of its {survey.pictures:,} pictures has a text of the same name"
    unread = sum(number for kind, number in survey.passed_over.items() if kind in UNREAD_SUFFIXES)
    return PairSource(
        path,
        survey.samples,
        partial(_samples, path, survey),
        note=note,
        has_pictures=survey.paired > 0 or not survey.others,
        pictures_beside=0 if survey.paired else survey.pictures + unread,
        passed_over=survey.passed_over,
    )


def _samples(path: Path, survey: TarSurvey) -> Iterator[Item]:
    for key, members in read_samples(path, survey, CaptionError):
        source = storable(f"{path.name}/{key}")
        captions: CaptionTexts = ()
        picture: TarMember | None = None
        problem = ""
        for member in members:
            if member.ending in PICTURE_ENDINGS:
                picture = picture or member
            elif member.size > MAX_TEXT_BYTES:
                problem = f"a text of {member.size / 2**20:,.1f} MiB"
            else:
                try:
                    captions = merge_captions(
                        captions, captions_of_file(member.read(), member.ending)
                    )
                except (ValueError, TypeError, RecursionError):
                    problem = f"its .{member.ending} is not readable as text with captions"
        if picture is not None and picture.size > MAX_PICTURE_BYTES:
            problem = f"a picture of {picture.size / 2**20:,.0f} MiB"
        if problem:
            yield Skipped(source, problem)
        elif captions or picture is not None:
            load = None if picture is None else partial(_return_bytes, picture.read())
            yield Pair(source, captions, load)
        else:
            yield Skipped(source, "no picture and no caption")


def _return_bytes(data: bytes) -> bytes:
    return data
