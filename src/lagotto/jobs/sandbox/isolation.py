"""Folders that stay writable come in; this process is isolated, and what took effect goes out.

Every worker calls it before it runs a model; see the security page of the docs. It imports the
standard library only. `python -m lagotto.jobs.sandbox.isolation FOLDER...` isolates itself and
prints what took effect as JSON.
"""

import ctypes
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lagotto.jobs.sandbox.landlock import refuse_changes
from lagotto.jobs.sandbox.seccomp import refuse_calls

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000


def isolate_self(writable: Sequence[Path]) -> dict[str, tuple[str, str]]:
    """Isolates this process for good, as far as the system allows; call it with one thread.

    Args:
        writable: Folders in which the process may still change files. If none is given, the access
            to files is not restricted.

    Returns:
        For "network", "processes" and "files": (kernel feature that isolates from it, ""), or
        ("", the system's reason why it does not).
    """
    refusal = refuse_changes(writable) if writable else "not asked for"
    guards = {"files": ("", refusal) if refusal else ("landlock", "")}
    refusal = refuse_calls()
    if not refusal:
        return guards | dict.fromkeys(("network", "processes"), ("seccomp", ""))
    guards["processes"] = ("", f"seccomp: {refusal}")
    other = _leave_network()
    reason = f"seccomp: {refusal}; network namespace: {other}"
    return guards | {"network": ("", reason) if other else ("namespace", "")}


def _leave_network() -> str:
    """Moves this process to an empty network namespace; returns why it failed, "" if not."""
    if sys.platform != "linux":
        return f"not part of {sys.platform}"
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return os.strerror(ctypes.get_errno())
    return ""


if __name__ == "__main__":
    print(json.dumps(isolate_self([Path(argument) for argument in sys.argv[1:]])))
