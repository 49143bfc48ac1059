"""The caller's environment comes in; the variables that a worker process may see go out."""

import os
from pathlib import Path

import lagotto.jobs
from lagotto.jobs.sandbox.telemetry import TELEMETRY_OFF

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_COPIED = frozenset(
    {
        *("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TZDIR"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH"),
        *("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"),
        *("PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUTF8"),
    }
)
_COPIED_PREFIX = "LC_"


def worker_environment(temporary: Path) -> dict[str, str]:
    """The environment variables of a worker.

    An allow-list of the caller's variables is copied, so no token or password is among them. Added
    are: one thread for numeric libraries, no telemetry, this installation of lagotto on PYTHONPATH,
    and `temporary` as the folder for temporary files.
    """
    copied = {
        name: value
        for name, value in os.environ.items()
        if name in _COPIED or name.startswith(_COPIED_PREFIX)
    }
    environment = copied | dict.fromkeys(_ONE_THREAD, "1") | TELEMETRY_OFF
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    root = Path(lagotto.jobs.__file__).parents[2]
    if root.name not in ("site-packages", "dist-packages"):
        paths = [environment.get("PYTHONPATH", ""), str(root)]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
