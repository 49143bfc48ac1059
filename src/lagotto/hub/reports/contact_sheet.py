"""Rows of probes in, one picture of them out: a row a logit, the query's own probes on top."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from lagotto.core.text.clean import shown

_THUMBNAIL = 112
_GAP = 8
_TITLE_LENGTH = 200
_TITLE_HEIGHT = 24
_MARK = (30, 140, 60)
_PLAIN = (205, 205, 205)
_INK = (25, 25, 25)


@dataclass(frozen=True, slots=True)
class Tile:
    """A probe in a row: the picture, the number under it, whether it is of the query's top k."""

    picture: Image.Image
    value: float
    is_top: bool


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A title and its probes, strongest first."""

    title: str
    tiles: tuple[Tile, ...]


def draw_contact_sheet(rows: Sequence[SheetRow]) -> Image.Image:
    """An RGB picture with one row of thumbnails a `SheetRow`; top probes have a green frame."""
    font = ImageFont.load_default(size=14)
    columns = max((len(row.tiles) for row in rows), default=1)
    cell = _THUMBNAIL + _GAP
    row_height = _TITLE_HEIGHT + _THUMBNAIL + 26
    width = max(2 * _GAP + columns * cell, 640)
    sheet = Image.new("RGB", (width, _GAP + row_height * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = _GAP + number * row_height
        draw.text((_GAP, top), shown(row.title, _TITLE_LENGTH), fill=_INK, font=font)
        for column, tile in enumerate(row.tiles):
            left = _GAP + column * cell
            upper = top + _TITLE_HEIGHT
            frame = (left, upper, left + _THUMBNAIL - 1, upper + _THUMBNAIL - 1)
            sheet.paste(_thumbnail(tile.picture), (left, upper))
            draw.rectangle(frame, outline=_MARK if tile.is_top else _PLAIN, width=3)
            draw.text((left, upper + _THUMBNAIL + 2), f"{tile.value:+.1f}", fill=_INK, font=font)
    return sheet


def draw_digest(digest: str) -> Image.Image:
    """A tile for a picture that is not here: the first digits of its SHA-256."""
    tile = Image.new("RGB", (_THUMBNAIL, _THUMBNAIL), (244, 244, 244))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(size=14)
    for line in range(4):
        text = digest[8 * line : 8 * line + 8]
        draw.text((_GAP, _GAP + 24 * line), text, fill=_INK, font=font)
    return tile


def _thumbnail(picture: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (_THUMBNAIL, _THUMBNAIL), "white")
    small = picture.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    canvas.paste(small, ((_THUMBNAIL - small.width) // 2, (_THUMBNAIL - small.height) // 2))
    return canvas
