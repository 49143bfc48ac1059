"""A folder comes in; the caption sources in it go out, and a count of what is none of them.

Looked for are, in this order: an output of clip-retrieval, a table of a well-known name, tars,
parquet files, texts beside pictures, other tables, and tars, parquet files and tables in folders
below. The first that has pictures is read; captions alone count only in a folder without pictures.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import CaptionError
from lagotto.core.sources.folder import (
    PictureFolder,
    count_rest,
    list_pictures,
    visible_subfolders,
)
from lagotto.zeroshot.captions.sources.clip_retrieval import (
    clip_retrieval_source,
    is_clip_retrieval,
)
from lagotto.zeroshot.captions.sources.pairs import Item, Pair, PairSource
from lagotto.zeroshot.captions.sources.sidecars import sidecar_source, texts_beside

FOLDER_TABLES = ("captions.jsonl", "metadata.jsonl", "captions.csv", "metadata.csv", "captions.txt")
"""Names of a caption table in a folder of pictures; the first that exists is read."""

_OTHER_TABLES = ("*.jsonl", "*.ndjson", "*.json", "*.csv", "*.tsv", "*.token", "*.txt")
_UNNAMED = "pictures that no caption names"
_MAX_TABLES = 50
_BELOW = ("data/*.parquet", "*/*.tar", "*/*.parquet", "*/*/*.tar", "*/*/*.parquet")

_OpenFile = Callable[[Path], PairSource]


def sources_in_folder(folder: Path, open_file: _OpenFile) -> list[PairSource]:
    """The sources in a folder; none if it holds no captions.

    Args:
        folder: The folder.
        open_file: Makes the source of one file.

    Raises:
        CaptionError: A source cannot be read.
    """
    if is_clip_retrieval(folder):
        return [clip_retrieval_source(folder)]
    listing = list_pictures(folder, CaptionError)
    text_alone: list[PairSource] = []
    for sources in _candidates(folder, listing, open_file):
        if any(source.has_pictures for source in sources):
            return _with_rest(folder, sources, listing)
        text_alone = text_alone or sources
    beside = len(listing.pictures) + len(listing.outside)
    counted = [
        replace(source, pictures_beside=max(source.pictures_beside, beside))
        for source in text_alone
    ]
    return _with_rest(folder, counted, listing) if counted else []


def _candidates(
    folder: Path, listing: PictureFolder, open_file: _OpenFile
) -> Iterator[list[PairSource]]:
    """The sources in each way to read the folder, in the order of preference."""
    named = next((name for name in FOLDER_TABLES if (folder / name).is_file()), None)
    if named is not None:
        yield [open_file(folder / named)]
    for pattern in ("*.tar", "*.parquet"):
        yield [open_file(path) for path in _files(folder, pattern)]
    if any(texts_beside(picture) for picture in listing.pictures):
        yield [sidecar_source(folder, listing.pictures)]
    tables = [path for pattern in _OTHER_TABLES for path in _files(folder, pattern)]
    yield _readable([path for path in tables if path.name != named][:_MAX_TABLES], open_file)
    for pattern in _BELOW:
        yield [open_file(path) for path in _files(folder, pattern)]
    below = [
        subfolder / name
        for subfolder in visible_subfolders(folder, CaptionError)
        for name in [next((name for name in FOLDER_TABLES if (subfolder / name).is_file()), None)]
        if name is not None
    ]
    yield _readable(below, open_file)


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files of a pattern, sorted, without hidden ones and links out of the folder."""
    roots = link_roots(folder)
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and stays_inside(path, roots)
    )


def _readable(tables: Sequence[Path], open_file: _OpenFile) -> list[PairSource]:
    """The tables that hold captions: those with pictures if there are any, else all of them.

    Files that only look like tables (lists of classes, notes) are passed over.
    """
    sources = []
    for table in tables:
        try:
            sources.append(open_file(table))
        except CaptionError:
            continue
    pictured = [source for source in sources if source.has_pictures]
    return pictured or [source for source in sources if source.path.suffix.lower() != ".txt"]


def _with_rest(folder: Path, sources: list[PairSource], listing: PictureFolder) -> list[PairSource]:
    """The sources; the first one also counts the files of the folder that none of them reads."""
    files = {source.path for source in sources if source.path != folder}
    if not files:
        files = {text for picture in listing.pictures for text in texts_beside(picture)}
    counts = sources[0].passed_over
    for kind, number in count_rest(listing, files, with_pictures=False).items():
        counts[kind] = counts.get(kind, 0) + number
    pictures = [*listing.pictures, *listing.outside]
    if not pictures:
        return sources
    missing = {os.path.normpath(folder.resolve() / path.relative_to(folder)) for path in pictures}

    def watched(source: PairSource) -> PairSource:
        def read() -> Iterator[Item]:
            for item in source.read():
                if isinstance(item, Pair) and item.file is not None:
                    missing.discard(os.path.normpath(item.file.absolute()))
                yield item
            counts[_UNNAMED] = len(missing)

        return replace(source, read=read)

    return [watched(source) for source in sources]
