"""A path comes in; the caption sources at it go out. Each kind of source has its own module."""

from pathlib import Path

from lagotto.core.errors import CaptionError, UsageError
from lagotto.zeroshot.captions.sources.clip_retrieval import (
    clip_retrieval_source,
    is_clip_retrieval,
)
from lagotto.zeroshot.captions.sources.coco import coco_source
from lagotto.zeroshot.captions.sources.pairs import PairSource
from lagotto.zeroshot.captions.sources.parquet import parquet_source
from lagotto.zeroshot.captions.sources.tables import (
    CSV_SUFFIXES,
    JSONL_SUFFIXES,
    csv_source,
    jsonl_source,
    text_source,
)
from lagotto.zeroshot.captions.sources.webdataset import tar_source

FOLDER_TABLES = ("captions.jsonl", "metadata.jsonl", "captions.csv", "metadata.csv", "captions.txt")
"""Names of a caption table in a folder of pictures; the first that exists is read."""

KINDS = (
    f"a folder with {', '.join(FOLDER_TABLES)}, tars or parquet files, a clip-retrieval folder, or "
    "a .jsonl, .csv, .tsv, .txt, COCO .json, .parquet or .tar file"
)


def find_sources(path: Path, images: Path | None = None) -> list[PairSource]:
    """Finds the sources at a path: one, or one for each tar or parquet file of a folder.

    Args:
        path: A file or folder.
        images: The folder with the pictures of a COCO captions file.

    Raises:
        UsageError: The path does not exist, or the file is of no known kind.
        CaptionError: The source cannot be read, or the folder holds no captions.
    """
    if path.is_dir():
        return _in_folder(path, images)
    if not path.is_file():
        raise UsageError(f"no captions at {path}: no such file or folder; give {KINDS}")
    return [_of_file(path, images)]


def _of_file(path: Path, images: Path | None) -> PairSource:
    suffix = path.suffix.lower()
    if suffix in JSONL_SUFFIXES:
        return jsonl_source(path)
    if suffix in CSV_SUFFIXES:
        return csv_source(path)
    if suffix == ".txt":
        return text_source(path)
    if suffix == ".json":
        return coco_source(path, images)
    if suffix == ".parquet":
        return parquet_source(path)
    if suffix == ".tar":
        return tar_source(path)
    raise UsageError(f"{path} is no source of captions; give {KINDS}")


def _in_folder(folder: Path, images: Path | None) -> list[PairSource]:
    if is_clip_retrieval(folder):
        return [clip_retrieval_source(folder)]
    for name in FOLDER_TABLES:
        if (folder / name).is_file():
            return [_of_file(folder / name, images)]
    for pattern in ("*.tar", "*.parquet"):
        files = sorted(path for path in folder.glob(pattern) if path.is_file())
        if files:
            return [_of_file(path, images) for path in files]
    raise CaptionError(f"{folder} holds no captions that Lagotto knows; give {KINDS}")
