"""Which pairs a store has, in 8 bytes each: what makes adding the same source again cheap."""

import hashlib

import numpy as np
from jaxtyping import UInt64


def pair_key(picture: bytes, text: str) -> int:
    """Identifies a caption of a picture (its sha256; empty for a caption without one), 64 bits.

    Two different pairs share a key, and one of them is then taken for a copy, about once in
    400,000 stores of ten million pairs.
    """
    whole = hashlib.sha256(len(picture).to_bytes(1, "big") + picture)
    whole.update(text.encode())
    return int.from_bytes(whole.digest()[:8], "little")


class SeenKeys:
    """A growing set of 64-bit keys: sorted runs, each twice the next, and a small set."""

    def __init__(self, keys: UInt64[np.ndarray, " keys"]) -> None:
        self._runs = [np.sort(keys)] if len(keys) else []
        self._fresh: set[int] = set()

    def __contains__(self, key: int) -> bool:
        if key in self._fresh:
            return True
        wanted = np.uint64(key)
        for run in self._runs:
            place = int(np.searchsorted(run, wanted))
            if place < len(run) and run[place] == wanted:
                return True
        return False

    def add(self, key: int) -> None:
        """Puts a key in."""
        self._fresh.add(key)
        if len(self._fresh) >= 65_536:
            self._compact()

    def _compact(self) -> None:
        run = np.sort(np.fromiter(self._fresh, np.uint64, len(self._fresh)))
        self._fresh.clear()
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)
