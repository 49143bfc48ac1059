"""`hub add --runner ray`: the hub of a local run, also where workers, a node or the run are lost.

Two nodes of one cluster on this machine; the commands are processes of their own.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import colour_world
from catalogue_rows import contents
from child_processes import descends_from_here, is_running, running_command, wait_until
from colour_world import World
from command_line import COMMAND, ENVIRONMENT, Answer, lagotto_process
from lagotto.hub.hub import Hub

pytest.importorskip("ray")
from ray.cluster_utils import Cluster

pytestmark = [
    pytest.mark.workers,
    pytest.mark.thorough,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

GIB = 1 << 30
ROUNDS = 20_000
"""Of a model that is slower than the others."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs one model at a time, and another node that does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {"num_cpus": 1, "memory": 3 * GIB, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        made.extra = made.add_node(num_cpus=1, memory=2 * GIB)
        yield made
        made.shutdown()


def words(cluster: Any, hub: Path, models: Path) -> list[str | Path]:
    address = ["--runner", "ray", "--ray-address", cluster.address, "--memory-gb", "1"]
    return ["hub", "add", hub, models, *address]


def add(cluster: Any, hub: Path, models: Path, *more: str) -> Answer:
    return lagotto_process(*words(cluster, hub, models), *more, timeout=240)


@contextmanager
def adding(cluster: Any, hub: Path, models: Path, *more: str) -> Iterator["subprocess.Popen[str]"]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [*COMMAND, *words(cluster, hub, models), *more]
    with running_command(command, env=ENVIRONMENT, **pipes) as process:
        yield process


def ray_processes() -> set[int]:
    """All processes of Ray that ours have started."""
    found = set()
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            line = path.joinpath("cmdline").read_bytes() if path.name.isdecimal() else b""
            if (line.startswith(b"ray::") or b"/ray/" in line) and descends_from_here(
                int(path.name)
            ):
                found.add(int(path.name))
    return found


def members(at_work: bool = False) -> set[int]:
    """The processes of our clusters that are members; those that run a task now."""
    found = set()
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):
                title = path.joinpath("cmdline").read_bytes().decode(errors="replace")
                if title.startswith("ray::_RayMember" + (".work" if at_work else "")):
                    found.add(int(path.name))
    return {pid for pid in found if descends_from_here(pid)}


