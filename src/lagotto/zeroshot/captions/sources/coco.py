"""A COCO captions json file comes in, read whole up to MAX_COCO_BYTES; pairs go out."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.files import read_json
from lagotto.core.parsing.captioned_tables import (
    CaptionTexts,
    parse_captions,
    storable,
)
from lagotto.core.types import JsonValue, Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    PairRow,
    PairSource,
    pairs_of_rows,
)

MAX_COCO_BYTES = 2**30
_PICTURES_CHECKED = 20
"""Pictures whose files are checked to decide whether a folder holds the pictures."""


def coco_source(path: Path, images: Path | None) -> PairSource:
    """The pictures of a COCO captions file, in its order, each with all its captions.

    Args:
        path: The json file.
        images: The folder of the pictures; if None, the folder of the file, or its images/
            subfolder.

    Raises:
        CaptionError: The json is not COCO captions, or none of the first pictures exists.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise CaptionError(f"cannot read {path}: {error.strerror}; check the file") from error
    if size > MAX_COCO_BYTES:
        raise CaptionError(
            f"{path} is {size / 2**30:.1f} GiB; a json file is read whole, up to "
            f"{MAX_COCO_BYTES // 2**30} GiB; write it as jsonl, one picture a line"
        )
    content = read_json(path, "caption file", CaptionError)
    pictures, annotations = content.get("images"), content.get("annotations")
    if not isinstance(pictures, list) or not isinstance(annotations, list):
        keys = ", ".join(ascii(key)[1:-1] for key in sorted(content))[:200] or "nothing"
        raise CaptionError(
            f"{path} is no COCO captions file: it holds {keys} "
            "and needs the lists images and annotations; give .jsonl for other forms"
        )
    name_of_picture, bad = _names(path, pictures)
    folder = _picture_folder(path, images, name_of_picture)

    def read() -> Iterator[Item]:
        return pairs_of_rows(_rows(path, name_of_picture, annotations, bad), folder)

    return PairSource(path, len(name_of_picture) + len(bad), read)


def _names(path: Path, pictures: list[JsonValue]) -> tuple[dict[int | str, str], list[Skipped]]:
    """The file name of each picture id, and the entries without id or name."""
    name_of_picture: dict[int | str, str] = {}
    bad: list[Skipped] = []
    for number, entry in enumerate(pictures):
        match entry:
            case {"id": int() | str() as key, "file_name": str(name)} if name and "\0" not in name:
                name_of_picture[key] = name
            case _:
                where = f"{storable(path.name)} images[{number}]"
                bad.append(Skipped(where, "needs an id and a file_name"))
    return name_of_picture, bad


def _rows(
    path: Path,
    name_of_picture: dict[int | str, str],
    annotations: list[JsonValue],
    bad: list[Skipped],
) -> Iterator[PairRow | Skipped]:
    yield from bad
    captions_of_picture: dict[int | str, list[str]] = {}
    for number, entry in enumerate(annotations):
        match entry:
            case {"image_id": int() | str() as key, "caption": str(caption)} if (
                key in name_of_picture
            ):
                captions_of_picture.setdefault(key, []).append(caption)
            case _:
                where = f"{storable(path.name)} annotations[{number}]"
                yield Skipped(where, "needs a caption and the image_id of a picture in images")
    for key, name in name_of_picture.items():
        captions: CaptionTexts = parse_captions(captions_of_picture.get(key))
        yield name, "", captions


def _picture_folder(path: Path, images: Path | None, name_of_picture: dict[int | str, str]) -> Path:
    """The first folder that holds one of the first pictures; CaptionError if there is none."""
    parent = path.resolve().parent
    folders = [images.resolve()] if images is not None else [parent, parent / "images"]
    first_names = list(islice(name_of_picture.values(), _PICTURES_CHECKED))
    for folder in folders:
        if any((folder / name).is_file() for name in first_names):
            return folder
    if not first_names:
        raise CaptionError(f"{path} lists no pictures; give a captions file with images")
    raise CaptionError(
        f"{path}: its picture {storable(first_names[0])} is not in "
        f"{' or '.join(map(str, folders))}; give the folder of the pictures with --images"
    )
