"""A json file with captions comes in, read whole up to MAX_JSON_BYTES; pairs go out.

These forms are read:

- COCO, NoCaps, VizWiz: {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}
- Karpathy's splits: {"images": [{"filepath", "filename", "sentences": [{"raw"}]}]}
- BLIP and others: a list of {"image", "caption"}, also under one key such as "annotations"
- a map from pictures to captions: {"0001.jpg": ["a dog", ...]}
- one object a line, as in jsonl
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.parsing.captioned_tables import storable
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.json_forms import JsonRows, parse_json_table
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    PairSource,
    find_picture_folder,
    pairs_of_rows,
)
from lagotto.zeroshot.captions.sources.tables import jsonl_source, refuse_what_lies_there


def json_source(path: Path, images: Path | None = None) -> PairSource:
    """A source with the pairs of a json file, in its order.

    Args:
        path: The json file.
        images: The folder of the pictures; if None, it is looked for beside the file.

    Raises:
        CaptionError: The json has no form that is read, or none of the first pictures exists.
    """
    refuse_what_lies_there(path)
    parsed = parse_json_table(path)
    if parsed is None:
        return jsonl_source(path, images)
    count, rows = parsed.count, parsed.rows
    first_names = [row[0] for row in islice(rows(), 50) if not isinstance(row, Skipped) and row[0]]
    if not first_names:
        first = islice(rows(), 50)
        if not parsed.is_annotated and any(not isinstance(row, Skipped) for row in first):
            note = f"{path}: its entries name no pictures; text alone"
            read = partial(_pairs, rows, path.resolve().parent)
            return PairSource(path, count, read, note=note, has_pictures=False)
        raise CaptionError(f"{path} lists no pictures; give a captions file with images")
    parent = path.resolve().parent
    base = images and images.resolve()
    folder = find_picture_folder(parent, first_names, base)
    if folder is None and parsed.lists_images:
        # Karpathy's `filepath` is a folder of COCO; without it the pictures may lie in any other.
        names = [name.rpartition("/")[2] for name in first_names]
        folder = find_picture_folder(parent, names, base)
        if folder is not None:
            rows = parsed.rows_without_folders
    if folder is None:
        looked = images.resolve() if images is not None else f"{parent} or the folders around it"
        raise CaptionError(
            f"{path}: its picture {storable(first_names[0])} is not in {looked}; give the folder "
            "of the pictures with --images"
        )
    return PairSource(path, count, partial(_pairs, rows, folder))


def _pairs(rows: JsonRows, folder: Path) -> Iterator[Item]:
    return pairs_of_rows(rows(), folder)
