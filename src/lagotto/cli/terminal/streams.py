"""Standard streams that the caller closed come in; streams that no file of ours can take go out."""

import io
import os
import sys
from typing import TextIO


def fill_closed_streams() -> None:
    """Puts the null device where standard input, output or error is closed (as by `>&-`).

    Otherwise the next file that is opened, such as a catalogue, gets the number of the closed
    stream, and what any library prints lands in it. The null device is opened for reading at
    stdout: an answer that cannot be written is an error, as on a full disk. It is opened for
    writing at stderr: messages that nobody wants are dropped.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            taken = os.open(os.devnull, mode)
            if taken != number:  # only where a lower one was closed by another thread
                os.dup2(taken, number)
                os.close(taken)
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or _opened(0, "r")
    sys.stdout = sys.stdout or _opened(1, "w")
    sys.stderr = sys.stderr or _opened(2, "w")


def _opened(number: int, mode: str) -> TextIO:
    """The stream of a descriptor that stays open when the stream is collected."""
    return io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        if mode == "w"
        else io.BufferedReader(io.FileIO(number, "r", closefd=False)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=mode == "w",
    )
