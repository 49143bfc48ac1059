"""What a worker may do beside, where models run on a GPU; and that no other worker may."""

import errno
import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from filter_machine import run_filter
from isolated_python import printed_json
from lagotto.core.errors import UsageError
from lagotto.jobs.base import Task
from lagotto.jobs.local import LocalRunner
from lagotto.jobs.registry import load_runner
from lagotto.jobs.sandbox.environment import GPU_ALLOWED, worker_environment
from lagotto.jobs.sandbox.guards import find_guards
from lagotto.jobs.sandbox.landlock import landlock_version
from lagotto.jobs.sandbox.seccomp import filter_code
from lagotto.jobs.worker_limits import Limits

ARCHITECTURES = {"x86_64": (16, 0xC000003E), "aarch64": (29, 0xC00000B7)}
PID = 4242
ALLOW, REFUSE = 0x7FFF0000, 0x50000 | errno.EPERM


def answer(machine: str, number: int, *arguments: int, gpu: bool) -> int:
    """What the filter of a machine returns for a call."""
    code = filter_code(machine, PID, gpu=gpu)
    return run_filter(code, ARCHITECTURES[machine][1], number, *arguments)


REQUESTS = (
    (0xC020462A, True),  # of the driver: allocate, control, map
    (0xC0384637, True),
    (0x0000002D, True),  # of the driver's shared memory
    (0x30000001, True),
    (0x30000002, True),
    (0x30005402, False),
    (0x00005412, False),  # types into a terminal
    (0x0000541C, False),
    (0x40045431, False),  # of a terminal
    (0x40049409, False),  # clones a file
    (0x40086602, False),  # changes the attributes of a file
)


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(("request_", "allowed"), REQUESTS)
def test_a_worker_with_a_gpu_may_call_its_driver(
    machine: str, request_: int, allowed: bool
) -> None:
    number = ARCHITECTURES[machine][0]
    expected = ALLOW if allowed else REFUSE
    assert answer(machine, number, 5, request_, gpu=True) == expected
    assert answer(machine, number, 5, request_, gpu=False) == REFUSE


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_requests_of_all_workers_stay_and_no_other_call_is_added(machine: str) -> None:
    ioctl = ARCHITECTURES[machine][0]
    for request in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451):
        assert answer(machine, ioctl, 0, request, gpu=True) == ALLOW
    for number in range(480):
        if number != ioctl:
            with_gpu = answer(machine, number, 1, 1, gpu=True)
            assert with_gpu == answer(machine, number, 1, 1, gpu=False), number
    assert max(len(filter_code(machine, PID, gpu=True)) // 8 for machine in ARCHITECTURES) < 350


def opened_under(gpu_files: list[str], folder: Path) -> dict[str, bool]:
    """Which devices an isolated process could open to write, with some given to it as GPUs'."""
    code = f"""
import json, os
from pathlib import Path
from lagotto.jobs.sandbox.isolation import isolate_self
isolate_self([Path({str(folder)!r})], [Path(each) for each in {gpu_files!r}])
found = {{}}
for device in ("/dev/full", "/dev/zero"):
    try:
        os.close(os.open(device, os.O_RDWR))
        found[device] = True
    except OSError:
        found[device] = False
print(json.dumps(found))
"""
    found: dict[str, bool] = printed_json(code, folder)
    return found


def test_only_the_files_of_the_gpu_are_opened(tmp_path: Path) -> None:
    if landlock_version() < 1:
        pytest.skip("this system has no Landlock")
    assert opened_under([], tmp_path) == {"/dev/full": False, "/dev/zero": False}
    assert opened_under(["/dev/full"], tmp_path) == {"/dev/full": True, "/dev/zero": False}
    missing = opened_under(["/dev/nvidia-that-is-not-there"], tmp_path)
    assert missing == {"/dev/full": False, "/dev/zero": False}


def test_a_worker_is_told_of_the_gpu_only_where_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    plain = worker_environment(tmp_path)
    assert not {GPU_ALLOWED, "CUDA_VISIBLE_DEVICES", "CUDA_CACHE_PATH"} & plain.keys()
    given = worker_environment(tmp_path, gpu=True)
    assert given.items() - plain.items() == {
        (GPU_ALLOWED, "1"),
        ("CUDA_VISIBLE_DEVICES", "1"),
        ("CUDA_CACHE_PATH", str(tmp_path)),
    }
    monkeypatch.setenv(GPU_ALLOWED, "1")  # a caller's own variable opens nothing
    assert GPU_ALLOWED not in worker_environment(tmp_path)


LIMITS_TASK = """
import resource
def limits(payload, progress):
    found = resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_DATA)[0]
    return {"space": found[0], "data": found[1]}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are of Linux")
def test_a_worker_without_gpu_files_keeps_all_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no device file, a worker of --device auto or cuda is one of the CPU."""
    (tmp_path / "limit_task.py").write_text(LIMITS_TASK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    found = []
    for gpu in (False, True):
        with closing(LocalRunner(1, 60.0, 1 << 30, gpu=gpu)) as runner:
            (outcome,) = runner.run([Task("x", "limit_task:limits", {})])
            found.append(outcome.value)
    assert found[0] is not None
    if not list(Path("/dev").glob("nvidia*")):
        assert found[0] == found[1]


def test_guards_are_those_of_the_cpu_as_ever() -> None:
    """`hub status` and `doctor` speak of workers of the CPU: nothing of a GPU goes into them."""
    assert {guard.what for guard in find_guards()} == {"network", "processes", "files"}


def test_a_cluster_runs_models_on_the_cpu() -> None:
    with pytest.raises(UsageError, match=r"--runner local; on a cluster .* leave --device out"):
        load_runner("ray", 1, 1.0, None, device="cuda")


def test_a_device_that_is_none_starts_nothing() -> None:
    with pytest.raises(UsageError, match="'gpu' is not known; allowed: cpu, cuda"):
        Limits(device="gpu").start()
