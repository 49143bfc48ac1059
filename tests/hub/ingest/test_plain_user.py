"""A file that the user may not read fails alone, as a plain user; tests may run as root."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import colour_world
from caption_makers import png
from colour_world import World
from lagotto.core.errors import HubError, LagottoError, PictureError
from lagotto.core.files import writing
from lagotto.core.images import read_picture_file
from lagotto.core.progress import Silent
from lagotto.hub.ingest.add import _digests
from lagotto.hub.reader.verify import verify_hub
from lagotto.models.metadata.scan import scan_paths
from lagotto.models.registry import load_model
from lagotto.zeroshot.captions.sources.registry import find_sources

NOBODY = 65534


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that every user may pass. Those above pytest's own are closed again at any time, by
    each process of pytest that starts."""
    with tempfile.TemporaryDirectory(prefix="plain-user-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def as_plain_user(look: Callable[[], object], folder: Path) -> object:
    """What a function gives to a user who is not root, as JSON, in a process of its own."""
    if os.geteuid() != 0:
        return look()
    look()  # what it imports is loaded before: another user may not be able to read it
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    parents = [path for path in folder.parents if path.stat().st_mode & 0o001 == 0]
    modes = {path: path.stat().st_mode for path in parents}
    for path in parents:
        path.chmod(modes[path] | 0o011)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            answer = json.dumps(look())
        except BaseException as error:
            answer = json.dumps(f"{type(error).__name__}: {error}")
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    for path, mode in modes.items():
        path.chmod(mode)
    return json.loads(answer)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_one_model_of_many_may_not_be_read(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    for name in ("plain", "opencv", "bytes"):
        (folder / name).mkdir(parents=True)
        for file in (world.models / name).iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
    (folder / "opencv" / "model.onnx").chmod(0)

    def look() -> object:
        fates = {}
        for _, source in _digests(scan_paths([folder]).models, Silent()):
            try:
                fates[source.name] = load_model(source).spec.framework
            except LagottoError as error:
                fates[source.name] = str(error)
        return fates

    fates = as_plain_user(look, folder)
    assert isinstance(fates, dict)
    assert (fates["plain"], fates["bytes"]) == ("onnx", "onnx")
    assert "Permission denied" in fates["opencv"]
    assert "\n" not in fates["opencv"]


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_a_folder_that_may_not_be_listed_costs_no_other_model(world: World, tmp_path: Path) -> None:
    folder = shutil.copytree(world.models, tmp_path / "models")
    (folder / "opencv").chmod(0)

    def look() -> object:
        found = scan_paths([folder])
        return [[source.name for source in found.models], str(found.files), *found.files.hints]

    names, count, hint = as_plain_user(look, folder)  # type: ignore[misc]
    assert names == sorted({*colour_world.MODELS} - {"opencv"})
    assert "1 folder that this user may not read" in count
    assert "let this user list and open it" in hint


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_responses_in_a_folder_that_may_not_be_opened_are_not_called_damaged(
    world: World, tmp_path: Path
) -> None:
    hub = shutil.copytree(world.hub, tmp_path / "hub")
    (hub / "responses").chmod(0)

    def look() -> object:
        found = verify_hub(hub)
        return [f"{item.reason}; {item.remedy}" for item in found if "responses" in item.what]

    lines = as_plain_user(look, hub)
    assert isinstance(lines, list)
    assert len(lines) == len(colour_world.MODELS)
    assert all("Permission denied; make it readable" in line for line in lines)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_a_source_that_may_not_be_read_is_named_where_it_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "room" / "source"
    source.parent.mkdir()
    source.write_bytes(b"")
    source.chmod(0)

    def look() -> object:
        target = source.with_name("target")
        try:
            with writing(target):
                shutil.copyfile(source, target)
        except HubError as error:
            return str(error)
        return None

    expected = f"cannot read {source}: Permission denied; make it readable for this user"
    assert as_plain_user(look, source.parent) == expected


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_one_picture_of_many_may_not_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(number))
        (folder / f"{number}.txt").write_text(f"caption {number}")
    (folder / "1.png").chmod(0)

    def look() -> object:
        fates = []
        for item in find_sources(folder)[0].read():
            try:
                item.load()  # type: ignore[union-attr, misc]
                fates.append("read")
            except PictureError as error:
                fates.append(str(error))
        read_picture_file(folder / "0.png")
        return fates

    fates = as_plain_user(look, folder)
    assert fates == ["read", "cannot be read: Permission denied", "read"]
