"""What a worker process may use, and how its use is measured: memory, life, core files."""

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
    """Resident memory that a process shares with no file, in bytes; None where not measurable.

    Mapped files (a probe cache, weights) are left out: they are shared and can be dropped by the
    system at any time. Read from /proc, so Linux only.
    """
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
        pages = int(fields[_RESIDENT]) - int(fields[_SHARED])
    except (OSError, IndexError, ValueError):
        return None
    return max(pages, 0) * os.sysconf("SC_PAGE_SIZE")


def hard_ceiling(memory_bytes: int) -> int:
    """Bytes of writable private memory that the kernel refuses to exceed for a memory limit.

    Twice the limit, since allocators reserve more than they touch (the arena of onnxruntime
    doubles its blocks), plus 1 GiB for the interpreter, its libraries and the stacks of threads.
    The limit proper is kept by the parent, which watches the memory really in use.
    """
    return 2 * memory_bytes + _GIB


def restrict_self(memory_bytes: int | None) -> None:
    """Puts this process under the hard ceiling of a memory limit, and writes no core files.

    On Linux the ceiling is RLIMIT_DATA: it counts what an allocator may write to, and not the
    files that are mapped, which are shared and may be larger than the memory. The whole address
    space (RLIMIT_AS) may be larger by 64 GiB, for those and for what libraries only reserve. An
    allocation beyond either fails (MemoryError, std::bad_alloc) without any delay, also while the
    parent is busy elsewhere.
    """
    import resource

    _limit(resource.RLIMIT_CORE, 0)
    if memory_bytes is not None:
        ceiling = hard_ceiling(memory_bytes)
        _limit(resource.RLIMIT_DATA, ceiling)
        _limit(resource.RLIMIT_AS, ceiling + _MAPPED_BYTES)


def _limit(kind: int, value: int) -> None:
    """Sets the limit, and forbids this process to raise it again."""
    import resource

    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with contextlib.suppress(OSError, ValueError):  # the parent's watch remains
        resource.setrlimit(kind, (value, value))


def cpu_ceiling(timeout_s: float) -> int:
    """Seconds of processor time that the kernel grants a task with this limit of wall time.

    Twice the limit and a second: tasks run on one thread, and the limit proper is kept by the
    parent's clock. This one holds also while the parent is stopped or busy elsewhere.
    """
    return math.ceil(2 * timeout_s) + 1


def allow_cpu(seconds: int) -> None:
    """Lets this process use that much more processor time; the kernel ends it with SIGXCPU then."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(time.process_time()) + seconds
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def die_with_parent(parent: int) -> None:
    """Ends this process when process `parent` ends, at once if it is gone already.

    On Linux the kernel sends SIGKILL, which works also while native code holds the interpreter.
    Elsewhere the end of stdin, which the worker watches, has to do.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
