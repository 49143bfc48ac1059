"""A file that the system does not let be read is not called damaged, and nothing says delete it."""

import errno
import os
import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caption_makers import FakeEncoder, write_jsonl_folder
from colour_world import World
from lagotto.core import machine
from lagotto.core.errors import HubError, LagottoError
from lagotto.core.progress import Silent
from lagotto.hub.hub import Hub
from lagotto.hub.reader.verify import verify_hub
from lagotto.hub.store.responses import ResponsesHeader, read_responses, write_responses
from lagotto.hub.store.tensorfile import is_intact
from lagotto.zeroshot.captions.files import read_log
from lagotto.zeroshot.captions.ingest import ShardLimits, ingest_pairs
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.captions.storage.folder import FolderWriter
from lagotto.zeroshot.captions.store import CaptionStore

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


def probe_set(world: World) -> list[Callable[[], object]]:
    probes = Hub.open(world.hub).reader.probe_set
    return [lambda: probes.picture(0), probes.skipped]


def caption_store(folder: Path) -> list[Callable[[], object]]:
    source = write_jsonl_folder(folder / "many", 4, 1)
    with (source / "captions.jsonl").open("a") as file:
        file.write('{"image": "images/none.png", "caption": "a"}\n')
    store = CaptionStore.begin(folder / "store", FakeEncoder())
    ingest_pairs(
        FolderWriter(store.folder),
        find_sources(source),
        FakeEncoder(),
        Silent(),
        ShardLimits(2, 3, 100),
    )
    return [lambda: read_log(store.folder), CaptionStore.open(store.folder).skipped]


@pytest.mark.parametrize("kind", ["probes", "captions"])
def test_pictures_and_captions_that_may_not_be_read_are_not_called_damaged(
    kind: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = probe_set(world) if kind == "probes" else caption_store(tmp_path)

    def refused(path: Path, *args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    for name in ("open", "read_bytes"):
        monkeypatch.setattr(Path, name, refused)
    for read in reads:
        with pytest.raises(LagottoError, match="Permission denied; make it readable for this user"):
            read()


@pytest.mark.parametrize(
    ("suffix", "what"), [(".jsonl", "probe set"), (".npy", "embeddings.npy"), ("", "probe 0")]
)
def test_verify_says_of_an_unreadable_probe_set_what_to_do(
    suffix: str, what: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_opening(monkeypatch, suffix)
    damages = [each for each in verify_hub(world.hub) if what in f"{each.what} {each.reason}"]
    assert damages
    assert {each.remedy for each in damages} == {"make it readable for this user"}
    assert all("cannot read" in each.reason for each in damages)


def test_a_catalogue_that_may_not_be_read_says_so_and_accuses_no_other_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise sqlite3.OperationalError("unable to open database file")

    refuse_opening(monkeypatch, ".sqlite")
    monkeypatch.setattr(sqlite3, "connect", refused)
    with pytest.raises(HubError, match="sqlite: Permission denied; make it readable for this user"):
        Hub.open(world.hub).search("red")
    (damage,) = verify_hub(world.hub)
    assert (damage.what, damage.remedy) == ("catalogue", "make it readable for this user")
