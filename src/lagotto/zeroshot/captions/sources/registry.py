"""A path comes in; the caption sources at it go out. Each kind of source has its own module."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lagotto.core.arguments.one_or_many import OnePathOrMany, as_path, as_paths
from lagotto.core.errors import CaptionError, UsageError
from lagotto.core.sources.count import SourceCount, told, way_out
from lagotto.core.sources.folder import count_rest, list_pictures
from lagotto.zeroshot.captions.sources.folder import FOLDER_TABLES, sources_in_folder
from lagotto.zeroshot.captions.sources.json_pairs import json_source
from lagotto.zeroshot.captions.sources.pairs import Item, Pair, PairSource
from lagotto.zeroshot.captions.sources.parquet import parquet_source
from lagotto.zeroshot.captions.sources.tables import (
    CSV_SUFFIXES,
    JSONL_SUFFIXES,
    TEXT_SUFFIXES,
    csv_source,
    jsonl_source,
    text_source,
)
from lagotto.zeroshot.captions.sources.webdataset import tar_source

KINDS = (
    f"a folder with {', '.join(FOLDER_TABLES)}, a text of the same name beside each picture, tars "
    "or parquet files, a clip-retrieval folder, or a .jsonl, .csv, .tsv, .txt, COCO .json, "
    ".parquet or .tar file"
)


def find_all(
    pairs: OnePathOrMany, images: Path | str | None = None, text_only: bool = False
) -> list[PairSource]:
    """The sources at all of some paths; see `find_sources`."""
    pictures = None if images is None else as_path(images, "images")
    paths = as_paths(pairs, "pairs")
    return [source for path in paths for source in find_sources(path, pictures, text_only)]


def find_sources(
    path: Path, images: Path | None = None, text_only: bool = False
) -> list[PairSource]:
    """Finds the sources at a path: one, or one for each table, tar or parquet file of a folder.

    Args:
        path: A file or folder.
        images: The folder with the pictures that a table names.
        text_only: Take the captions alone, also of a source that holds pictures.

    Raises:
        UsageError: The path does not exist, or the file is of no known kind.
        CaptionError: The source cannot be read, the folder holds no captions, or it holds pictures
            that would be lost and `text_only` is not given.
    """
    if path.is_dir():
        sources = sources_in_folder(path, lambda file: _of_file(file, images))
        if not sources:
            listing = list_pictures(path, CaptionError)
            held = told(SourceCount(passed_over=count_rest(listing)))
            raise CaptionError(f"{path} holds no captions that Lagotto knows; give {KINDS}{held}")
    elif path.is_file():
        sources = [_of_file(path, images)]
    else:
        raise UsageError(f"no captions at {path}: no such file or folder; give {KINDS}")
    if text_only:
        return [_without_pictures(source) for source in sources]
    for source in sources:
        if source.pictures_beside and not source.has_pictures:
            cause = source.note or f"{source.path}: text alone"
            raise CaptionError(
                f"{path} holds {source.pictures_beside:,} pictures, and no caption names one "
                f"({cause}); give the captions a column such as file_name with the paths of the "
                "pictures, or take the captions alone with --text-only"
            )
    return sources


def _of_file(path: Path, images: Path | None) -> PairSource:
    suffix = path.suffix.lower()
    if suffix in JSONL_SUFFIXES:
        return jsonl_source(path, images)
    if suffix in CSV_SUFFIXES:
        return csv_source(path, images)
    if suffix in TEXT_SUFFIXES:
        return text_source(path, images)
    if suffix == ".json":
        return json_source(path, images)
    if suffix == ".parquet":
        return parquet_source(path, images)
    if suffix == ".tar":
        return tar_source(path)
    raise UsageError(f"{path} is no source of captions; give {KINDS}{way_out([suffix])}")


def _without_pictures(source: PairSource) -> PairSource:
    """The source with its captions alone."""

    def read() -> Iterator[Item]:
        for item in source.read():
            is_embedded = isinstance(item, Pair) and item.embeddings is not None
            yield replace(item, load=None) if isinstance(item, Pair) and not is_embedded else item

    return replace(source, read=read)
