"""What a worker is cut off from, tried from inside; and what is said where a system refuses."""

import ctypes
import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from child_processes import is_running, wait_until
from isolated_python import printed_json
from lagotto.core.types import JsonObject
from lagotto.jobs.base import Outcome, Task
from lagotto.jobs.local import LocalRunner
from lagotto.jobs.sandbox import guards
from lagotto.jobs.sandbox.guards import Guard, find_guards
from lagotto.jobs.sandbox.limits import cpu_ceiling
from lagotto.jobs.sandbox.seccomp import filter_code

TASKS = Path(__file__).resolve().parents[1] / "tasks"
MEANS = {guard.what: guard.means for guard in find_guards()}


@pytest.fixture(autouse=True)
def _tasks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TASKS), prepend=os.pathsep)


def needs(what: str) -> None:
    """Skips where this system has no means for a guard."""
    if not MEANS[what]:
        pytest.skip(f"this system does not cut workers off from {what}")


def value_of(runner: LocalRunner, function: str, **payload: object) -> JsonObject:
    task = Task("t", f"isolation_tasks:{function}", payload)
    (outcome,) = runner.run([task])
    assert outcome.failure is None, outcome.failure
    assert outcome.value is not None
    return outcome.value


@pytest.fixture
def runner() -> Iterator[LocalRunner]:
    with LocalRunner(1, 120.0, 1 << 30) as made:
        yield made


def test_no_network_no_programs_no_other_processes(runner: LocalRunner) -> None:
    needs("processes")
    with socket.create_server(("127.0.0.1", 0)) as server:
        tried = value_of(runner, "reach_out", port=server.getsockname()[1])
    assert set(tried.values()) == {"PermissionError"}, tried


def test_files_change_in_the_given_folders_alone(tmp_path: Path) -> None:
    needs("files")
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "old").write_text("old")
    with LocalRunner(1, 120.0, None, [inside]) as runner:
        tried = value_of(runner, "write", inside=str(inside), outside=str(outside))
    allowed = {"inside": "done", "temporary": "done", "nothing": "done"}
    assert tried == dict.fromkeys(tried, "PermissionError") | allowed
    assert [path.name for path in outside.iterdir()] == ["old"]
    assert (outside / "old").read_text() == "old"


def test_threads_still_start(runner: LocalRunner) -> None:
    assert value_of(runner, "threads_still_start") == {"seen": [1]}


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
@pytest.mark.parametrize("writable", [None, []])
def test_a_worker_is_tied_to_its_parent_alone(writable: list[Path] | None) -> None:
    """It has a session of its own, ends with its parent, and keeps root's powers over files."""
    with LocalRunner(1, 120.0, None, writable) as runner:
        found = value_of(runner, "ties")
    assert found["at_parents_end"] == signal.SIGKILL
    assert found["session"] is True
    assert isinstance(found["powers"], int)
    assert found["powers"] & ~0b110 == 0
    assert found["user"] == os.getuid()


def test_no_secret_is_inherited(monkeypatch: pytest.MonkeyPatch, runner: LocalRunner) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "open sesame")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    found = value_of(runner, "environment")
    variables = found["variables"]
    assert isinstance(variables, dict)
    assert "open sesame" not in variables.values()
    assert variables["LC_ALL"] == "C.UTF-8"
    assert variables["OMP_NUM_THREADS"] == "1"


def test_temporary_files_have_a_folder_of_their_own_that_goes(runner: LocalRunner) -> None:
    folder = Path(str(value_of(runner, "environment")["temporary"]))
    assert folder.name.startswith("lagotto-worker-")
    assert folder.stat().st_mode & 0o777 == 0o700
    runner.close()
    assert not folder.exists()


@pytest.mark.thorough
def test_processor_time_is_bounded_while_the_caller_is_busy(tmp_path: Path) -> None:
    with LocalRunner(1, 0.5, None) as runner:
        tasks = [
            Task("a", "isolation_tasks:threads_still_start", {}),
            Task("b", "isolation_tasks:burn", {"folder": str(tmp_path)}),
        ]
        running = runner.run(tasks)
        next(running)
        assert wait_until(lambda: any(tmp_path.iterdir()))
        pid = int(next(tmp_path.iterdir()).name)
        assert wait_until(lambda: not is_running(pid))
        outcome: Outcome = next(running)
    assert outcome.failure is not None
    assert outcome.failure.kind == "timeout"
    assert "killed by SIGXCPU" in outcome.failure.reason
    assert cpu_ceiling(0.5) == 2