@pytest.fixture
def slow_models(world: World, tmp_path: Path) -> Path:
    """The models of the world, and before them one that is slower."""
    folder = tmp_path / "models"
    colour_world.write_slow_model(folder / "a_slow", ROUNDS)
    for path in world.models.iterdir():
        (folder / path.name).mkdir()
        for file in path.iterdir():
            (folder / path.name / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def expected(world: World, slow_models: Path, tmp_path: Path) -> Any:
    """What a local run makes of these models."""
    hub = Hub.create_like(tmp_path / "local-hub", world.empty_hub)
    assert hub.add([slow_models]).failures == ()
    return contents(hub.folder)


@pytest.fixture
def hub(world: World, tmp_path: Path) -> Path:
    return Hub.create_like(tmp_path / "ray-hub", world.empty_hub).folder


def test_the_hub_of_a_local_run_byte_for_byte(cluster: Any, world: World, empty_copy: Path) -> None:
    answer = add(cluster, empty_copy, world.models)
    assert answer.code == 0, answer
    assert "7 models added" in answer.out
    assert "ray" not in answer.err.lower()
    assert contents(empty_copy) == contents(world.hub)
    assert wait_until(lambda: not members(), 20)


def test_a_cluster_that_is_started_for_the_run_and_ends_with_it(
    world: World, empty_copy: Path
) -> None:
    answer = lagotto_process(
        *("hub", "add", empty_copy.name, world.models, "--runner", "ray", "--memory-gb", "1"),
        timeout=240,
        cwd=empty_copy.parent,
    )
    assert answer.code == 0, answer
    assert "ray" not in answer.err.lower()
    assert contents(empty_copy) == contents(world.hub)
    assert wait_until(lambda: not members(), 20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_cluster_of_its_own_ends_with_a_run_that_is_stopped(
    hub: Path, tmp_path: Path, number: int
) -> None:
    slow = colour_world.write_slow_model(tmp_path / "only" / "slow")
    command = [*COMMAND, "hub", "add", hub, slow.parent, "--runner", "ray", "--memory-gb", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    others = ray_processes()  # the cluster of this module
    with running_command(command, env=ENVIRONMENT, **pipes) as process:
        assert wait_until(lambda: bool(members(at_work=True)), 200)
        started = ray_processes() - others
        assert started
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=100)
    assert process.returncode == (130 if number == signal.SIGINT else -number), err
    assert (out, "Traceback" in err) == ("", False)
    assert wait_until(lambda: not any(is_running(pid) for pid in started), 60)


def test_a_killed_worker_is_replaced_and_its_model_run_again(
    cluster: Any, hub: Path, slow_models: Path, expected: Any
) -> None:
    with adding(cluster, hub, slow_models) as process:
        assert wait_until(lambda: (hub / "staging").exists() and bool(members(True)), 120)
        time.sleep(1.0)
        killed = members(at_work=True)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=240)
    assert killed
    assert process.returncode == 0, err
    assert "8 models added" in out
    assert contents(hub) == expected


def test_a_model_whose_workers_are_always_lost_is_its_own_failure_once(
    cluster: Any, world: World, hub: Path, tmp_path: Path
) -> None:
    slow = colour_world.write_slow_model(tmp_path / "only" / "slow")
    for name in ("plain", "bytes"):
        (slow.parent.parent / name).symlink_to(world.models / name)
    killed: set[int] = set()
    with adding(cluster, hub, slow.parent.parent) as process:
        while process.poll() is None and len(killed) < 40:
            fresh = members(at_work=True) - killed
            if fresh:
                time.sleep(1.5)  # the others are done by then
            for pid in fresh & members(at_work=True):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            time.sleep(0.2)
        out, err = process.communicate(timeout=240)
    assert "1 failed" in out, (out, err)
    assert len(killed) >= 4
    (failure,) = Hub.open(hub).status().failures
    assert failure.kind == "crash"
    assert re.search(r"worker on .* was lost.*\(4 tries, on ", failure.reason)


def test_a_run_that_was_killed_is_resumed(
    cluster: Any, hub: Path, slow_models: Path, expected: Any
) -> None:
    with adding(cluster, hub, slow_models) as process:
        assert wait_until(lambda: any((hub / "responses").glob("*")), 120)
        at_work = members()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert at_work
    assert wait_until(lambda: not any(is_running(pid) for pid in at_work), 60)
    done = Hub.open(hub).status().done
    assert 0 < done < 8
    answer = add(cluster, hub, slow_models)
    assert f"{8 - done} models added, {done} already there" in answer.out, answer
    assert contents(hub) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("lagotto.__version__ = '0.0.9'", ("has lagotto 0.1.0, and this machine 0.0.9",)),
        ("pathlib.Path.touch = lambda path: None", ("does not see", "hub add --shard")),
        (
            "import lagotto.jobs.cluster.messages as m; import dataclasses\n"
            "stamp = m.stamp_file\n"
            "m.stamp_file = lambda path: dataclasses.replace(stamp(path), bytes=1)",
            ("as it is here", "same path"),
        ),
    ],
)
def test_a_node_that_is_not_like_this_machine_is_named(
    cluster: Any, hub: Path, world: World, change: str, words: tuple[str, ...]
) -> None:
    script = f"import lagotto, pathlib\nfrom lagotto.cli.main import main\n{change}\nmain()"
    given = globals()["words"](cluster, hub, world.models)
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, given)],
        capture_output=True,
        text=True,
        timeout=240,
        env=ENVIRONMENT,
    )
    Answer(ended.returncode, ended.stdout, ended.stderr).refused(1, "node ", *words)
    assert Hub.open(hub).status().failures == ()


def test_not_enough_memory_for_a_model_is_named(cluster: Any, hub: Path, world: World) -> None:
    answer = add(cluster, hub, world.models, "--memory-gb", "5")
    answer.refused(1, "5.00 GiB", "largest of its 2 nodes offers 1 cores and 3.00 GiB")


def test_a_lost_node_is_done_without(
    cluster: Any, hub: Path, slow_models: Path, expected: Any
) -> None:
    with adding(cluster, hub, slow_models, "--json") as process:
        assert wait_until(lambda: (hub / "staging").exists() and len(members()) == 2, 120)
        cluster.remove_node(cluster.extra, allow_graceful=False)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert len(json.loads(out)["done"]) == 8  # and nothing that Ray has to say of its nodes
    assert contents(hub) == expected
