"""The name of a device comes in; the device that a runtime can use goes out, or one clear line."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest

CPU, AUTO = "cpu", "auto"
ALLOWED_DEVICES = "cpu, cuda, cuda:N (the N-th NVIDIA GPU, counted from 0), auto"

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
"""The variable that limits which GPUs CUDA shows to a process."""

_CUDA = re.compile(r"cuda(?::([0-9]{1,3}))?")
_WSL = "dxg"
_GPU_FILE = re.compile(r"nvidia([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs networks, and what it can run them on.

    `has_cuda` says whether this build of it can use CUDA at all, `gpus` has the numbers of the GPUs
    that are there. `remedy` is what to install where the build cannot.
    """

    name: str
    version: str
    has_cuda: bool
    gpus: tuple[int, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class Placement:
    """The device that is used: `cpu` or `cuda:N`; `note` says why `auto` took the CPU."""

    device: str
    note: str = ""

    @property
    def is_gpu(self) -> bool:
        """Whether it is no CPU."""
        return self.device != CPU


def check_device(device: str) -> str:
    """The device as it is named, if it can be one; raises UsageError for any other name.

    Example:
        >>> check_device("cuda:1")
        'cuda:1'
    """
    if device in (CPU, AUTO) or _CUDA.fullmatch(device):
        return device
    hint = suggest(device, [CPU, AUTO, "cuda"])
    raise UsageError(f"device {device[:40]!r} is not known; allowed: {ALLOWED_DEVICES}.{hint}")


def cuda_number(device: str) -> int:
    """The number of the GPU that `cuda` or `cuda:N` names; 0 for `auto`."""
    match = _CUDA.fullmatch(device)
    return int(match[1] or 0) if match else 0


def place(device: str, runtime: Runtime) -> Placement:
    """Where a runtime runs networks if a device is asked for.

    Args:
        device: As users name it: `cpu`, `cuda`, `cuda:N` or `auto`.
        runtime: What would run them.

    Returns:
        The device. `auto` gives the CPU, with the reason, where there is no GPU to use.

    Raises:
        UsageError: The device is not known, or a GPU is asked for that the runtime cannot use.

    Example:
        >>> place("auto", Runtime("onnxruntime", "1.20", False, (), "pip install x")).device
        'cpu'
    """
    if check_device(device) == CPU:
        return Placement(CPU)
    number = cuda_number(device)
    lack = _lack(number, runtime)
    if not lack:
        return Placement(f"cuda:{number}")
    if device == AUTO:
        return Placement(CPU, f"device auto is the CPU here: {lack}")
    raise UsageError(f"device {device!r} cannot be used: {lack}; allowed: {ALLOWED_DEVICES}")


def _lack(number: int, runtime: Runtime) -> str:
    """Why a runtime cannot use a GPU; "" if it can."""
    if not runtime.has_cuda:
        return f"{runtime.name} {runtime.version} is built without CUDA; install {runtime.remedy}"
    if not runtime.gpus:
        return "no NVIDIA GPU is seen on this machine"
    if number not in runtime.gpus:
        seen = ", ".join(f"cuda:{gpu}" for gpu in runtime.gpus)
        return f"there is no GPU {number}; seen are {seen}"
    return ""


def nvidia_gpus(folder: Path = Path("/dev")) -> tuple[int, ...]:
    """The numbers of the NVIDIA GPUs whose device files are in a folder; the first one in WSL.

    Where `CUDA_VISIBLE_DEVICES` is set, CUDA counts the GPUs that it names anew, from 0.
    """
    found = tuple(sorted(int(match[1]) for _, match in _files(folder) if match is not None))
    found = found or ((0,) if (folder / _WSL).exists() else ())
    visible = os.environ.get(VISIBLE_GPUS)
    if visible is None:
        return found
    named = [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return tuple(range(min(len(named), len(found))))


def nvidia_files(folder: Path = Path("/dev")) -> tuple[Path, ...]:
    """The device files by which a process reaches NVIDIA GPUs and their driver."""
    other = [folder / _WSL] if (folder / _WSL).exists() else []
    return tuple(sorted([*(path for path, _ in _files(folder)), *other]))


def _files(folder: Path) -> Sequence[tuple[Path, re.Match[str] | None]]:
    try:
        paths = [path for path in folder.iterdir() if path.name.startswith("nvidia")]
    except OSError:
        return ()
    return [(path, _GPU_FILE.fullmatch(path.name)) for path in paths]
