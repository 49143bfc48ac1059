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
GPU_ALLOWED = "LAGOTTO_WORKER_GPU"
"""The variable that tells a worker that it may reach the GPUs of this machine."""

_GPU_COPIED = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


def worker_environment(temporary: Path, *, gpu: bool = False) -> dict[str, str]:
    """The environment variables of a worker.

    An allow-list of the caller's variables is copied, so no token or password is among them. Added
    are: one thread for numeric libraries, no telemetry, this installation of lagotto on PYTHONPATH,
    and `temporary` as the folder for temporary files. With `gpu`, the worker may reach the GPUs of
    this machine: those that CUDA_VISIBLE_DEVICES names, if it is set.
    """
    copied = {
        name: value
        for name, value in os.environ.items()
        if name in _COPIED or name.startswith(_COPIED_PREFIX)
    }
    environment = copied | dict.fromkeys(_ONE_THREAD, "1") | TELEMETRY_OFF
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    if gpu:
        environment |= {GPU_ALLOWED: "1", "CUDA_CACHE_PATH": str(temporary)}
        environment |= {name: os.environ[name] for name in _GPU_COPIED if name in os.environ}
    root = Path(lagotto.jobs.__file__).parents[2]
    if root.name not in ("site-packages", "dist-packages"):
        paths = [environment.get("PYTHONPATH", ""), str(root)]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
