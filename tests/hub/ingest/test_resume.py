"""`lagotto hub add` killed at any moment, then run again: the hub of an undisturbed run.

benchmarks/reliability/kill_resume.py is the large version.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import colour_world
from catalogue_rows import contents
from child_processes import running_command, wait_until
from colour_world import World
from command_line import COMMAND, lagotto_process
from lagotto.hub.hub import Hub

KILL_AT = ("staging", "staging/*", "responses/*", "blocks/*")
"""A run is killed as soon as there is a file more of such a name: at another stage each time."""


@contextmanager
def adding(hub: Path, models: Path) -> Iterator["subprocess.Popen[str]"]:
    """`hub add` in a process group of its own, workers included, while the block runs."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with running_command([*COMMAND, "hub", "add", hub, models], **pipes) as process:
        yield process


def wait_until_at_work(process: "subprocess.Popen[str]", hub: Path) -> None:
    """Until the run has begun to write; before, while it loads, Python itself answers signals."""
    assert wait_until(lambda: (hub / "staging").exists() or process.poll() is not None, 120)
    assert process.poll() is None


def interrupted(process: "subprocess.Popen[str]", after_s: float, number: int) -> bool:
    """Sends a signal to the whole group after some time; False if it was over before."""
    try:
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
        return True
    return False


def killed_at(process: "subprocess.Popen[str]", hub: Path, pattern: str) -> bool:
    """Kills the whole group once there is a file more of a name; False if it was over before."""
    before = len(list(hub.glob(pattern)))
    assert wait_until(
        lambda: len(list(hub.glob(pattern))) > before or process.poll() is not None, 120
    )
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return True


@pytest.mark.thorough
def test_a_killed_run_is_resumed_to_the_same_hub(world: World, empty_copy: Path) -> None:
    kills = 0
    for pattern in KILL_AT:
        with adding(empty_copy, world.models) as process:
            if killed_at(process, empty_copy, pattern):
                kills += 1
        assert Hub.open(empty_copy).status().failures == ()
    report = Hub.open(empty_copy).add([world.models])
    assert kills >= 2
    assert report.failures == ()
    assert contents(empty_copy) == contents(world.hub)
    assert Hub.open(empty_copy).verify() == ()


@pytest.mark.thorough
@pytest.mark.parametrize("after_s", [0.05, 0.5])
def test_ctrl_c_ends_a_run_at_once_and_in_order(
    world: World, empty_copy: Path, tmp_path: Path, after_s: float
) -> None:
    slow = colour_world.write_slow_model(tmp_path / "slow")
    with adding(empty_copy, slow.parent) as process:
        wait_until_at_work(process, empty_copy)
        assert interrupted(process, after_s, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode in (1, 130)
    assert "Traceback" not in err
    assert out == ""
    assert not (empty_copy / "staging").exists()
    hub = Hub.open(empty_copy)
    hub.add([world.models])
    if hub.status().pending:  # it was listed before the signal
        hub.remove("slow")
    assert contents(empty_copy)[0] == contents(world.hub)[0]
    assert hub.verify() == ()


def test_a_second_add_meanwhile_is_refused_in_one_line(
    world: World, empty_copy: Path, tmp_path: Path
) -> None:
    slow = colour_world.write_slow_model(tmp_path / "slow")
    with adding(empty_copy, slow.parent) as process:
        wait_until_at_work(process, empty_copy)
        second = lagotto_process("hub", "add", empty_copy, world.models)
        second.refused(1, "another process is writing", str(empty_copy))
    assert len(Hub.open(empty_copy).add([world.models]).done) == 7


def test_failed_models_are_tried_again_and_their_repair_is_seen(
    world: World, empty_copy: Path, tmp_path: Path
) -> None:
    shutil.copytree(world.models / "plain", tmp_path / "models" / "plain")
    shutil.copytree(world.models / "bytes", tmp_path / "models" / "bytes")
    labels = tmp_path / "models" / "bytes" / "model.json"
    labels.write_text(labels.read_text().replace('["green", "white", "yellow"]', '"labels.txt"'))
    hub = Hub.open(empty_copy)
    first = hub.add([tmp_path / "models"])
    assert first.done == ("plain",)
    assert [failure.model for failure in first.failures] == ["bytes"]
    again = hub.add([tmp_path / "models"])
    assert (again.done, again.already) == ((), 1)
    assert again.failures == first.failures
    (labels.parent / "labels.txt").write_text("green\nwhite\nyellow\n")
    assert hub.add([tmp_path / "models"]).done == ("bytes",)
    assert hub.status().failures == ()
    assert hub.search("green", k=9, top=1).hits[0].label == "green"
