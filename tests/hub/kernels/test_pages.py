"""Pages of mapped tables are given back, and nothing that is read changes."""

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.hub.kernels import pages
from lagotto.hub.kernels.dispatch import current_kernel
from lagotto.hub.kernels.kernel import KernelName
from lagotto.hub.kernels.pages import MappedPages, read_ahead, read_scattered, take_rows
from lagotto.hub.store.tensorfile import Array, open_tensors, write_tensors

_MB = 1 << 20
_LINUX = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="this system does not tell what is in memory"
)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[2])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB


def mapped_rows(folder: Path, mode: str = "r") -> np.ndarray:
    path = folder / "rows.npy"
    np.save(path, np.random.default_rng(0).integers(-127, 128, (64, _MB), dtype=np.int8))
    return np.load(path, mmap_mode=mode)


@_LINUX
def test_pages_that_were_read_are_given_back_and_can_be_read_again(tmp_path: Path) -> None:
    rows = mapped_rows(tmp_path)
    parts = [np.asarray(rows)[:, : _MB // 2], np.asarray(rows)[:, _MB // 2 :]]
    pages = MappedPages(parts, limit=16 * _MB)
    before = resident_mb()
    total = int(rows.sum(dtype=np.int64))
    assert resident_mb() - before > 48
    pages.trim()
    assert resident_mb() - before < 8
    assert int(rows.sum(dtype=np.int64)) == total


@_LINUX
def test_pages_within_the_limit_stay(tmp_path: Path) -> None:
    rows = mapped_rows(tmp_path)
    pages = MappedPages([rows], limit=128 * _MB)
    before = resident_mb()
    rows.sum(dtype=np.int64)
    pages.trim()
    assert resident_mb() - before > 48


def test_what_was_written_to_private_pages_is_never_given_back(tmp_path: Path) -> None:
    rows, others = mapped_rows(tmp_path, "c"), mapped_rows(tmp_path)
    pages = MappedPages([rows, others], limit=0)
    others.sum(dtype=np.int64)
    rows[:] = 5
    pages.trim()
    assert (rows == 5).all()


@given(st.integers(0, 300), st.integers(1, 5000), st.integers(1, 10**8), st.integers(1, 2**30))
def test_parts_are_all_rows_in_order(rows: int, columns: int, width: int, limit: int) -> None:
    pages = MappedPages([], limit=limit)
    parts = list(pages.parts(rows, columns, width))
    assert [row for part in parts for row in range(rows)[part]] == list(range(rows))


@given(st.lists(st.integers(0, 99), max_size=20), st.integers(0, 40), st.integers(1, 60))
def test_rows_are_those_of_the_table(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], first: int, width: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"table{width}.safetensors"
    values = np.random.default_rng(width).integers(-127, 128, (140, width), dtype=np.int8)
    if not path.exists():
        layout = {"values": ("I8", values.shape), "steps": ("F32", (140,))}
        write_tensors(
            path, {"format": "x", "version": 1}, layout, lambda arrays: fill(arrays, values)
        )
    file = open_tensors(path, "x", 1)
    part = slice(first, first + 100)
    taken = take_rows(file.arrays["values"][part], np.array(rows, np.int64))
    np.testing.assert_array_equal(taken, values[part][rows])


def fill(arrays: Mapping[str, Array], values: np.ndarray) -> None:
    arrays["values"][...], arrays["steps"][...] = values, 1.0


def test_a_file_that_was_replaced_is_still_read_from_its_map(tmp_path: Path) -> None:
    path, rows = tmp_path / "table.safetensors", np.array([3, 1])
    for value in (1, 2):
        table = np.full((5, 4), value, np.int8)
        layout = {"values": ("I8", table.shape), "steps": ("F32", (140,))}
        write_tensors(
            path, {"format": "x", "version": 1}, layout, lambda arrays, t=table: fill(arrays, t)
        )
        if value == 1:
            file = open_tensors(path, "x", 1)
    assert (take_rows(file.arrays["values"], rows) == 1).all()


def test_arrays_in_no_file_are_read_too() -> None:
    table = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(take_rows(table, np.array([2, 0])), table[[2, 0]])
    np.testing.assert_array_equal(take_rows(table[:, 1:3], np.array([2, 0])), table[[2, 0], 1:3])


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system does not tell its cache")
def forget(path: Path, table: Array) -> None:
    """Has the system drop a file from its cache; skips where it does not."""
    table.base.madvise(mmap.MADV_DONTNEED)
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        os.preadv(descriptor, [bytearray(1)], path.stat().st_size // 2, os.RWF_NOWAIT)
        pytest.skip("this file system keeps its cache")
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def test_rows_on_the_disk_are_asked_for_and_those_in_the_cache_are_not(tmp_path: Path) -> None:
    path, table = tmp_path / "table.safetensors", np.ones((8, 300_000), np.int8)
    layout = {"values": ("I8", table.shape), "steps": ("F32", (140,))}
    write_tensors(path, {"format": "x", "version": 1}, layout, lambda arrays: fill(arrays, table))
    values = open_tensors(path, "x", 1).arrays["values"]
    assert values.sum(dtype=np.int64) == values.size
    assert read_ahead([values, table], np.array([1, 5])) == 0
    forget(path, values)
    assert read_ahead([values], np.array([1, 5])) == 2
    assert read_ahead([values], np.array([1, 5]), least=400_000) == 0


def test_short_rows_far_apart_are_asked_for_at_once(tmp_path: Path) -> None:
    path, table = tmp_path / "table.safetensors", np.ones((20_000, 512), np.int8)
    layout = {"values": ("I8", table.shape), "steps": ("F32", (140,))}
    write_tensors(path, {"format": "x", "version": 1}, layout, lambda arrays: fill(arrays, table))
    values = open_tensors(path, "x", 1).arrays["values"]
    rows = np.arange(0, 20_000, 100)
    assert values.sum(dtype=np.int64) == values.size
    assert read_scattered(values, rows) == 0
    assert read_scattered(table, rows) == 0
    assert read_scattered(values, rows[:0]) == 0
    forget(path, values)
    assert read_scattered(values[:, :7], rows) == 0
    assert read_scattered(values, rows) == len(rows)
    np.testing.assert_array_equal(take_rows(values, rows), table[rows])
    assert read_scattered(values, rows) == 0


@pytest.mark.parametrize("kernel", ["numpy", "numba"])
def test_rows_are_read_from_the_file_by_either_kernel(
    tmp_path: Path, kernel: KernelName, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernel == "numba":
        pytest.importorskip("numba")
    path = tmp_path / "table.safetensors"
    table = np.random.default_rng(0).integers(-127, 128, (3_000, 33), dtype=np.int8)
    layout = {"values": ("I8", table.shape), "steps": ("F32", (140,))}
    write_tensors(path, {"format": "x", "version": 1}, layout, lambda arrays: fill(arrays, table))
    values = open_tensors(path, "x", 1).arrays["values"]
    used = current_kernel(kernel)
    monkeypatch.setattr(pages, "current_kernel", lambda: used)
    rows = np.array([2_999, 0, 17, 17, 1_500])
    np.testing.assert_array_equal(take_rows(values, rows), table[rows])
    assert take_rows(values, rows[:0]).shape == (0, 33)
    if used.read_rows is not None:
        result = np.zeros((2, 33), np.int8)
        with path.open("rb") as file:
            start = path.read_bytes().index(table.tobytes())
            assert used.read_rows(file.fileno(), start, np.array([4, 2]), result)
            np.testing.assert_array_equal(result, table[[4, 2]])
            assert not used.read_rows(file.fileno(), start, np.array([4, 10**9]), result)
        assert not used.read_rows(10**6, start, np.array([4, 2]), result)
