"""SIGTERM and SIGHUP stop a command as Ctrl-C does: at once, without a trace of it."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from child_processes import is_running, running_command, wait_until
from colour_world import World
from command_line import COMMAND, ENVIRONMENT, lagotto_process
from lagotto.hub.hub import Hub

STOPS = [
    (signal.SIGTERM, 143),
    pytest.param(signal.SIGHUP, 129, marks=pytest.mark.thorough),
    pytest.param(signal.SIGINT, 130, marks=pytest.mark.thorough),
]


def children(process: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(("number", "code"), STOPS)
def test_a_signal_stops_a_command_cleanly(
    world: World, tmp_path: Path, number: int, code: int
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    hub = shutil.copytree(world.empty_hub, tmp_path / "hub")
    environment = ENVIRONMENT | {"TMPDIR": str(temporary)}
    words = [*COMMAND, "hub", "add", hub, world.models, "--workers", "1", "--quiet"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with running_command(words, env=environment, **pipes) as process:
        assert wait_until(lambda: bool(children(process.pid)) or process.poll() is not None, 120)
        workers = children(process.pid)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert wait_until(lambda: not any(map(is_running, workers)))
    if not wait_until(lambda: not list(temporary.iterdir()), 10):
        # It came in the moment between a folder's making and its noting: the next command sweeps.
        lagotto_process("--version", env=environment)
    assert not list(temporary.iterdir())
    assert not (hub / "staging").exists()
    Hub.open(hub).add([world.models])
    assert Hub.open(hub).verify() == ()


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_hub_create_leaves_no_draft_for_long(
    world: World, tmp_path: Path, number: int
) -> None:
    words = [*COMMAND, "hub", "create", tmp_path / "hub", "--probes", world.pictures, "--quiet"]
    words += ["--encoder", world.encoder]
    with running_command(words, stderr=subprocess.PIPE, text=True) as process:
        assert wait_until(lambda: any(tmp_path.iterdir()), 120)
        os.kill(process.pid, number)
        process.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert not list(tmp_path.iterdir())
    made = lagotto_process(*map(str, words[len(COMMAND) :]))
    assert made.code == 0, made.err
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


@pytest.mark.thorough
def test_status_shows_what_a_killed_run_left_and_verify_removes_it(
    world: World, tmp_path: Path
) -> None:
    hub = shutil.copytree(world.hub, tmp_path / "hub")
    (hub / "staging").mkdir()
    (hub / "staging" / "half.safetensors").write_bytes(bytes(1000))
    (hub / "cache" / "spec.partial.npy").write_bytes(bytes(500))
    (hub / "blocks" / ".000000.safetensors.999-1.tmp").write_bytes(bytes(7))
    status = lagotto_process("hub", "status", hub, "--json").json
    assert sorted(item["bytes"] for item in status["leftovers"]) == [7, 500, 1000]
    assert "leftovers 3" in lagotto_process("hub", "status", hub).out
    verified = lagotto_process("hub", "verify", hub, "--json")
    assert verified.code == 0
    assert len(verified.json["leftovers_removed"]) == 3
    assert lagotto_process("hub", "status", hub, "--json").json["leftovers"] == []
