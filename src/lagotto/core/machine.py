"""The machine comes in; what this process may use of it goes out."""

import os
import sys
from contextlib import suppress

_USUAL_OPEN_FILES = 256
_ENOUGH_OPEN_FILES = 4096


def usable_cores() -> int:
    """Processor cores that this process is allowed to run on, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_files_limit() -> int:
    """How many files this process may have open at a time."""
    if sys.platform == "win32":
        return _USUAL_OPEN_FILES
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def allow_open_files() -> None:
    """Raises this process's own limit of open files to 4,096, as far as the system lets it.

    Some systems start programs with 256, and every mapped file of a hub takes one.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_OPEN_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
