"""Cells and columns of a table of captioned pictures come in; paths and captions go out.

Probe sources and caption sources read the same tables, so both use these rules.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

CaptionTexts: TypeAlias = tuple[str, ...]

PATH_COLUMNS = ("image", "path", "file_name", "file", "filepath", "filename", "image_path")
"""Columns that name a picture file; the first that a table has is used."""

CAPTION_COLUMNS = ("captions", "caption", "text", "title")

_MORE_PATH_COLUMNS = (
    *("image_name", "image_file", "image_file_name", "image_filename", "imagename", "image_id"),
    *("img", "img_path", "img_name", "img_file", "img_filename", "file_path", "photo", "picture"),
    *("picture_path", "local_path", "jpg", "jpeg", "png", "images"),
)
"""Names of such columns that are believed only if their content bears them out."""

_MORE_CAPTION_COLUMNS = (
    *("sentences", "sentence", "sentences_raw", "raw", "comment", "comments", "description"),
    *("descriptions", "caption_text", "raw_caption", "text_en", "caption_en", "captions_en"),
    *("en_caption", "en_text", "en", "alt_text", "alt", "alttext", "prompt", "top_caption"),
    *("long_caption", "short_caption", "detailed_caption", "blip_caption", "generated_caption"),
    *("llava_caption", "recaption", "re_caption", "enhanced_caption"),
    "txt",  # the member of a webdataset that was written as parquet
)
_PATHS_SHARE = 0.9
_NUMBERED_CAPTION = re.compile(
    r"(?:captions?|texts?|sentences?|comments?|titles?|descriptions?)[ _.-]?(\d{1,3})"
)
_TEXT_KEYS = ("raw", "caption", "text", "sentence", "value", "en")
"""Keys under which a list of structs has its text, as in `sentences: [{"raw": ...}]`."""

_PICTURE_ENDING = re.compile(
    r"\.(?:jpe?g|jpe|jfif|jpg_large|png|apng|webp|gif|bmp|tiff?|avif|hei[cf]|jxl|ppm|pgm)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs)://\S+", re.IGNORECASE)


def storable(text: str) -> str:
    """A text that can be printed and stored; bytes of a file name that are not UTF-8 become "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def merge_captions(first: CaptionTexts, second: CaptionTexts) -> CaptionTexts:
    """The captions of both, each once, in order."""
    return tuple(dict.fromkeys(first + second))


def parse_captions(cell: object) -> CaptionTexts:
    """The captions in a cell, stripped, each once, without empty ones.

    A cell is a text, bytes of UTF-8, a struct that has its text under "raw" or "caption", or a list
    of these.

    >>> parse_captions(["a cat ", "", "a cat", {"raw": "a dog"}])
    ('a cat', 'a dog')

    Raises:
        TypeError: The cell is none of these, and not None.
    """
    texts: list[str] = []
    for item in cell if isinstance(cell, list) else [cell]:
        value = _text_in(item)
        if isinstance(value, list):
            texts.extend(parse_captions(value))
        elif isinstance(value, bytes):
            texts.append(_decoded(value).strip())
        elif isinstance(value, str):
            texts.append(storable(value.strip()))
        elif value is not None or (isinstance(cell, list) and item is None):
            raise TypeError(type(value).__name__)
    return merge_captions((), tuple(text for text in texts if text))


def _text_in(item: object) -> object:
    """The text of a struct; any other value as it is."""
    if not isinstance(item, dict):
        return item
    key = next((key for key in _TEXT_KEYS if key in item), None)
    if key is None:
        raise TypeError("a struct without a text")
    return item[key]


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TypeError("bytes that are not UTF-8") from error