def test_address_space_is_bounded_too(runner: LocalRunner) -> None:
    assert value_of(runner, "reserve", gib=32) == {"length": 32 << 30}
    (outcome,) = runner.run([Task("t", "isolation_tasks:reserve", {"gib": 128})])
    assert outcome.failure is not None
    assert outcome.failure.kind == "memory"


def isolated_under(refused: set[int], folder: Path) -> dict[str, list[str]]:
    """What takes effect where the system refuses some calls, as a container may."""
    code = f"""
import ctypes, errno, json, struct
from pathlib import Path
from lagotto.jobs.sandbox import seccomp
from lagotto.jobs.sandbox.isolation import isolate_self
code = [(0x20, 0, 0, 0)]
for number in {sorted(refused)}:
    code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | errno.ENOSYS)]
code += [(0x06, 0, 0, 0x7FFF0000)]
data = b"".join(struct.pack("=HBBI", *each) for each in code)
kept = ctypes.create_string_buffer(data, len(data))
program = seccomp._Program(len(data) // 8, ctypes.addressof(kept))
library = ctypes.CDLL(None)
assert library.prctl(38, 1, 0, 0, 0) == 0
assert library.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
{"seccomp._MODE_FILTER = 77" if "no filter" in str(folder) else ""}
print(json.dumps(isolate_self([Path({str(folder)!r})])))
"""
    found: dict[str, list[str]] = printed_json(code, folder)
    return found


LANDLOCK, UNSHARE = 444, {"x86_64": 272, "aarch64": 97}.get(os.uname().machine, -1)


def test_a_system_without_landlock_is_told(tmp_path: Path) -> None:
    needs("processes")
    found = isolated_under({LANDLOCK}, tmp_path)
    assert found["files"] == ["", "Function not implemented"]
    assert found["network"] == ["seccomp", ""]


def test_a_system_without_filters_falls_back_to_a_namespace(tmp_path: Path) -> None:
    needs("processes")
    folder = tmp_path / "no filter"
    folder.mkdir()
    with_namespaces = isolated_under(set(), folder)
    assert with_namespaces["processes"] == ["", "seccomp: Invalid argument"]
    assert with_namespaces["network"][0] == ("namespace" if _namespaces_work() else "")
    without = isolated_under({UNSHARE}, folder)
    reason = "seccomp: Invalid argument; network namespace: Function not implemented"
    assert without["network"] == ["", reason]


def _namespaces_work() -> bool:
    code = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x50000000) != 0)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_worker_that_cannot_be_tried_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    found = guards.find_guards.__wrapped__()
    assert [guard.means for guard in found] == ["", "", ""]
    assert "no worker could be tried" in found[0].reason
    assert "\n" not in found[0].reason
    assert Guard("network", "", "x").words == "the network"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_stays_in_it(machine: str) -> None:
    code = filter_code(machine, 1234)
    assert len(code) % 8 == 0
    instructions = [code[i : i + 8] for i in range(0, len(code), 8)]
    for place, instruction in enumerate(instructions):
        if instruction[0] & 7 == 5:
            assert place + 1 + max(instruction[2], instruction[3]) < len(instructions)
    assert instructions[-1][:1] == b"\x06"
    assert ctypes.c_uint32.from_buffer_copy(instructions[-1], 4).value == 0x50000 | errno.EPERM


def test_python_in_the_security_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        Path(__file__).resolve().parents[3] / "docs" / "explanation" / "security.md"
    ).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "security.md", "exec"), {})
    assert "network" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is part of Linux")
@pytest.mark.parametrize(("version", "dumpable"), [(0, 0), (1, 0), (2, 1)])
def test_without_landlock_the_memory_of_the_parent_is_closed(version: int, dumpable: int) -> None:
    """PR_GET_DUMPABLE tells; where Landlock guards the memory, debuggers can still attach."""
    code = (
        "import ctypes; from lagotto.jobs.sandbox import privileges;"
        f"privileges.landlock_version = lambda: {version};"
        "privileges.hide_memory(); print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) == dumpable
