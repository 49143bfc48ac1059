"""Uploaded pictures come in; they are kept as plain pixels, by digest, for a day."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lagotto.core.errors import PictureError
from lagotto.core.files import write_atomically
from lagotto.core.temporary.leftovers import make_temporary_folder
from lagotto.core.types import JsonObject
from lagotto.web.options import ClientLimits
from lagotto.web.uploads.plain_picture import plain_size, read_plain
from lagotto.web.uploads.worker import MAX_PPM_BYTES, PictureWorker

PREFIX = "sha256:"
_HEX = frozenset("0123456789abcdef")
_SHOWN_NAME = 120


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that a client sent: its digest, its size in pixels, and the name it came under.

    The name is for people alone: nothing is opened by it.
    """

    digest: str
    width: int
    height: int
    name: str

    @property
    def address(self) -> str:
        """The digest as queries write it: sha256:..."""
        return PREFIX + self.digest

    def as_json(self) -> JsonObject:
        """The answer to an upload."""
        return {
            "digest": self.address,
            "width": self.width,
            "height": self.height,
            "name": self.name,
        }


class UploadStore:
    """Pictures of clients, decoded by a worker; no client names a file.

    Args:
        limits: How long they are kept, and how much disk they may take.
        worker: Decodes them.
        clock: Seconds; the tests turn it.
    """

    def __init__(
        self,
        limits: ClientLimits,
        worker: PictureWorker,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits
        self._worker = worker
        self._clock = clock
        self._folder = make_temporary_folder("uploads")  # of mode 0700
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where the pictures lie: a temporary folder that no other user can read."""
        return self._folder

    def keep(self, data: bytes, name: str = "") -> Upload:
        """Decodes a picture and keeps it; one that is there already is only noted as used.

        Args:
            data: The bytes of its file.
            name: The name under which it came.

        Raises:
            PictureError: It is no picture that is read, or too large.
        """
        if len(data) > self._limits.picture_bytes:
            most = self._limits.picture_bytes // 2**20
            raise PictureError(f"{len(data) / 2**20:,.1f} MiB; at most {most} are taken")
        digest = sha256(data).hexdigest()
        path = self._path(digest)
        plain = None if path.is_file() else self._worker.decode(data)
        with self._lock:
            if plain is not None:
                write_atomically(path, plain)
            self._touch(path)
            self._sweep(keep=path)
            width, height = plain_size(read_plain(path, MAX_PPM_BYTES))
        return Upload(digest, width, height, shown_name(name))

    def path(self, address: str) -> Path | None:
        """The file of plain pixels of `sha256:DIGEST`; None for one that is not kept."""
        digest = address.removeprefix(PREFIX)
        if len(digest) != 64 or not set(digest) <= _HEX:
            return None
        path = self._path(digest)
        with self._lock:
            if not path.is_file() or self._age(path) > self._limits.kept_seconds:
                return None
            self._touch(path)
        return path

    def known(self, address: str) -> Upload:
        """A picture that is kept, by its digest; it has no name.

        Raises:
            PictureError: It is not kept any more.
        """
        path = self.path(address)
        if path is None:
            raise PictureError("it is not kept any more; upload it again")
        return Upload(path.stem, *plain_size(read_plain(path, MAX_PPM_BYTES)), "")

    def sweep(self) -> int:
        """Removes what was kept long enough, and the oldest beyond the disk; counts the files."""
        with self._lock:
            return self._sweep()

    def close(self) -> None:
        """Removes all pictures."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.ppm"

    def _touch(self, path: Path) -> None:
        now = self._clock()
        os.utime(path, (now, now))

    def _age(self, path: Path) -> float:
        return self._clock() - path.stat().st_mtime

    def _sweep(self, keep: Path | None = None) -> int:
        files = sorted(self._folder.glob("*.ppm"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in files)
        removed = 0
        for path in files:
            is_old = self._age(path) > self._limits.kept_seconds
            if path != keep and (is_old or total > self._limits.kept_bytes):
                total -= path.stat().st_size
                path.unlink(missing_ok=True)
                removed += 1
        return removed


def shown_name(name: str) -> str:
    """The last part of a client's file name, without what a terminal would obey.

    Example:
        >>> shown_name("../../etc/passwd")
        'passwd'
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:_SHOWN_NAME]
