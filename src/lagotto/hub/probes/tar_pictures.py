"""A webdataset tar comes in, read in place; a candidate picture for each sample goes out."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lagotto.core.errors import PictureError, ProbeError
from lagotto.core.images import MAX_PICTURE_BYTES
from lagotto.core.parsing.caption_text import (
    MAX_TEXT_BYTES,
    TEXT_ENDINGS,
    captions_of_file,
)
from lagotto.core.parsing.captioned_tables import CaptionTexts, merge_captions, storable
from lagotto.core.parsing.tar import (
    PICTURE_ENDINGS,
    TarMember,
    read_samples,
    survey_tar,
)
from lagotto.core.sources.credits import credit_of_row
from lagotto.core.types import NO_CREDIT, Credit
from lagotto.hub.probes.candidate import ProbeCandidate


def read_tar_pictures(path: Path, title: str) -> Iterator[ProbeCandidate]:
    """One candidate a sample that has a picture; its text, if it has one, is the captions.

    Args:
        path: An uncompressed tar.
        title: What the names of its pictures begin with.

    Raises:
        ProbeError: The file is no plain, whole tar; some errors are raised while iterating.
    """
    survey = survey_tar(path, TEXT_ENDINGS, ProbeError)
    for key, members in read_samples(path, survey, ProbeError):
        captions: CaptionTexts = ()
        picture = next((item for item in members if item.ending in PICTURE_ENDINGS), None)
        if picture is None:
            continue
        credit = NO_CREDIT
        for member in members:
            if member.ending in TEXT_ENDINGS and member.size <= MAX_TEXT_BYTES:
                captions = merge_captions(captions, _captions(member))
                credit = _credit(member) if member.ending == "json" else credit
        yield ProbeCandidate(storable(f"{title}/{key}"), partial(_read, picture), captions, credit)


def _captions(member: TarMember) -> CaptionTexts:
    """The captions in a member; a text that is none gives none, its picture is a probe anyway."""
    try:
        return captions_of_file(member.read(), member.ending)
    except (ValueError, TypeError, RecursionError):
        return ()


def _credit(member: TarMember) -> Credit:
    """What the JSON of a sample states of its picture; nothing where it is none."""
    try:
        content = json.loads(member.read())
    except (ValueError, RecursionError):
        return NO_CREDIT
    return credit_of_row(content) if isinstance(content, dict) else NO_CREDIT


def _read(member: TarMember) -> bytes:
    if member.size > MAX_PICTURE_BYTES:
        raise PictureError(f"a picture of {member.size / 2**20:,.0f} MiB")
    return member.read()
