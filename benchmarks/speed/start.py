"""What it costs to start Lagotto, and how large its wheel is.

    python benchmarks/speed/start.py --json > benchmarks/results/speed_start.json

Four commands are run in turn, each in a new process: `python -c pass` (the baseline), the same with
`import lagotto`, with the imports of typer and rich that any such command line needs, and
`python -m lagotto --help`. The seconds are those of the processor, on which other work on the
machine weighs little; the median of the rounds counts, and the first round is left out. The wheel
is built from a copy of the source tree, without a network.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
WHEEL_BAR_MB = 12
COMMANDS = {
    "python": ["-c", "pass"],
    "import": ["-c", "import lagotto"],
    "typer": ["-c", "import typer, rich.console, rich.table"],
    "help": ["-m", "lagotto", "--help"],
}


def measure(rounds: int) -> dict[str, Any]:
    """The CPU seconds of each command, and the bytes of the wheel."""
    spent: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            spent[name].append(_cpu_seconds(arguments))
    return {
        **provenance(),
        "rounds": rounds,
        "cpu_s": {name: round(median(values[1:]), 3) for name, values in spent.items()},
        "wheel_bytes": wheel_bytes(),
    }


def _cpu_seconds(arguments: list[str]) -> float:
    """The seconds of the processor that one run of Python takes."""
    before = getrusage(RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    after = getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{arguments} failed: {done.stderr.decode()[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wheel_bytes() -> int:
    """The size of the wheel that setuptools builds from the source tree."""
    with tempfile.TemporaryDirectory() as name:
        tree, out = Path(name) / "tree", Path(name) / "out"
        made = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / "src", tree / "src", ignore=made)
        for file in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copyfile(ROOT / file, tree / file)
        out.mkdir()
        build = "import sys; from setuptools import build_meta as b; b.build_wheel(sys.argv[1])"
        command = [sys.executable, "-c", build, str(out)]
        subprocess.run(command, cwd=tree, capture_output=True, check=True)
        (wheel,) = out.iterdir()
        return wheel.stat().st_size


def main() -> None:
    """Prints the results; exits with 1 if the wheel is over the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
    print(json.dumps(found, indent=1) if arguments.json else found)
    if found["wheel_bytes"] >= WHEEL_BAR_MB * 1_000_000:
        raise SystemExit(f"the wheel has {found['wheel_bytes']} bytes; at most {WHEEL_BAR_MB} MB")


if __name__ == "__main__":
    main()
