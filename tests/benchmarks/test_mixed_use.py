"""The short form of benchmarks/reliability/mixed_use.py and kill_anywhere.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "reliability"


def run(name: str, *words: str) -> dict[str, object]:
    command = [sys.executable, str(FOLDER / name), *words, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert answer.returncode == 0, answer.stdout + answer.stderr[-2000:]
    result = json.loads(answer.stdout)
    assert isinstance(result, dict)
    return result


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_eight_processes_use_one_hub_and_one_store() -> None:
    result = run("mixed_use.py", "--minutes", "0.1")
    assert (result["wrong"], result["errors"]) == (0, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks a process with threads")
@pytest.mark.parametrize("command", ["hub add", "captions add"])
def test_a_command_is_killed_at_some_moments(command: str) -> None:
    result = run("kill_anywhere.py", "--moments", "4", "--only", command)
    assert result["moments"] == 4
    assert result["problems"] == []
