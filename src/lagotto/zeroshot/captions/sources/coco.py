"""Caption source: COCO captions json. The one source that is read whole, up to MAX_BYTES."""

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
_TRIED = 20
"""Pictures looked for before a folder is said not to hold them."""


def coco_source(path: Path, images: Path | None) -> PairSource:
    """The pictures of a COCO captions file, in its order, each with all its captions.

    `file_name` is relative to `images`, else to the file's folder or its images/ subfolder. Raises
    CaptionError where the json is another, or none of the first pictures is there.
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
        found = ", ".join(ascii(key)[1:-1] for key in sorted(content))[:200] or "nothing"
        raise CaptionError(
            f"{path} is no COCO captions file: it holds {found} "
            "and needs the lists images and annotations; give .jsonl for other forms"
        )
    named, bad = _names(path, pictures)
    folder = _picture_folder(path, images, named)

    def read() -> Iterator[Item]:
        return pairs_of_rows(_rows(path, named, annotations, bad), folder)

    return PairSource(path, len(named) + len(bad), read)


def _names(path: Path, pictures: list[JsonValue]) -> tuple[dict[int | str, str], list[Skipped]]:
    """File name by picture id, and the entries that have none."""
    named: dict[int | str, str] = {}
    bad: list[Skipped] = []
    for number, entry in enumerate(pictures):
        match entry:
            case {"id": int() | str() as key, "file_name": str(name)} if name and "\0" not in name:
                named[key] = name
            case _:
                where = f"{storable(path.name)} images[{number}]"
                bad.append(Skipped(where, "needs an id and a file_name"))
    return named, bad


def _rows(
    path: Path, named: dict[int | str, str], annotations: list[JsonValue], bad: list[Skipped]
) -> Iterator[PairRow | Skipped]:
    yield from bad
    said: dict[int | str, list[str]] = {}
    for number, entry in enumerate(annotations):
        match entry:
            case {"image_id": int() | str() as key, "caption": str(caption)} if key in named:
                said.setdefault(key, []).append(caption)
            case _:
                where = f"{storable(path.name)} annotations[{number}]"
                yield Skipped(where, "needs a caption and the image_id of a picture in images")
    for key, name in named.items():
        captions: CaptionTexts = parse_captions(said.get(key))
        yield name, "", captions


def _picture_folder(path: Path, images: Path | None, named: dict[int | str, str]) -> Path:
    """The first folder that holds one of the first pictures."""
    beside = path.resolve().parent
    places = [images.resolve()] if images is not None else [beside, beside / "images"]
    tried = list(islice(named.values(), _TRIED))
    for place in places:
        if any((place / name).is_file() for name in tried):
            return place
    if not tried:
        raise CaptionError(f"{path} lists no pictures; give a captions file with images")
    raise CaptionError(
        f"{path}: its picture {storable(tried[0])} is not in "
        f"{' or '.join(map(str, places))}; give the folder of the pictures with --images"
    )
