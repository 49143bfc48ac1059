"""The environment of a worker process: what it needs to start, and nothing else of the caller's."""

import os
from pathlib import Path

import lagotto.jobs

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TZDIR"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH"),
        *("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"),
        *("PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUTF8"),
    }
)
_PASSED_ON_PREFIX = "LC_"


def worker_environment(temporary: Path) -> dict[str, str]:
    """The variables of a worker: an allow-list of the caller's, so that no token or password of
    the caller's is among them; one thread a library, this lagotto importable, and `temporary` as
    its folder for temporary files.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX)
    }
    environment = passed | dict.fromkeys(_ONE_THREAD, "1")
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    root = Path(lagotto.jobs.__file__).parents[2]
    if root.name not in ("site-packages", "dist-packages"):
        paths = [environment.get("PYTHONPATH", ""), str(root)]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
