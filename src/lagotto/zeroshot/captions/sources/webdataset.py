"""Caption source: webdataset tars, read in place; nothing is unpacked to disk.

A sample is a run of members that share a key, the path up to the first dot of its file name.
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
_COUNTED = 200
"""Samples looked at to judge how many a tar holds; counting all would read it once more."""


def tar_source(path: Path) -> PairSource:
    """The samples of a tar: KEY.jpg, .png or .webp with KEY.txt or KEY.json (its "caption").

    Other members, and all that are not regular files, are passed over. Raises CaptionError where
    the file is no plain tar.
    """
    return PairSource(path, _about_how_many(path), partial(_samples, path))


def _about_how_many(path: Path) -> int:
    """Samples in a tar: counted if there are few, else judged by the size of the first ones."""
    groups = groupby(_members(path), key=lambda member: member.key)
    rows, end = 0, 0
    for _, group in islice(groups, _COUNTED):
        end = max(member.end for member in group)
        rows += 1
    return rows if rows < _COUNTED else max(rows, round(path.stat().st_size / end * rows))


def _members(path: Path) -> Iterator[TarMember]:
    return read_members(path, PICTURE_ENDINGS + TEXT_ENDINGS, CaptionError)


def _samples(path: Path) -> Iterator[Item]:
    for key, group in groupby(_members(path), key=lambda member: member.key):
        source = storable(f"{path.name}/{key}")
        captions: CaptionTexts = ()
        picture: bytes | None = None
        refused = ""
        for member in group:
            if member.ending in PICTURE_ENDINGS:
                if member.size > MAX_PICTURE_BYTES:
                    refused = f"a picture of {member.size / 2**20:,.0f} MiB"
                elif picture is None:
                    picture = member.read()
            elif member.size > MAX_TEXT_BYTES:
                refused = f"a text of {member.size / 2**20:,.1f} MiB"
            else:
                try:
                    captions = merge_captions(captions, _said(member.read(), member.ending))
                except (ValueError, TypeError, RecursionError):
                    refused = f"its .{member.ending} is not readable as text with captions"
        if refused:
            yield Skipped(source, refused)
        else:
            yield Pair(source, captions, None if picture is None else partial(_given, picture))


def _given(data: bytes) -> bytes:
    return data


def _said(data: bytes, ending: str) -> CaptionTexts:
    """The captions in a text member: each line of a text is one."""
    if ending != "json":
        return parse_captions(data.decode().splitlines())
    content = json.loads(data)
    if not isinstance(content, dict):
        raise TypeError(type(content).__name__)
    return parse_captions(next((content[key] for key in CAPTION_COLUMNS if key in content), None))
