"""Atomic writes, digests and canonical JSON."""

import errno
import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import HubError, ModelError, UsageError
from lagotto.core.files import (
    canonical_json,
    read_array,
    read_json,
    replacing,
    sha256_file,
    write_atomically,
    writing,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


def test_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    write_atomically(target, b"one")
    write_atomically(target, b"two")
    assert target.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [target]


def test_a_reader_keeps_the_whole_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    write_atomically(target, b"old")
    with target.open("rb") as reader:
        write_atomically(target, b"new and longer")
        assert reader.read() == b"old"


def test_an_error_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def half_way() -> None:
        with replacing(target) as temporary:
            assert temporary.parent == tmp_path
            temporary.write_bytes(b"half")
            assert target.read_bytes() == b"old"
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        half_way()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, "No space left on device; free space"),
        (errno.EROFS, "Read-only file system; choose a folder"),
        (errno.EACCES, "Permission denied; choose a folder"),
        (errno.EIO, "Input/output error; check the path"),
    ],
)
def test_os_errors_become_one_line(code: int, expected: str, tmp_path: Path) -> None:
    with (
        pytest.raises(HubError, match=rf"cannot write .*x\.bin: {expected}") as caught,
        writing(tmp_path / "x.bin"),
    ):
        raise OSError(code, os.strerror(code))
    assert "\n" not in str(caught.value)


def test_writing_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"cannot write .*No such file or directory"):
        write_atomically(tmp_path / "none" / "a.bin", b"")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(HubError, match="No space left"), writing(tmp_path / "a.bin"):
        Path("/dev/full").write_bytes(b"x")


def test_sha256_file(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"lagotto" * 1000)
    assert sha256_file(file) == hashlib.sha256(b"lagotto" * 1000).hexdigest()
    with pytest.raises(ModelError, match="cannot read"):
        sha256_file(tmp_path / "none", ModelError)


@given(JSON_VALUES)
def test_canonical_json_round_trip(value: object) -> None:
    encoded = canonical_json(value)
    assert json.loads(encoded) == value
    assert canonical_json(json.loads(encoded)) == encoded


def test_canonical_json_bytes() -> None:
    assert canonical_json({"b": [1, 0.5, None], "a": "é"}) == b'{"a":"\\u00e9","b":[1,0.5,null]}'
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            canonical_json([bad])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read manifest"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "a list"),
    ],
)
def test_read_json_refuses(content: bytes | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(HubError, match=reason):
        read_json(file, "manifest", HubError)


def test_read_json(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    write_atomically(file, canonical_json({"a": 1}))
    assert read_json(file, "manifest", HubError) == {"a": 1}


def test_no_byte_of_an_array_file_raises_anything_else(tmp_path: Path) -> None:
    """numpy reads a header as Python text; what comes of an altered one is an error of ours."""
    file = tmp_path / "values.npy"
    np.save(file, np.arange(12, dtype=np.float32).reshape(3, 4))
    whole = file.read_bytes()
    outcomes = set()
    for place in range(len(whole)):
        for bit in (0x01, 0x41, 0x80):
            altered = bytearray(whole)
            altered[place] ^= bit
            file.write_bytes(altered)
            for mapped in (True, False):
                try:
                    read_array(file, UsageError, mapped=mapped)
                    outcomes.add("read")
                except UsageError as error:
                    outcomes.add("two lines" if "\n" in str(error) else "refused")
    assert outcomes == {"read", "refused"}
    for size in (0, 5, 40, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(UsageError, match="cannot read"):
            read_array(file, UsageError)
    file.write_bytes(whole)
    assert read_array(file, UsageError).tobytes() == whole[-48:]


def test_an_array_that_says_it_is_huge_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "huge.npy"
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(stream, header)
    file.write_bytes(stream.getvalue() + bytes(2 << 20))
    with pytest.raises(UsageError, match="cannot read"):
        read_array(file, UsageError)


def test_a_copy_of_a_folder_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "from" / "below").mkdir(parents=True)
    (tmp_path / "from" / "below" / "a.bin").write_bytes(b"abc")

    def full(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    reason = "No space left on device; free space or choose another folder"
    with pytest.raises(HubError, match=reason), writing(tmp_path / "to"):
        shutil.copytree(tmp_path / "from", tmp_path / "to", copy_function=full)
