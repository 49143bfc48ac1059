"""The first lines of a table come in; its delimiter and the roles of its columns go out.

Well-known sets are published in many forms: with a header in any case, with pipes or tabs, without
a header, as tokens. What a column holds is told by its name, else by its content; a table in which
neither tells is none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.parsing.captioned_tables import (
    PATH_COLUMNS,
    find_caption_columns,
    first_column,
    is_address,
    is_path,
    path_column_by_content,
    rare_path_column,
)
from lagotto.core.parsing.delimited_text import (
    DELIMITERS,
    NumberedLine,
    is_quoted,
    split_line,
    text_lines,
)
from lagotto.zeroshot.captions.sources.pairs import find_picture_folder

SAMPLE_LINES = 50
"""Lines from which the form of a table is told."""

TOKEN = re.compile(
    r"\s*(\S.{0,500}?\.(?:jpe?g|png|webp|gif|bmp|tiff?)(?:\.\d+)?)#(\d+)\s+(.*)", re.IGNORECASE
)
"""A line of Flickr8k.token.txt: a picture, # and the number of the caption, and the caption."""

_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a table is read.

    `picture` is the column of picture paths, None for captions alone, and `captions` those of
    captions, as positions in `columns`. With `rest_is_caption` what is beyond the last column
    belongs to it. `is_tokens` stands for lines of the form of TOKEN.
    """

    delimiter: str
    columns: tuple[str, ...]
    captions: tuple[int, ...]
    picture: int | None = None
    quoted: bool = True
    header_lines: int = 0
    rest_is_caption: bool = False
    is_tokens: bool = False
    note: str = ""


def find_table_form(
    path: Path, sample: Sequence[NumberedLine], need_pictures: bool = False
) -> TableForm | None:
    """The form of a table; None if its first lines are not those of one.

    Args:
        path: The table; by its ending the delimiter of a .tsv is a tab.
        sample: Its first lines.
        need_pictures: Whether a table without pictures is none, as in a text file in which a line
            may be a caption.
    """
    lines = [line for _, line in sample if line is not None and line.strip()]
    if not lines:
        return None
    if all(TOKEN.match(line) for line in lines):
        return TableForm("\t", ("picture", "caption"), (1,), 0, is_tokens=True)
    separator = _SEPARATOR_LINE.fullmatch(lines[0])
    delimiters: tuple[str, ...] = DELIMITERS if separator is None else (separator[1],)
    if path.suffix.lower() == ".tsv" and separator is None:
        delimiters = ("\t", *(item for item in DELIMITERS if item != "\t"))
    lines = lines if separator is None else lines[1:]
    skipped_lines = 0 if separator is None else 1
    form = _by_header(path, lines, delimiters, skipped_lines, need_pictures)
    return form or _by_content(path, lines, delimiters, need_pictures)


def _by_header(
    path: Path,
    lines: list[str],
    delimiters: Sequence[str],
    skipped_lines: int,
    need_pictures: bool,
) -> TableForm | None:
    """The form of a table whose first line names its columns."""
    text_alone: TableForm | None = None
    for delimiter in delimiters if lines else ():
        columns = split_line(lines[0], delimiter)
        captions = find_caption_columns(columns)
        if not captions:
            continue
        quoted = is_quoted(text_lines(path, CaptionError), delimiter, len(columns))
        rows = [split_line(line, delimiter, quoted) for line in lines[1:]]
        picture = _picture_column(path, columns, captions, rows)
        positions = tuple(columns.index(name) for name in captions)
        form = TableForm(
            delimiter,
            tuple(columns),
            positions,
            picture,
            quoted,
            skipped_lines + 1,
            # A picture and its caption: whatever follows the first delimiter is the caption.
            rest_is_caption=len(columns) == 2 and picture == 0 and positions == (1,),
        )
        if picture is not None:
            return form
        text_alone = text_alone or form
    return None if need_pictures else text_alone


def _picture_column(
    path: Path, columns: list[str], captions: Sequence[str], rows: list[list[str]]
) -> int | None:
    """The position of the column that names pictures: by its name, its cells, or the files."""
    others = [name for name in columns if name not in captions]
    name = first_column(PATH_COLUMNS, others)
    if name is None:
        whole = [row for row in rows if len(row) == len(columns)]
        cells = {item: [row[columns.index(item)] for row in whole] for item in others}
        try:
            name = path_column_by_content(cells)
        except ValueError as error:
            raise CaptionError(f"{path} {error}") from error
        if name is None:  # names without an ending, as in image_id
            hint = rare_path_column(others)
            if hint is not None and find_picture_folder(path.resolve().parent, cells[hint]):
                name = hint
    return None if name is None else columns.index(name)


def _by_content(
    path: Path, lines: list[str], delimiters: Sequence[str], need_pictures: bool
) -> TableForm | None:
    """The form of a table without a header, in which each line names a picture or an address."""
    for delimiter in delimiters:
        width = len(split_line(lines[0], delimiter)) if lines else 0
        if width < 2:
            continue
        quoted = is_quoted(text_lines(path, CaptionError), delimiter, width)
        rows = [split_line(line, delimiter, quoted) for line in lines]
        if all(len(row) >= 2 and is_path(row[0]) for row in rows) and width == 2:
            return TableForm(
                delimiter, ("picture", "caption"), (1,), 0, quoted, rest_is_caption=True
            )
        if len({len(row) for row in rows}) != 1:
            continue
        form = _by_cells(rows, width, delimiter, quoted)
        if form is not None and (form.picture is not None or not need_pictures):
            return form
    return None


def _by_cells(rows: list[list[str]], width: int, delimiter: str, quoted: bool) -> TableForm | None:
    """The form of rows of one width that have one column of texts beside pictures or addresses."""
    paths, addresses, texts = [], [], []
    for index in range(width):
        cells = [row[index] for row in rows]
        if all(map(is_path, cells)):
            paths.append(index)
        elif all(map(is_address, cells)):
            addresses.append(index)
        elif not all(cell.replace(".", "", 1).isdigit() for cell in cells):
            texts.append(index)
    if len(texts) != 1 or len(paths) > 1 or not (paths or addresses):
        return None
    roles = dict.fromkeys(paths, "picture") | dict.fromkeys(addresses, "url")
    roles[texts[0]] = "caption"
    columns = tuple(roles.get(index, f"column {index + 1}") for index in range(width))
    return TableForm(delimiter, columns, (texts[0],), paths[0] if paths else None, quoted)
