"""What made a result goes out: commit, machine and versions, as every stored JSON has them."""

import argparse
import os
import platform
import subprocess

import lagotto


def provenance() -> dict[str, str]:
    """The keys `commit`, `machine`, `lagotto` and `python` of a result."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "commit": head.stdout.strip() or "unknown",
        "machine": f"{platform.machine()}, {platform.system()}",
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
    }


def conditions(options: argparse.Namespace) -> dict[str, object]:
    """What was asked of a benchmark, on how many cores and at which load, and `provenance`."""
    asked = {name: value for name, value in vars(options).items() if name not in ("json", "folder")}
    machine = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    return {**asked, **machine, **provenance()}
