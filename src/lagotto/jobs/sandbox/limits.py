"""Limits come in and are set on this process; the memory that a process uses goes out."""

import contextlib
import math
import os
import signal
import sys
import time
from pathlib import Path

_GIB = 1 << 30
_PR_SET_PDEATHSIG = 1
_RESIDENT, _SHARED = 1, 2  # fields of /proc/PID/statm
_MAPPED_BYTES = 64 << 30  # files mapped at a time: a probe cache, external weights, libraries


def private_bytes(pid: int) -> int | None:
    """Resident memory of a process that no file backs, in bytes; None if it cannot be measured.

    Mapped files (a probe cache, weights) do not count: they are shared, and the system can drop
    them at any time. It reads /proc, so it works on Linux only.
    """
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
        pages = int(fields[_RESIDENT]) - int(fields[_SHARED])
    except (OSError, IndexError, ValueError):
        return None
    return max(pages, 0) * os.sysconf("SC_PAGE_SIZE")


def hard_ceiling(memory_bytes: int) -> int:
    """Bytes of writable private memory that the kernel allows for a memory limit.

    It is twice the limit, since allocators reserve more than they touch (the arena of onnxruntime
    doubles its blocks), plus 1 GiB for the interpreter, its libraries and the stacks of threads.
    The parent enforces the limit itself: it measures the memory in use.
    """
    return 2 * memory_bytes + _GIB


def restrict_self(memory_bytes: int | None, *, gpu: bool = False) -> None:
    """Sets the hard ceiling of a memory limit on this process, and turns core files off.

    On Linux the ceiling is RLIMIT_DATA. It counts memory that an allocator may write to. It does
    not count mapped files, which are shared and may be larger than the memory. The address space
    (RLIMIT_AS) may be larger by 64 GiB, for mapped files and for memory that libraries only
    reserve. An allocation beyond either fails at once (MemoryError, std::bad_alloc), also while the
    parent is busy. With `gpu` the address space has no limit: CUDA reserves as much of it as the
    machine and its GPUs have memory.
    """
    import resource

    _limit(resource.RLIMIT_CORE, 0)
    if memory_bytes is not None:
        ceiling = hard_ceiling(memory_bytes)
        _limit(resource.RLIMIT_DATA, ceiling)
        if not gpu:
            _limit(resource.RLIMIT_AS, ceiling + _MAPPED_BYTES)


def _limit(kind: int, value: int) -> None:
    """Sets a limit that this process cannot raise again."""
    import resource

    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with contextlib.suppress(OSError, ValueError):  # the parent still measures the memory
        resource.setrlimit(kind, (value, value))


def cpu_ceiling(timeout_s: float) -> int:
    """Seconds of processor time that the kernel grants a task with a wall-clock limit.

    It is twice the limit plus a second, since a task runs on one thread and the parent enforces the
    wall-clock limit. The kernel enforces this one also while the parent is stopped or busy.
    """
    return math.ceil(2 * timeout_s) + 1


def allow_cpu(seconds: int) -> None:
    """Grants this process more processor time; after it the kernel sends SIGXCPU."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(time.process_time()) + seconds
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def die_with_parent(parent: int) -> None:
    """Makes this process end when process `parent` ends; ends it at once if that has ended.

    On Linux the kernel sends SIGKILL, which works also while native code holds the interpreter
    lock. On other systems the worker ends when its stdin ends.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
