"""The one output sink: data on stdout, notices and progress on stderr."""

import errno
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from lagotto.core.errors import LagottoError, advice_on
from lagotto.core.results.json_text import json_line
from lagotto.core.text.clean import shown

if TYPE_CHECKING:
    from lagotto.core.types import JsonObject, JsonValue


_LONGEST_LINE = 4000
_FORMULA = re.compile(r"(^|[;\t])(?=\s*[=+\-@＝＋－＠])")
"""Where a spreadsheet would begin to read a formula, in a cell or, as `;` separates cells in half
of the world, in the middle of one; full-width signs count as theirs."""
_ROWS_AT_ONCE = 256
_ROWS = "the rows that are streamed stand in place of this text"


def printable(text: str) -> str:
    """Untrusted text with control characters written as escapes.

    Of a very long one the middle is an ellipsis: a message begins with what was given, and ends
    with what to do.
    """
    if len(text) > _LONGEST_LINE:
        half = _LONGEST_LINE // 2
        text = f"{text[:half]}…{text[-half:]}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def spreadsheet_safe(text: str) -> str:
    """A csv cell that no spreadsheet reads as a formula: a quote stands before each of them."""
    return _FORMULA.sub(r"\1'", text)


def print_json(value: "JsonObject") -> None:
    """Prints one JSON object on stdout and nothing else.

    Control characters are written as escapes. If stdout cannot encode the text, so are all
    characters outside ASCII.
    """
    _write(_encodable_json(json_line(value)) + "\n")


def print_json_stream(value: "JsonObject", key: str, rows: "Iterable[JsonValue]") -> None:
    """As `print_json`, with the rows under a key written as they come: there may be many."""
    before, after = json_line({**value, key: _ROWS}).split(json_line(_ROWS))
    _write(_encodable_json(before) + "[")
    separator = ""
    left = iter(rows)
    while batch := [*islice(left, _ROWS_AT_ONCE)]:
        _write(separator + _encodable_json(", ".join(map(json_line, batch))))
        separator = ", "
    _write("]" + _encodable_json(after) + "\n")


def _encodable_json(text: str) -> str:
    """A part of a JSON text; characters that stdout's encoding lacks are written as escapes."""
    if _encodable(text) == text:
        return text
    return "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)


def print_line(text: str = "") -> None:
    """One line of the answer on stdout."""
    _write(_encodable(text) + "\n")


def flush() -> None:
    """Flushes stdout; raises LagottoError if it cannot be written."""
    _write("")


def give_up_stdout() -> None:
    """Discards unwritten output, so that the interpreter does not try again at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _encodable(text: str) -> str:
    """The text with characters that stdout's encoding lacks written as escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # the reader has seen enough
    except OSError as error:
        give_up_stdout()
        raise unwritten_answer(error) from error


def unwritten_answer(error: OSError) -> LagottoError:
    """What to say of an answer that stdout did not take."""
    if error.errno == errno.EBADF:
        return LagottoError("cannot write the answer: stdout is closed; send it to a file")
    return LagottoError(
        f"cannot write the answer: {error.strerror}; free space or write it elsewhere"
    )


def refused_by_system(error: OSError) -> LagottoError | None:
    """What to say of a file that the system did not let be used; None for any other error."""
    advice = {
        errno.EACCES: "let this user read and open it, and the folder that it is in",
        errno.EPERM: "let this user read and open it, and the folder that it is in",
        errno.EROFS: "choose a folder that you may write to",
        errno.ENOSPC: "free space or choose another folder",
        errno.EDQUOT: "free space or choose another folder",
        errno.EFBIG: "choose another folder, or allow this process larger files: ulimit -f",
        errno.ENAMETOOLONG: "choose a shorter name",
        errno.ELOOP: "it is a link that leads to itself; remove it",
        errno.EIO: "check the disk",
    }.get(error.errno or 0) or advice_on(error)
    if not advice:
        return None
    what = "a file" if error.filename is None else os.fsdecode(error.filename)
    return LagottoError(f"cannot use {what}: {error.strerror}; {advice}")


def notice(text: str) -> None:
    """One line about the work on stderr."""
    sys.stderr.write(text + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], numeric: frozenset[str] = frozenset()
) -> None:
    """A plain aligned table on stdout; columns named in `numeric` are right-aligned.

    Long cells are cut. Some hundred rows are held at a time, and aligned with each other and with
    all before them, so that a table of any length is written as it comes.
    """
    widths = [len(column) for column in columns]
    heads = [list(columns)]
    for batch in _batches(rows):
        cells = [[printable(shown(cell)) for cell in row] for row in batch]
        widths = [max(w, *(len(row[i]) for row in cells), 0) for i, w in enumerate(widths)]
        for row in [*heads, *cells]:
            aligned = [
                cell.rjust(width) if column in numeric else cell.ljust(width)
                for column, cell, width in zip(columns, row, widths, strict=True)
            ]
            print_line("  ".join(aligned).rstrip())
        heads = []


def _batches(rows: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """The rows, some hundred at a time; one empty batch where there are none."""
    left = iter(rows)
    yield [*islice(left, _ROWS_AT_ONCE)]
    while batch := [*islice(left, _ROWS_AT_ONCE)]:
        yield batch
