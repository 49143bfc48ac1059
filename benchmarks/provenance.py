"""What made a result goes out: commit, machine and versions, as every stored JSON has them."""

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
