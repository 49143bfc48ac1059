"""Runs Python code in a process of its own, with the environment of a worker."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lagotto.jobs.sandbox.environment import worker_environment


def printed_json(code: str, folder: Path) -> Any:
    """What the code prints, as JSON; `folder` is for its temporary files."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=worker_environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
