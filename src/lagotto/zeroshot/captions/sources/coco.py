"""The content of a COCO captions json comes in; rows of pictures and captions go out."""

from collections.abc import Iterator

from lagotto.core.parsing.captioned_tables import (
    parse_captions,
    storable,
)
from lagotto.core.types import JsonValue, Skipped
from lagotto.zeroshot.captions.sources.pairs import MAX_CAPTIONS, PairRow


def coco_rows(
    name: str, pictures: list[JsonValue], annotations: list[JsonValue]
) -> Iterator[PairRow | Skipped]:
    """The pictures of a COCO captions file, in its order, each with all its captions.

    Ids are compared as texts: some files have 7 in one list and "7" in the other. NoCaps and VizWiz
    have the same form.

    Args:
        name: The name of the file, for the names of entries that are skipped.
        pictures: The list `images`.
        annotations: The list `annotations`.
    """
    name_of_picture, bad = picture_names(name, pictures)
    yield from bad
    captions_of_picture: dict[str, dict[str, None]] = {}
    for number, entry in enumerate(annotations):
        row = entry if isinstance(entry, dict) else {}
        key, caption = row.get("image_id"), row.get("caption")
        try:
            captions = parse_captions(caption)
        except TypeError:
            captions = ()
        if _is_id(key) and str(key) in name_of_picture and captions:
            captions_of_picture.setdefault(str(key), {}).update(dict.fromkeys(captions))
        else:
            where = f"{storable(name)} annotations[{number}]"
            yield Skipped(where, "needs a caption and the image_id of a picture in images")
    for key, picture in name_of_picture.items():
        texts = tuple(captions_of_picture.get(key, ()))
        for start in range(0, max(len(texts), 1), MAX_CAPTIONS):
            yield picture, "", texts[start : start + MAX_CAPTIONS]


def picture_names(name: str, pictures: list[JsonValue]) -> tuple[dict[str, str], list[Skipped]]:
    """The file name of each picture id, and the entries without id or name."""
    name_of_picture: dict[str, str] = {}
    bad: list[Skipped] = []
    for number, entry in enumerate(pictures):
        row = entry if isinstance(entry, dict) else {}
        key, file_name = row.get("id"), _file_name(row)
        if _is_id(key) and file_name:
            name_of_picture[str(key)] = file_name
        else:
            bad.append(Skipped(f"{storable(name)} images[{number}]", "needs an id and a file_name"))
    return name_of_picture, bad


def _file_name(row: dict[str, JsonValue]) -> str | None:
    """The file that an entry names, or the last part of its address."""
    for key in ("file_name", "filename", "coco_url"):
        value = row.get(key)
        if isinstance(value, str) and value and "\0" not in value:
            return value.rpartition("/")[2] if key == "coco_url" else value
    return None


def _is_id(key: object) -> bool:
    return isinstance(key, int | str) and not isinstance(key, bool)
