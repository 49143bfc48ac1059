"""The machine comes in; what this process may use of it goes out."""

import os


def usable_cores() -> int:
    """Processor cores that this process is allowed to run on, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
