"""Pictures of a hub and of clients come in; small WEBP files of them go out, made once."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from lagotto.web.uploads.worker import PictureWorker

EDGES = (16, 640)
"""The least and the most pixels of the longest side."""

_CACHE_BYTES = 64 * 2**20


class SmallPictures:
    """Makes small pictures in a worker, and keeps the last ones in memory."""

    def __init__(self, worker: PictureWorker) -> None:
        self._worker = worker
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def webp(self, digest: str, edge: int, read: Callable[[], bytes]) -> bytes:
        """A WEBP file of a picture.

        Args:
            digest: The identity of the picture.
            edge: Pixels of the longest side, at most.
            read: Gives the bytes of its file, where it was not kept.

        Raises:
            PictureError: It cannot be decoded.
        """
        key = digest, edge
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = self._worker.shrink(read(), edge)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._bytes += len(made)
            while self._bytes > _CACHE_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= len(oldest)
        return made
