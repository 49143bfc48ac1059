"""A webdataset tar comes in, read in place; pairs go out. Nothing is unpacked to disk.

A sample is a run of members with the same key. The key is the path up to the first dot of the file
name.
"""

import json
from collections.abc import Iterator
from functools import partial
from itertools import groupby, islice
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.images import MAX_PICTURE_BYTES
from lagotto.core.parsing.captioned_tables import (
    CAPTION_COLUMNS,
    CaptionTexts,
    merge_captions,
    parse_captions,
    storable,
)
from lagotto.core.parsing.tar import (
    PICTURE_ENDINGS,
    TarMember,
    read_members,
)
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairSource,
)

TEXT_ENDINGS = ("txt", "caption", "json")
MAX_TEXT_BYTES = 2**20
_SAMPLE_KEYS = 200
"""Samples from which the number of samples in a tar is estimated, without reading all of it."""


def tar_source(path: Path) -> PairSource:
    """A source with the samples of a tar: KEY.jpg, .png or .webp with KEY.txt or KEY.json.

    A json member holds its text under "caption". Other members are ignored, and so is everything
    that is not a regular file.

    Raises:
        CaptionError: The file is not an uncompressed tar.
    """
    return PairSource(path, _estimate_samples(path), partial(_samples, path))


def _estimate_samples(path: Path) -> int:
    """The number of samples in a tar: counted if small, else estimated from the first ones."""
    groups = groupby(_members(path), key=lambda member: member.key)
    rows, end = 0, 0
    for _, group in islice(groups, _SAMPLE_KEYS):
        end = max(member.end for member in group)
        rows += 1
    return rows if rows < _SAMPLE_KEYS else max(rows, round(path.stat().st_size / end * rows))


def _members(path: Path) -> Iterator[TarMember]:
    return read_members(path, PICTURE_ENDINGS + TEXT_ENDINGS, CaptionError)


def _samples(path: Path) -> Iterator[Item]:
    for key, group in groupby(_members(path), key=lambda member: member.key):
        source = storable(f"{path.name}/{key}")
        captions: CaptionTexts = ()
        picture: bytes | None = None
        problem = ""
        for member in group:
            if member.ending in PICTURE_ENDINGS:
                if member.size > MAX_PICTURE_BYTES:
                    problem = f"a picture of {member.size / 2**20:,.0f} MiB"
                elif picture is None:
                    picture = member.read()
            elif member.size > MAX_TEXT_BYTES:
                problem = f"a text of {member.size / 2**20:,.1f} MiB"
            else:
                try:
                    captions = merge_captions(
                        captions, _captions_of_member(member.read(), member.ending)
                    )
                except (ValueError, TypeError, RecursionError):
                    problem = f"its .{member.ending} is not readable as text with captions"
        if problem:
            yield Skipped(source, problem)
        else:
            yield Pair(
                source, captions, None if picture is None else partial(_return_bytes, picture)
            )


def _return_bytes(data: bytes) -> bytes:
    return data


def _captions_of_member(data: bytes, ending: str) -> CaptionTexts:
    """The captions in a text member; each line of a .txt or .caption member is one."""

    if ending != "json":
        return parse_captions(data.decode().splitlines())
    content = json.loads(data)
    if not isinstance(content, dict):
        raise TypeError(type(content).__name__)
    return parse_captions(next((content[key] for key in CAPTION_COLUMNS if key in content), None))
