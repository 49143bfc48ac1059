"""Responses on disk: exact bytes, lazy access, and every way in which a file can be wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lagotto.core.errors import HubError, MismatchError
from lagotto.hub.store.responses import (
    ResponsesHeader,
    SeenProbes,
    read_responses,
    write_responses,
)
from lagotto.hub.store.tensorfile import is_intact

GOLDEN = Path(__file__).parents[2] / "golden"
HEADER = ResponsesHeader("be" * 32, "ab" * 32, "onnx", "cut")
VALUES = (np.arange(12, dtype=np.float32).reshape(4, 3) - 5) / 4


def replace_header(path: Path, **changes: object) -> None:
    """Rewrites our JSON header in place, keeping the file's length by padding."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8 : 8 + length])
    header = {**json.loads(entries["__metadata__"]["lagotto"]), **changes}
    entries["__metadata__"]["lagotto"] = json.dumps(header)
    text = json.dumps(entries).encode()
    text += b" " * (-(8 + len(text)) % 64)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.safetensors"
    checksum = write_responses(path, VALUES, HEADER)
    found = read_responses(path, HEADER.probe_digest)
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.header == HEADER
    assert found.sha256 == checksum
    assert not found.values.flags.writeable
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_bytes_are_the_golden_ones(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER)
    assert path.read_bytes() == (GOLDEN / "responses-1.safetensors").read_bytes()


def test_bytes_of_a_share_are_the_golden_ones(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER, SeenProbes(np.array([0, 2, 3, 6]), 7))
    golden = GOLDEN / "responses-2.safetensors"
    assert path.read_bytes() == golden.read_bytes()
    found = read_responses(golden, HEADER.probe_digest)
    assert (found.seen_probes.tolist(), found.probes, found.is_full) == ([0, 2, 3, 6], 7, False)
    np.testing.assert_array_equal(found.values, VALUES)
    np.testing.assert_array_equal(found.on_all_probes()[[0, 2, 3, 6]], VALUES)


def test_all_probes_make_a_file_of_version_1(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER, SeenProbes(np.arange(4), 4))
    assert path.read_bytes() == (GOLDEN / "responses-1.safetensors").read_bytes()


def test_the_safetensors_library_reads_our_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER)
    np.testing.assert_array_equal(load_file(path)["values"], VALUES)


def test_replacing_a_file_leaves_the_open_one_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER)
    old = read_responses(path)
    write_responses(path, VALUES + 1, HEADER)
    np.testing.assert_array_equal(old.values, VALUES)
    np.testing.assert_array_equal(read_responses(path).values, VALUES + 1)


def test_rows_are_the_chosen_logits_on_the_chosen_probes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER)
    part = read_responses(path).rows(np.array([3, 0]), np.array([2, 2, 0]))
    np.testing.assert_array_equal(part, VALUES[[3, 0]][:, [2, 2, 0]])


def test_values_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    values = np.array([[np.nan, np.inf], [-np.inf, 1]], dtype=np.float32)
    write_responses(path, values, HEADER)
    np.testing.assert_array_equal(read_responses(path).values, values)


def test_no_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="hold no value"):
        write_responses(tmp_path / "m", np.empty((4, 0), dtype=np.float32), HEADER)


def test_other_probes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER)
    with pytest.raises(MismatchError, match=r"abababababab.*cdcdcdcdcdcd"):
        read_responses(path, "cd" * 32)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="there is no"):
        read_responses(tmp_path / "model.safetensors")


@pytest.mark.parametrize("size", [0, 5, 8, 100, 300, -1])
def test_a_cut_file_is_damaged(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(HubError, match="is damaged") as error:
        read_responses(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "version 3 and this Lagotto reads up to 2; upgrade"),
        ({"version": "1"}, "is damaged"),
        ({"format": "lagotto-block"}, "is not a lagotto-responses file"),
        ({"probe_digest": 7}, "has no 'probe_digest'"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER)
    replace_header(path, **changes)
    with pytest.raises(HubError, match=message):
        read_responses(path)


def test_every_changed_byte_breaks_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_responses(path, VALUES, HEADER)
    assert is_intact(path)
    data = bytearray(path.read_bytes())
    for position in range(0, len(data), 7):
        data[position] ^= 1
        path.write_bytes(data)
        assert not is_intact(path), position
        data[position] ^= 1
    path.write_bytes(data[:20])
    assert not is_intact(path)
    assert not is_intact(tmp_path / "absent")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HubError, match="cannot write"):
        write_responses(tmp_path / "file" / "m.safetensors", VALUES, HEADER)
