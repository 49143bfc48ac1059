"""A json file with captions comes in, read whole up to MAX_JSON_BYTES; pairs go out.

These forms are read:

- COCO, NoCaps, VizWiz: {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}
- Karpathy's splits: {"images": [{"filepath", "filename", "sentences": [{"raw"}]}]}
- BLIP and others: a list of {"image", "caption"}, also under one key such as "annotations"
- a map from pictures to captions: {"0001.jpg": ["a dog", ...]}
- one object a line, as in jsonl
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.parsing.captioned_tables import (
    is_path,
    parse_captioned_row,
    parse_captions,
    storable,
)
from lagotto.core.types import JsonValue, Skipped
from lagotto.zeroshot.captions.sources.coco import coco_rows, picture_names
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    PairRow,
    PairSource,
    find_picture_folder,
    pairs_of_rows,
)
from lagotto.zeroshot.captions.sources.tables import jsonl_source, refuse_what_lies_there

MAX_JSON_BYTES = 2**30

_LIST_KEYS = ("annotations", "data", "rows", "items", "captions", "samples", "images")
_Rows = Callable[[], Iterator[PairRow | Skipped]]


def json_source(path: Path, images: Path | None = None) -> PairSource:
    """A source with the pairs of a json file, in its order.

    Args:
        path: The json file.
        images: The folder of the pictures; if None, it is looked for beside the file.

    Raises:
        CaptionError: The json has no form that is read, or none of the first pictures exists.
    """
    refuse_what_lies_there(path)
    content = _read(path)
    if content is None:
        return jsonl_source(path, images)
    count, rows = _rows_of(path, content)
    first_names = [row[0] for row in islice(rows(), 50) if not isinstance(row, Skipped) and row[0]]
    if not first_names:
        no_picture = not isinstance(content, dict) or "annotations" not in content
        if no_picture and any(not isinstance(row, Skipped) for row in islice(rows(), 50)):
            note = f"{path}: its entries name no pictures; text alone"
            read = partial(_pairs, rows, path.resolve().parent)
            return PairSource(path, count, read, note=note, has_pictures=False)
        raise CaptionError(f"{path} lists no pictures; give a captions file with images")
    parent = path.resolve().parent
    base = images and images.resolve()
    folder = find_picture_folder(parent, first_names, base)
    if folder is None and isinstance(content, dict) and isinstance(content.get("images"), list):
        # Karpathy's `filepath` is a folder of COCO; without it the pictures may lie in any other.
        names = [name.rpartition("/")[2] for name in first_names]
        folder = find_picture_folder(parent, names, base)
        count, rows = _rows_of(path, content, with_folders=folder is None)
    if folder is None:
        looked = images.resolve() if images is not None else f"{parent} or the folders around it"
        raise CaptionError(
            f"{path}: its picture {storable(first_names[0])} is not in {looked}; give the folder "
            "of the pictures with --images"
        )
    return PairSource(path, count, partial(_pairs, rows, folder))


def _pairs(rows: _Rows, folder: Path) -> Iterator[Item]:
    return pairs_of_rows(rows(), folder)


def _read(path: Path) -> JsonValue:
    """The content of the file; None for a file with one object a line."""
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise CaptionError(
                f"{path} is {size / 2**30:.1f} GiB; a json file is read whole, up to "
                f"{MAX_JSON_BYTES // 2**30} GiB; write it as jsonl, one picture a line"
            )
        data = path.read_bytes()
    except OSError as error:
        raise CaptionError(f"cannot read {path}: {error.strerror}; check the file") from error
    try:
        content: JsonValue = json.loads(data)
    except (ValueError, RecursionError) as error:
        if _is_object(data.partition(b"\n")[0]):
            return None
        raise CaptionError(
            f"caption file {path} is not JSON: {error}; restore it or write it anew"
        ) from error
    return content


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _rows_of(path: Path, content: JsonValue, with_folders: bool = True) -> tuple[int, _Rows]:
    """(number of entries, a function that gives the rows) of the form that a file has."""
    name = path.name
    if isinstance(content, list):
        return len(content), partial(_list_rows, name, content)
    if isinstance(content, dict):
        pictures, annotations = content.get("images"), content.get("annotations")
        if isinstance(pictures, list) and isinstance(annotations, list):
            if any(isinstance(entry, dict) and "caption" in entry for entry in annotations[:50]):
                names, bad = picture_names(name, pictures)
                return len(names) + len(bad), partial(coco_rows, name, pictures, annotations)
        elif content and all(is_path(key) for key in islice(content, 50)):
            return len(content), partial(_map_rows, name, content)
        else:
            lists = [key for key in _LIST_KEYS if isinstance(content.get(key), list)]
            for key in lists:
                entries = content[key]
                if isinstance(entries, list) and _has_captions(entries):
                    return len(entries), partial(_list_rows, f"{name} {key}", entries, with_folders)
    keys = type(content).__name__
    if isinstance(content, dict):
        keys = ", ".join(ascii(key)[1:-1] for key in sorted(content))[:200] or "nothing"
    raise CaptionError(
        f"{path} is no file of captions: it holds {keys} and needs the lists images and "
        "annotations as COCO has them, or a list of objects with image and caption; give .jsonl "
        "for other forms"
    )


def _has_captions(entries: list[JsonValue]) -> bool:
    """Whether one of the first entries has a caption."""
    for entry in entries[:50]:
        try:
            if isinstance(entry, dict) and parse_captioned_row({**entry})[1]:
                return True
        except ValueError:
            continue
    return False


def _list_rows(
    name: str, entries: list[JsonValue], with_folders: bool = True
) -> Iterator[PairRow | Skipped]:
    """One row an object. Karpathy's `filepath` is a folder and goes in front of its `filename`."""
    for number, entry in enumerate(entries):
        where = f"{storable(name)}[{number}]"
        if not isinstance(entry, dict):
            yield Skipped(where, "is not an object; each entry needs image and caption")
            continue
        row: dict[str, object] = {**entry}
        folder, file_name = row.get("filepath"), row.get("filename")
        if isinstance(folder, str) and isinstance(file_name, str):
            row.pop("filepath")
            row["filename"] = f"{folder}/{file_name}" if folder and with_folders else file_name
        try:
            picture, captions = parse_captioned_row(row)
        except ValueError as error:
            yield Skipped(where, str(error))
        else:
            yield picture or "", where, captions


def _map_rows(name: str, content: dict[str, JsonValue]) -> Iterator[PairRow | Skipped]:
    """One row a picture of a map from pictures to captions."""
    for key, value in content.items():
        where = f"{storable(name)} {storable(key)[:200]}"
        try:
            captions = parse_captions(value)
        except TypeError:
            yield Skipped(where, "has captions that are neither a text nor a list of texts")
        else:
            yield (key, where, captions) if key and "\0" not in key else Skipped(where, "no name")
