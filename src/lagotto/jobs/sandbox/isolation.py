"""Folders that stay writable come in; this process is isolated, and what took effect goes out.

Every worker calls it before it runs a model; see the security page of the docs. It imports the
standard library only.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from lagotto.jobs.sandbox.landlock import refuse_changes
from lagotto.jobs.sandbox.privileges import (
    drop_capabilities,
    leave_network,
    leave_user_namespace,
)
from lagotto.jobs.sandbox.seccomp import has_filters, refuse_calls


def isolate_self(
    writable: Sequence[Path], gpu_files: Sequence[Path] = ()
) -> dict[str, tuple[str, str]]:
    """Isolates this process for good, as far as the system allows; call it with one thread.

    Args:
        writable: Folders in which the process may still change files. If none is given, it may
            change files everywhere.
        gpu_files: The device files of GPUs and their driver, which it may open and call; only for
            models that the user has run on a GPU. Everything else stays refused.

    Returns:
        For "network", "processes" and "files": (kernel feature that isolates from it, ""), or
        ("", the system's reason why it does not). What these features do, self_test.py shows.
    """
    unreached = "" if has_filters() else leave_network()
    landlock = refuse_changes(writable, gpu_files)
    refusal = landlock if writable else "not asked for"
    guards = {"files": ("", refusal) if refusal else ("landlock", "")}
    if landlock and os.geteuid() != 0:  # root gives up its powers instead, and keeps its files
        leave_user_namespace()
    drop_capabilities()
    refusal = refuse_calls(gpu=bool(gpu_files))
    if not refusal:
        return guards | dict.fromkeys(("network", "processes"), ("seccomp", ""))
    guards["processes"] = ("", f"seccomp: {refusal}")
    reason = f"seccomp: {refusal}; network namespace: {unreached}"
    return guards | {"network": ("", reason) if unreached else ("namespace", "")}
