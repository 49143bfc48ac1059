"""Captioned pictures come in; 64-bit keys, and a set that says which are known, go out."""

import hashlib

import numpy as np
from jaxtyping import UInt64


def pair_key(picture: bytes, text: str) -> int:
    """A 64-bit key that identifies a caption of a picture.

    Two different pairs have the same key in about one of 400,000 stores of ten million pairs. One
    of them is then taken for a copy.

    Args:
        picture: The sha256 of the picture; empty for a caption without a picture.
        text: The caption.
    """
    digest = hashlib.sha256(len(picture).to_bytes(1, "big") + picture)
    digest.update(text.encode())
    return int.from_bytes(digest.digest()[:8], "little")


def reason_key(source: str, reason: str) -> int:
    """A 64-bit key that identifies an item that was set aside, and why."""
    return pair_key(b"", f"{source}\0{reason}")


class KeySet:
    """A growing set of 64-bit keys, in about 8 bytes each.

    It holds sorted runs, each at least twice as long as the next, and a small set of recent keys.
    """

    def __init__(self, keys: UInt64[np.ndarray, " keys"]) -> None:
        self._runs = [np.sort(keys)] if len(keys) else []
        self._recent: set[int] = set()

    def __contains__(self, key: int) -> bool:
        if key in self._recent:
            return True
        target = np.uint64(key)
        for run in self._runs:
            position = int(np.searchsorted(run, target))
            if position < len(run) and run[position] == target:
                return True
        return False

    def add(self, key: int) -> None:
        """Adds a key."""
        self._recent.add(key)
        if len(self._recent) >= 65_536:
            self._compact()

    def _compact(self) -> None:
        run = np.sort(np.fromiter(self._recent, np.uint64, len(self._recent)))
        self._recent.clear()
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)
