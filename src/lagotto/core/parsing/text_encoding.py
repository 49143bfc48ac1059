"""Bytes of a text file come in; its text goes out, and a note where it was not plain UTF-8."""

import codecs
import re
from dataclasses import dataclass

_MARKS = (
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_HEAD = 4096
_HIGH_RUN = re.compile(rb"[\x80-\xff]{2,}")
_HIGH = re.compile(rb"[\x80-\xff]")
_MOST_IN_RUNS = 0.25
"""Of the bytes above 127 of a Latin-1 text, at most this share stands beside another one. Russian,
Greek, Chinese and Japanese text in an old encoding has nearly all of them in runs."""


_PICTURES = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
)


class NotTextError(ValueError):
    """The bytes are no text that can be read without a guess; the message is a clause."""


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A text, and how its bytes were read where that is worth a note ("saved as UTF-16")."""

    text: str
    notes: tuple[str, ...] = ()


def decode_text(data: bytes) -> DecodedText:
    """The text of a file as editors, spreadsheets and scripts save it.

    Read are UTF-8 with or without a mark, UTF-16 and UTF-32 by their marks or by their zero bytes,
    and Windows-1252 (Latin-1) where accents stand alone among plain letters.

    Raises:
        NotTextError: The bytes are binary, damaged, or of an encoding that can only be guessed.
    """
    for mark, what in _PICTURES:
        if data.startswith(mark):
            raise NotTextError(f"is {what}, not text")
    for mark, encoding, name in _MARKS:
        if data.startswith(mark):
            return DecodedText(_decode(data[len(mark) :], encoding, name or "UTF-8"), _note(name))
    head = data[:_HEAD]
    if 0 in head:
        for encoding, zeros, others in (
            ("utf-16-le", head[1::2], head[::2]),
            ("utf-16-be", head[::2], head[1::2]),
        ):
            if zeros.count(0) > 0.4 * len(zeros) and 0 not in others:
                return DecodedText(_decode(data, encoding, "UTF-16"), _note("UTF-16"))
        raise NotTextError("is not text: it holds zero bytes")
    try:
        return DecodedText(data.decode("utf-8"))
    except UnicodeDecodeError:
        return _old_encoding(data)


def _old_encoding(data: bytes) -> DecodedText:
    high = len(_HIGH.findall(data))
    in_runs = sum(len(run) for run in _HIGH_RUN.findall(data))
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    if not text or in_runs > _MOST_IN_RUNS * high or high > len(data) / 2:
        raise NotTextError("is neither UTF-8 nor Latin-1 text; save it as UTF-8")
    return DecodedText(text, ("not UTF-8: read as Windows-1252 (Latin-1)",))


def _decode(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise NotTextError(
            f"begins as {name} text and is damaged further on; save it as UTF-8"
        ) from error


def _note(name: str) -> tuple[str, ...]:
    return (f"saved as {name}",) if name else ()
