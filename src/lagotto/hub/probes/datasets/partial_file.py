"""A remote file comes in; a local file of its size goes out that holds some ranges of its bytes.

FILE              the bytes where they are in the remote file; holes elsewhere
FILE.ranges.json  {"ranges": {"START-STOP": sha256}}: what is there, written behind the bytes

So a reader finds everything at its place, and a run that was cut off transfers no range twice. A
range whose bytes do not give their checksum is fetched again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lagotto.core.errors import SourceError
from lagotto.core.files import canonical_json, write_atomically, writing

ReadRange = Callable[[int, int], bytes]
"""Returns the bytes from a place up to another one."""


class PartialFile:
    """The local file of a remote one; `fetched` counts the bytes that were transferred."""

    def __init__(self, path: Path, size: int, read: ReadRange) -> None:
        """Opens or begins the file.

        Args:
            path: Where it lies.
            size: The bytes of the remote file.
            read: Transfers a range.
        """
        self.path = path
        self.fetched = 0
        self._size = size
        self._read = read
        self._list = path.with_name(f"{path.name}.ranges.json")
        self._ranges = self._intact()

    def missing(self, places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of some ranges that are not there yet."""
        return [place for place in places if place not in self._ranges]

    def fill(self, places: Iterable[tuple[int, int]]) -> None:
        """Transfers ranges that are not there, each whole or not at all.

        Raises:
            SourceError: The hub does not provide one.
            HubError: The disk is full.
        """
        for first, stop in self.missing(places):
            data = self._read(first, stop)
            with writing(self.path), self.path.open("r+b") as file:
                file.seek(first)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self.fetched += len(data)
            self._ranges[first, stop] = hashlib.sha256(data).hexdigest()
            listed = {f"{one}-{other}": digest for (one, other), digest in self._ranges.items()}
            write_atomically(self._list, canonical_json({"ranges": {**listed}}))

    def _intact(self) -> dict[tuple[int, int], str]:
        """The ranges whose bytes are as they were written; begins the file if there is none."""
        if not self.path.is_file() or self.path.stat().st_size != self._size:
            with writing(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._list.unlink(missing_ok=True)
                with self.path.open("wb") as file:
                    file.truncate(self._size)
            return {}
        intact = {}
        for text, digest in _listed(self._list).items():
            first, _, stop = text.partition("-")
            if first.isdigit() and stop.isdigit() and int(first) < int(stop) <= self._size:
                place = int(first), int(stop)
                with self.path.open("rb") as file:
                    file.seek(place[0])
                    data = file.read(place[1] - place[0])
                if hashlib.sha256(data).hexdigest() == digest:
                    intact[place] = str(digest)
        return intact


def _listed(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    ranges = content.get("ranges") if isinstance(content, dict) else None
    return ranges if isinstance(ranges, dict) else {}


_TAIL = 1 << 16
_END_BYTES = 8
_MARK = b"PAR1"
_MAX_FOOTER = 1 << 28


def fill_footer(file: PartialFile, size: int) -> None:
    """Transfers the footer of a parquet file, which says where everything is.

    Raises SourceError if the file is no parquet.
    """
    tail = max(0, size - _TAIL), size
    file.fill([(0, min(4, size)), tail])
    with file.path.open("rb") as stream:
        stream.seek(max(0, size - _END_BYTES))
        end = stream.read(_END_BYTES)
    length = int.from_bytes(end[:4], "little")
    if len(end) < _END_BYTES or end[4:] != _MARK or not 0 < length <= min(_MAX_FOOTER, size - 12):
        raise SourceError(f"{file.path.name} is no whole parquet file")
    start = size - _END_BYTES - length
    if start < tail[0]:
        file.fill([(start, tail[0])])
