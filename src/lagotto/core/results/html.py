"""Columns, rows and small pictures come in; escaped HTML for a notebook goes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from lagotto.core.text.clean import shown

_CELL = "padding:.15rem .6rem;text-align:{};white-space:normal"


@dataclass(frozen=True, slots=True)
class SmallPicture:
    """A picture for a page: a data URI, and the text beside and behind it."""

    uri: str
    caption: str


def html_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: frozenset[str] = frozenset()
) -> str:
    """A table; every cell is escaped, and columns named in `numeric` are right-aligned."""
    styles = [_CELL.format("right" if column in numeric else "left") for column in columns]
    head = "".join(
        f'<th style="{style}">{escape(shown(column))}</th>'
        for style, column in zip(styles, columns, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{style}">{escape(shown(cell))}</td>'
            for style, cell in zip(styles, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_line(text: str) -> str:
    """A line of text, escaped."""
    return f'<div style="margin:.2rem 0;overflow-wrap:anywhere">{escape(shown(text))}</div>'


def html_pictures(title: str, pictures: Sequence[SmallPicture]) -> str:
    """A row of pictures under a title; a picture's caption shows when the pointer is on it."""
    if not pictures:
        return ""
    printable = "".join(
        f'<img src="{escape(each.uri, quote=True)}" alt="{_quoted(each.caption)}" '
        f'title="{_quoted(each.caption)}" style="margin:2px;display:inline-block">'
        for each in pictures
    )
    return f"{html_line(title)}<div>{printable}</div>"


def _quoted(text: str) -> str:
    return escape(shown(text), quote=True)
