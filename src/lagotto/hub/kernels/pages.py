"""Memory-mapped tables come in; their pages take a bounded share of this process's memory.

The system counts every page of a mapped file that a process has touched as memory of the process. A
search of a large hub reads other rows with every query, and single logits each in a page of its
own, so that in time the whole hub would count. Pages that are given back stay in the system's
cache: to touch them again costs a microsecond, not a read from the disk.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from lagotto.hub.kernels.dispatch import current_kernel
from lagotto.hub.kernels.kernel import WholeTable
from lagotto.hub.kernels.thread_pool import run_parallel
from lagotto.hub.store.tensorfile import Array, MappedFile

RESIDENT_BYTES = 208 << 20
"""Bytes of mapped files that may be in this process's memory after a step of a search, beyond those
at its start. Chosen by hand: a search of two million logits touches about so many more at once.
benchmarks/speed/growth.py"""

_AROUND_BYTES = 2 << 20
"""Linux maps the whole piece of the file that a touched page is held in: up to so many bytes."""

_LEAST_READ_AHEAD = 128 << 10
"""Bytes of a row from which it is read ahead: about what the system reads ahead by itself."""

_TRIED = 8
"""Short rows that tell whether others like them are in the system's cache."""

_STATE = Path("/proc/self/statm")


class MappedPages:
    """The pages of mapped, read-only arrays that this process has touched.

    Where the system does not tell how much memory they take, or takes none back, nothing happens.
    Several threads may read the arrays meanwhile.

    Args:
        arrays: Arrays, or parts of arrays; those that are not mapped, or may be written, are left
            alone.
        limit: Bytes that may be in memory after `trim`, beyond those of mapped files now; by
            default `RESIDENT_BYTES`.

    Attributes:
        are_few: All pages together are within the limit: nothing is ever given back.
    """

    def __init__(self, arrays: Iterable[Array], limit: int | None = None) -> None:
        found = (_mapping(array) for array in arrays)
        self._mappings = list({id(memory): memory for memory in found if memory}.values())
        self._limit = RESIDENT_BYTES if limit is None else limit
        self._before = _resident_bytes() or 0
        self.are_few = sum(map(len, self._mappings)) <= self._limit

    def trim(self) -> None:
        """Gives all pages back if they take more than the limit."""
        if self.are_few:
            return
        resident = _resident_bytes()
        if resident is None or resident - self._before <= self._limit:
            return
        for memory in self._mappings:
            with suppress(OSError, ValueError):
                memory.madvise(mmap.MADV_DONTNEED)

    def parts(self, rows: int, columns: int, width: int) -> Iterator[slice]:
        """Parts of `rows` rows, each of which touches no more than about half of the limit.

        Args:
            rows: How many rows are read, one byte a value.
            columns: How many columns of them.
            width: How many columns the tables have.
        """
        touched = max(1, min(columns * _AROUND_BYTES, width))
        step = max(1, rows if self.are_few else self._limit // 2 // touched)
        return (slice(first, first + step) for first in range(0, rows, step))


def is_large(tables: Iterable[WholeTable]) -> bool:
    """Whether tables have so many values that their pages are not all to be held in memory."""
    return sum(values.size + directions.size for values, _, _, directions, _ in tables) > (
        RESIDENT_BYTES
    )


def read_ahead(
    tables: Iterable[Array], rows: Int64[np.ndarray, " rows"], least: int = _LEAST_READ_AHEAD
) -> int:
    """Has the system read rows of mapped tables that are not in its cache, before they are scanned.

    A scan touches a page at a time of several rows at once, and the disk would be asked for little
    at a time. A row in the cache costs five microseconds. Nothing happens where the system cannot
    tell what is in its cache.

    Args:
        tables: The tables; those that are not mapped, or not row by row, are left alone.
        rows: The rows that will be read whole.
        least: Bytes that a row has at least to be read ahead.

    Returns:
        How many rows the disk was asked for.
    """
    asked: list[tuple[int, int, int]] = []
    for table in tables:
        size = table.shape[1] * table.itemsize
        place = _place_in_file(table) if size >= least else None
        if place is None:
            continue
        descriptor, start = place
        for row in rows.tolist():
            begin = start + row * table.strides[0]
            # Where one row is on the disk, others are: what is there already is asked for as well.
            if asked or not all(_is_cached(descriptor, at) for at in (begin, begin + size - 1)):
                asked.append((descriptor, begin, size))
    run_parallel(_ask_for, asked)  # to ask for a row of 2 MB takes half a millisecond
    return len(asked)


def read_scattered(table: Array, rows: Int64[np.ndarray, " rows"]) -> int:
    """Has the system read many short rows of a mapped table at once, not one after the other.

    A few of them tell whether they are on the disk only; where these are in the system's cache,
    nothing is asked for. A table that is not mapped, or not row by row, is left alone.

    Returns:
        How many rows the disk was asked for.
    """
    place = _place_in_file(table) if table.flags.c_contiguous else None
    if place is None:
        return 0
    descriptor, start = place
    size = table.strides[0]
    tried = rows[:: max(1, len(rows) // _TRIED)].tolist()
    if all(_is_cached(descriptor, start + row * size) for row in tried):
        return 0
    for row in rows.tolist():
        _ask_for(descriptor, start + row * size, size)
    return len(rows)


def _place_in_file(table: Array) -> tuple[int, int] | None:
    """The descriptor of the file that a table is mapped from, and where in it the table begins.

    None for a table that is not mapped, and where the system does not say what is in its cache.
    """
    memory = _mapping(table)
    if not isinstance(memory, MappedFile) or not hasattr(os, "RWF_NOWAIT"):
        return None
    descriptor = memory.descriptor()
    return None if descriptor is None else (descriptor, _address(table) - memory.address())


def _ask_for(descriptor: int, offset: int, size: int) -> None:
    """Has the system read a part of a file; it does not wait for the disk."""
    with suppress(OSError):
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)


def _is_cached(descriptor: int, offset: int) -> bool:
    """Whether a byte of a file can be had without the disk; True where that cannot be told."""
    try:
        os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def take_rows(table: Array, rows: Int64[np.ndarray, " rows"]) -> Array:
    """Some rows of a table, which may lie far apart, without mapping the pages that they are in.

    A table that lies in no file of its own, or not row by row, is read as any array is.
    """
    memory = _mapping(table)
    if not isinstance(memory, MappedFile) or not table.flags.c_contiguous:
        return np.asarray(table[rows])
    descriptor = memory.descriptor()
    if descriptor is None:
        return np.asarray(table[rows])
    start, size = _address(table) - memory.address(), table.strides[0]
    compiled = current_kernel().read_rows
    if compiled is not None and table.dtype == np.int8 and len(rows):
        result = np.empty((len(rows), size), np.int8)
        whole = compiled(descriptor, start, rows, result)
        return result if whole else np.asarray(table[rows])
    read = [os.pread(descriptor, size, start + row * size) for row in rows.tolist()]
    taken = np.frombuffer(b"".join(read), table.dtype)
    if taken.nbytes != len(rows) * size:  # a file that was cut off: reading the map would fail too
        return np.asarray(table[rows])
    return taken.reshape(len(rows), *table.shape[1:])


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _mapping(array: Array) -> mmap.mmap | None:
    """The memory map that a read-only array lies in; None if it lies in none."""
    if array.flags.writeable or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, mmap.mmap) else None


def _resident_bytes() -> int | None:
    """Bytes of mapped files in this process's memory; None where the system does not tell."""
    try:
        return int(_STATE.read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
