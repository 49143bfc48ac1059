"""A process comes in; a tag for the names of its temporary files goes out, and who still runs.

A tag is MACHINE-PID-START: which machine (or container), which process, and when that was started,
because a number of a process is given out again. Only a process of this machine that has ended is
known to have ended.
"""

import hashlib
import os
import re
import socket
from functools import cache
from pathlib import Path

_TAG = re.compile(r"(?<![0-9a-z])([0-9a-f]{8})-(\d{1,10})-(\d{1,20})(?![0-9a-z])")


def owner_tag() -> str:
    """The tag of this process, for the name of a temporary file or folder."""
    return _tag_of(os.getpid())


def is_abandoned(name: str) -> bool:
    """Whether a name has the tag of a process of this machine that has ended."""
    tag = _TAG.search(name)
    if tag is None or tag[1] != _machine():
        return False
    started = _start_of(int(tag[2]))
    return started is None or (started != "0" and tag[3] != "0" and started != tag[3])


def is_owned(name: str) -> bool:
    """Whether a name has the tag of a process of this machine that still runs."""
    tag = _TAG.search(name)
    return tag is not None and tag[1] == _machine() and not is_abandoned(name)


@cache
def _tag_of(process: int) -> str:
    return f"{_machine()}-{process}-{_start_of(process) or 0}"


@cache
def _machine() -> str:
    """Eight hex digits that tell this machine, or this container on it, from others."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{socket.gethostname()}\n{numbers}".encode()).hexdigest()[:8]


def _start_of(process: int) -> str | None:
    """When a process was started, in ticks; "0" where that is not told; None if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        state, start = fields.rpartition(")")[2].split()[0], fields.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return None
        return "0" if _answers(process) else None
    return None if state in "ZX" else start


def _answers(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