def parse_captioned_line(line: str) -> tuple[str | None, CaptionTexts]:
    """(picture path or None, captions) of a line of jsonl.

    Raises:
        ValueError: The line cannot be read; the message begins with a verb ("is not JSON; ...").
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON; each line must be one JSON object") from error
    if not isinstance(row, dict):
        raise ValueError("is not an object; each line must be one JSON object")
    return parse_captioned_row(row)


def parse_captioned_row(row: dict[str, object]) -> tuple[str | None, CaptionTexts]:
    """(picture path or None, captions) of one JSON object of a list or of jsonl.

    Raises:
        ValueError: The object cannot be read; the message begins with a verb.
    """
    keys = list(row)
    caption_keys = find_caption_columns(keys)
    path_key = first_column(PATH_COLUMNS, keys)
    if path_key is None:
        others = {key: [row[key]] for key in keys if key not in caption_keys}
        path_key = path_column_by_content(others)
    path = None if path_key is None else row[path_key]
    if path_key is not None and (not isinstance(path, str) or not path or "\0" in path):
        raise ValueError(f"names no picture; give its path as one of {', '.join(PATH_COLUMNS)}")
    captions: CaptionTexts = ()
    try:
        for key in caption_keys:
            captions = merge_captions(captions, parse_captions(row[key]))
    except TypeError as error:
        raise ValueError("has captions that are neither a text nor a list of texts") from error
    return (path if isinstance(path, str) else None), captions


def first_column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """The first of some names that is a column of a table; None if none is.

    A column that is spelled exactly so comes before one that differs in case or in `_`, `-`, space.

    >>> first_column(("caption", "text"), ["URL", "TEXT"])
    'TEXT'
    """
    exact = next((name for name in names if name in columns), None)
    if exact is not None:
        return exact
    by_plain = {_plain(column): column for column in reversed(columns)}
    return next((by_plain[name] for name in names if name in by_plain), None)


def _plain(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def path_column_by_content(cells: Mapping[str, Sequence[object]]) -> str | None:
    """The column of a foreign name whose cells are paths of pictures; None if there is none.

    Args:
        cells: The first cells of each column that may be it.

    Raises:
        ValueError: Several columns are, and no name says which one is meant.

    >>> path_column_by_content({"url": ["http://a.org/1.jpg"], "img": ["1.jpg", "2.jpg"]})
    'img'
    """
    fitting = [name for name, column in cells.items() if _are_paths(column)]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    usual = first_column(_MORE_PATH_COLUMNS, fitting)
    if usual is None:
        raise ValueError(f"names pictures in {', '.join(fitting)}; rename the one to read to image")
    return usual


def rare_path_column(columns: Sequence[str]) -> str | None:
    """A column whose name hints at pictures, such as image_id; its content has to bear it out."""
    return first_column(_MORE_PATH_COLUMNS, columns)


def _are_paths(cells: Sequence[object]) -> bool:
    """Whether nearly all of some cells are paths of pictures."""
    paths = sum(isinstance(cell, str) and is_path(cell) for cell in cells)
    return paths > 0 and paths >= _PATHS_SHARE * len(cells)


def find_caption_columns(columns: Sequence[str], with_rare: bool = True) -> tuple[str, ...]:
    """The columns that hold captions: one of the usual names, else caption_0, caption_1 and so on.

    Args:
        columns: The names of all columns.
        with_rare: Whether a name such as "comment" or "alt" counts where there is no other.

    >>> find_caption_columns(["url", "caption_1", "Caption_0"])
    ('Caption_0', 'caption_1')
    """
    usual = first_column(CAPTION_COLUMNS, columns)
    if usual is not None:
        return (usual,)
    numbered = [
        (int(match[1]), column)
        for column in columns
        if (match := _NUMBERED_CAPTION.fullmatch(_plain(column)))
    ]
    if numbered:
        return tuple(column for _, column in sorted(numbered))
    rarer = first_column(_MORE_CAPTION_COLUMNS, columns) if with_rare else None
    return () if rarer is None else (rarer,)


def is_path(text: str) -> bool:
    """Whether a text is the path of a picture file, by its ending; a web address is none.

    >>> is_path("images/0001.JPG"), is_path("a dog"), is_path("http://a.org/b.jpg")
    (True, False, False)
    """
    text = text.strip()
    if len(text) > 1000 or _ADDRESS.match(text) or "\n" in text:
        return False
    return _PICTURE_ENDING.fullmatch(Path(text.replace("\\", "/")).suffix) is not None


def is_address(text: str) -> bool:
    """Whether a text is an address on the web."""
    return _ADDRESS.fullmatch(text.strip()) is not None


def resolve_picture(folder: Path, name: str) -> Path:
    """The file that a table in a folder names.

    Where there is no such file, backslashes are read as slashes, as a table that was written on
    Windows has them, and a name without an ending is tried with those of pictures.
    """
    path = folder / name
    if _exists(path):
        return path
    if "\\" in name and _exists(folder / name.replace("\\", "/")):
        return folder / name.replace("\\", "/")
    if not is_path(name):
        for ending in (".jpg", ".png", ".jpeg", ".webp"):
            if _exists(folder / f"{name}{ending}"):
                return folder / f"{name}{ending}"
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
