"""The command as a process: pipes, full and read-only disks, odd encodings."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from colour_world import World
from command_line import COMMAND, ENVIRONMENT, lagotto_process
from lagotto.hub.hub import Hub


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder to mount something on; it is let go afterwards."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting needs root")
    folder = tmp_path / "mounted"
    folder.mkdir()
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def mount(*words: str | Path) -> None:
    """Skips the test where this system forbids it."""
    tried = subprocess.run(["mount", *map(str, words)], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"cannot mount here: {tried.stderr.strip()}")


def test_the_installed_command_answers(world: World) -> None:
    answer = lagotto_process("search", world.hub, "red", "--json", "--k", "9")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["hits"][0]["label"] == "red"


@pytest.mark.thorough
def test_a_reader_that_leaves_early_is_no_error_message(world: World) -> None:
    read, write = os.pipe()
    os.close(read)
    for words in (["--json"], []):
        answer = lagotto_process(
            "search", world.hub, "red", *words, stdout=write, capture_output=False,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert (answer.code, answer.err) == (1, "")
    os.close(write)


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_answer_that_cannot_be_written_is_said(world: World) -> None:
    with open("/dev/full", "w") as full:
        for words in (["--json"], []):
            answer = lagotto_process(
                "search", world.hub, "red", *words, stdout=full, capture_output=False,
                stderr=subprocess.PIPE,
            )  # fmt: skip
            answer.refused(1, "cannot write the answer", "No space left")


def test_an_ascii_terminal_gets_escapes(world: World) -> None:
    environment = ENVIRONMENT | {"PYTHONIOENCODING": "ascii:strict"}
    answer = lagotto_process("search", world.hub, "犬é", "--json", env=environment)
    assert answer.json["query"]["value"] == "犬é"
    assert answer.out.isascii()
    refused = lagotto_process("search", world.hub, "--logit", "犬:0", env=environment)
    assert (refused.code, refused.out) == (2, "")


def test_bytes_that_are_no_text_are_no_traceback(world: World) -> None:
    command = [*COMMAND, "search", str(world.hub), b"r\xffd", "--json"]
    ended = subprocess.run(command, check=False, capture_output=True, env=ENVIRONMENT)
    assert b"Traceback" not in ended.stderr
    assert ended.returncode in (0, 2)


@pytest.mark.thorough
def test_a_read_only_hub_can_be_read_and_refuses_to_be_written(world: World, mounted: Path) -> None:
    mount("--bind", world.hub, mounted)
    mount("-o", "remount,ro,bind", mounted)
    found = lagotto_process("search", mounted, "red", "--k", "9", "--json")
    assert (found.code, found.json["hits"][0]["label"]) == (0, "red")
    assert lagotto_process("hub", "status", mounted).code == 0
    assert lagotto_process("hub", "verify", mounted).code == 0
    for words in (["hub", "add", mounted, world.models], ["hub", "remove", mounted, "plain"]):
        lagotto_process(*words).refused(1, "Read-only file system", "may write to")
    made = ["--probes", world.pictures, "--encoder", world.encoder]
    refused = lagotto_process("hub", "create", mounted / "new", *made, "--quiet")
    refused.refused(1, "Read-only file system")


@pytest.mark.thorough
def test_a_full_disk_leaves_nothing_of_a_new_hub(world: World, mounted: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=160k", "tmpfs", mounted)
    made = ["--probes", world.pictures, "--encoder", world.encoder, "--quiet"]
    refused = lagotto_process("hub", "create", mounted / "hub", *made)
    refused.refused(1, "cannot write", "No space left", "free space", str(mounted / "hub"))
    assert list(mounted.iterdir()) == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    "spare_pages",
    [16, *(pytest.param(pages, marks=pytest.mark.thorough) for pages in (2, 24, 27, 29))],
)
def test_a_full_disk_ends_an_add_that_can_be_resumed(
    world: World, mounted: Path, spare_pages: int
) -> None:
    mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", mounted)
    hub = shutil.copytree(world.empty_hub, mounted / "hub")
    room = os.statvfs(mounted)
    used = (room.f_blocks - room.f_bfree) * room.f_frsize
    mount("-o", f"remount,size={used + spare_pages * room.f_frsize}", mounted)
    refused = lagotto_process("hub", "add", hub, world.models, "--workers", "1", "--quiet")
    refused.refused(1)
    assert "No space left" in refused.err or "disk is full" in refused.err
    assert Hub.open(hub).status().failures == ()  # a full disk is no fault of a model
    assert not (hub / "staging").exists()
    mount("-o", "remount,size=16m", mounted)
    Hub.open(hub).add([world.models])
    assert Hub.open(hub).verify() == ()
    for name in ("responses", "blocks"):
        files = {path.name: path.read_bytes() for path in (hub / name).iterdir()}
        assert files == {path.name: path.read_bytes() for path in (world.hub / name).iterdir()}


def test_python_runs_the_package_as_the_command_line() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "lagotto", "--version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.startswith("lagotto ")
