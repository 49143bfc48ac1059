"""`lagotto demo --serve` as a process: from the tour to a page of hits, and gone after Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from child_processes import running_command


def children(process: int) -> list[int]:
    """All processes below one, however deep."""
    found: list[int] = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            found += [child, *children(child)]
    return found


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads processes from /proc")
def test_the_demo_is_served_until_ctrl_c(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    words = ["demo", "--folder", str(tmp_path / "demo"), "--serve", "--port", "0", "--quiet"]
    with running_command(
        [sys.executable, "-m", "lagotto", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "TMPDIR": str(temporary)},
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            address = next(line for line in lines if line.startswith("http://")).strip().rstrip("/")
            until = time.monotonic() + 120
            while httpx.get(f"{address}/healthz").status_code != 200:
                assert time.monotonic() < until
                time.sleep(0.1)
            page = httpx.get(address, params={"q": "sailboat"})
            picture = min((tmp_path / "demo" / "pictures").iterdir()).read_bytes()
            sent = httpx.post(
                f"{address}/api/v1/search",
                files={"pictures": ("a.png", picture)},
                headers={"Origin": address},
            )
            below = children(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert page.status_code == 200
    assert re.search(r'<li class="hit".*sailboat', page.text, re.DOTALL)
    assert sent.json()["hits"]
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in errors
    assert below, "the worker that decodes pictures runs"
    assert [child for child in below if Path(f"/proc/{child}").exists()] == []
    assert list(temporary.iterdir()) == []
