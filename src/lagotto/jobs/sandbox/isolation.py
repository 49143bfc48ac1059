"""Cuts a process off before it runs a stranger's model: see docs/explanation/security.md.

Imported by every worker as it starts, so it imports the standard library alone.
`python -m lagotto.jobs.sandbox.isolation FOLDER...` cuts itself off and prints in JSON what
took effect.
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
    """Cuts this process off, for good, as far as the system allows; call it with one thread.

    `writable` are the folders in which it may still change files; none given: files stay as they
    are for it. Gives, for "network", "processes" and "files", by which means it is cut off from
    them, or "" and the system's reason why it is not.
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
    """Moves this process to a network of its own, without any device; why not, or "" if it is."""
    if sys.platform != "linux":
        return f"not part of {sys.platform}"
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return os.strerror(ctypes.get_errno())
    return ""


if __name__ == "__main__":
    print(json.dumps(isolate_self([Path(argument) for argument in sys.argv[1:]])))
