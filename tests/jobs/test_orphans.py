"""A run of tests that is killed or interrupted leaves no worker behind."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from child_processes import is_running, running_command, wait_until

TASKS = Path(__file__).resolve().parent / "tasks"
SUITE = """
import threading, time
from lagotto.jobs.base import Task
from lagotto.jobs.local import LocalRunner

def tell(runner):
    while len(runner._pool) < 2:
        time.sleep(0.05)
    print("WORKERS", *(worker.pid for worker in runner._pool), flush=True)

def test_that_never_ends():
    with LocalRunner(workers=2, timeout_s=300.0, memory_bytes=None) as runner:
        threading.Thread(target=tell, args=[runner], daemon=True).start()
        tasks = [Task(str(number), "runner_tasks:hang", {}) for number in range(2)]
        list(runner.run(tasks))
"""


@pytest.mark.thorough
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_its_suite(tmp_path: Path, number: int) -> None:
    (tmp_path / "test_mini.py").write_text(SUITE)
    source = Path(__file__).resolve().parents[2] / "src"
    paths = os.pathsep.join([str(TASKS), str(source), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", tmp_path]
    environment = os.environ | {"PYTHONPATH": paths, "TMPDIR": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with running_command(command, env=environment, cwd=tmp_path, **pipes) as process:
        found = None
        for line in process.stdout:  # type: ignore[union-attr]
            found = re.search(r"WORKERS (\d+) (\d+)", line)
            if found:
                break
        assert found, "no worker was started"
        workers = [int(found[1]), int(found[2])]
        assert all(map(is_running, workers))
        os.kill(process.pid, number)
        assert wait_until(lambda: not any(map(is_running, workers)), 15)
