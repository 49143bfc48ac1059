"""A picture of a source, with its name and captions, comes in; what may become a probe goes out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.images import read_picture_file
from lagotto.core.parsing.captioned_tables import resolve_picture
from lagotto.core.types import NO_CREDIT, Credit


@dataclass(frozen=True, slots=True)
class ProbeCandidate:
    """A picture that may become a probe.

    `load` returns the bytes of its file, or raises PictureError.
    """

    source: str
    load: Callable[[], bytes]
    captions: tuple[str, ...] = ()
    credit: Credit = NO_CREDIT


def load_named(folder: Path, name: str) -> bytes:
    """The bytes of a picture that a table in a folder names; raises PictureError if it is none."""
    return read_picture_file(resolve_picture(folder, name))
