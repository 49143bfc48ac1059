"""This process comes in; it gives up what its user's name and root's powers would still allow it.

Landlock keeps a worker from the memory of other processes. What stands here does so where a kernel
has no Landlock, and takes root's powers from a worker in any case.
"""

import contextlib
import ctypes
import os
import sys
from pathlib import Path

from lagotto.jobs.sandbox.landlock import landlock_version

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _AMBIENT_CLEAR = 4, 24, 47, 4
_CAPABILITY_VERSION = 0x20080522
_CAPABILITIES = 64
_KEPT = 1 << 1 | 1 << 2  # read and write files whatever their mode: containers run as root
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySet(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def drop_capabilities() -> str:
    """Takes root's powers from this process for good, all but those over files.

    A hub that belongs to another user, in a container that runs as root, needs those over files;
    Landlock limits them. Returns "", or the reason why the system does not do it.
    """
    if sys.platform != "linux":
        return f"capabilities are not part of {sys.platform}"
    library = ctypes.CDLL(None, use_errno=True)
    for number in range(_CAPABILITIES):
        if not _KEPT >> number & 1:
            library.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # fails where there is none to drop
    library.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    header = _CapabilityHeader(_CAPABILITY_VERSION, 0)
    sets = (_CapabilitySet * 2)()
    if library.capget(ctypes.byref(header), ctypes.byref(sets)) != 0:
        return os.strerror(ctypes.get_errno())
    for index, held in enumerate(sets):
        kept = _KEPT >> 32 * index & held.permitted
        held.effective, held.permitted, held.inheritable = kept, kept, 0
    if library.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        return os.strerror(ctypes.get_errno())
    return ""


def leave_user_namespace() -> str:
    """Moves this process to a user namespace of its own, under the same user id.

    From there a process of an ordinary user reaches no memory of the user's other processes. Call
    it with one thread, and drop capabilities afterwards. Returns "", or the reason why the system
    does not do it.
    """
    user, group = os.geteuid(), os.getegid()
    refusal = _unshare(_NEW_USER)
    if refusal:
        return refusal
    texts = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    for name, text in texts.items():
        with contextlib.suppress(OSError):  # only the shown names of users differ then
            Path("/proc/self", name).write_text(text, encoding="ascii")
    return ""


def leave_network() -> str:
    """Moves this process to an empty network namespace; returns why it failed, "" if not.

    Root needs no user namespace for it. Drop capabilities afterwards.
    """
    if _unshare(_NEW_NETWORK) == "":
        return ""
    return leave_user_namespace() or _unshare(_NEW_NETWORK)


def _unshare(kinds: int) -> str:
    if sys.platform != "linux":
        return f"not part of {sys.platform}"
    library = ctypes.CDLL(None, use_errno=True)
    return "" if library.unshare(kinds) == 0 else os.strerror(ctypes.get_errno())


def hide_memory() -> None:
    """Closes the memory of this process to other processes of its user, where Landlock does not.

    The parent of workers calls it before it starts one. Debuggers of the same user cannot attach
    then either, so it is done on kernels without Landlock alone.
    """
    if sys.platform == "linux" and landlock_version() < 2:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
