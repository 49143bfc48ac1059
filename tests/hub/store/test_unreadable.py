"""A file that the system does not let be read is not called damaged, and nothing says delete it."""

import errno
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colour_world import World
from lagotto.core import machine
from lagotto.core.errors import HubError
from lagotto.hub.reader.verify import verify_hub
from lagotto.hub.store.responses import ResponsesHeader, read_responses, write_responses
from lagotto.hub.store.tensorfile import is_intact

HEADER = ResponsesHeader("ab" * 32, "cd" * 32, "onnx", "logits")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    write_responses(path, np.ones((3, 2), np.float32), HEADER)
    return path


def refuse_opening(
    monkeypatch: pytest.MonkeyPatch, suffix: str, number: int = errno.EACCES
) -> None:
    """Files of a suffix cannot be opened, for a reason of the system."""
    opened = Path.open

    def refused(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.suffix == suffix:
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refused)


def test_too_many_open_files_are_no_damage(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_opening(monkeypatch, ".safetensors", errno.EMFILE)
    for read in (read_responses, is_intact):
        with pytest.raises(HubError, match=r"Too many open files; .*ulimit -n") as error:
            read(file)
        assert "damaged" not in str(error.value)
        assert "remove" not in str(error.value)


def test_a_file_without_permission_is_no_damage(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_opening(monkeypatch, ".safetensors")
    with pytest.raises(HubError, match="Permission denied; make it readable"):
        read_responses(file)


def test_verify_never_says_delete_what_it_could_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_opening(monkeypatch, ".safetensors")
    damages = verify_hub(world.hub)
    assert len(damages) >= 8  # seven models and a block
    for damage in damages:
        assert "Permission denied" in damage.reason
        assert "delete" not in damage.remedy
        assert "make it readable" in damage.remedy


def test_what_has_its_checksum_is_not_called_damaged(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file of a later version with other arrays: nobody is told to remove it."""
    write_responses(file, np.ones((3, 2), np.float32), HEADER)
    monkeypatch.setattr("lagotto.hub.store.tensorfile._read_prefix", lambda path: ({"x": 1}, 8))
    with pytest.raises(HubError, match="as it was written, but this Lagotto cannot read it"):
        read_responses(file)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(HubError, match="is damaged"):
        read_responses(file)


def test_the_limit_of_open_files_is_raised_and_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(128, soft), hard))
        assert machine.open_files_limit() == min(128, soft)
        machine.allow_open_files()
        assert machine.open_files_limit() == min(4096, hard if hard > 0 else 4096)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    from lagotto.hub.reader import reader

    for limit, mapped in ((64, 16), (100_000, 256), (2, 1)):
        monkeypatch.setattr(reader, "open_files_limit", lambda limit=limit: limit)
        assert reader._open_responses() == mapped
