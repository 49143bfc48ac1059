"""Folders come in; Landlock then lets this process change files only in them, and open no devices.

Landlock needs no privileges. It does not cover changing a file's mode, owner and times (seccomp
does); before Linux 6.2 it does not cover truncation. A process under it also reaches no memory of
a process that is not.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE = 1 << 0, 1 << 1, 1 << 2
_CHANGES = _WRITE_FILE | 0b1_1111_1111 << 4  # and remove or make any kind of directory entry
_MAKE_DEVICES = 1 << 6 | 1 << 11
# From versions 2, 3 and 5 of the interface on:
_MOVE, _TRUNCATE, _DEVICE_CALLS = 1 << 13, 1 << 14, 1 << 15
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_CALLS
_PORTS = 0b11  # version 4: to listen on one, to connect to one
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1  # version 6: only those of workers under this rule
_DEVICES = Path("/dev")
_OPEN_DEVICES = ("null", "zero", "full", "random", "urandom", "shm")
_LOCAL_FILE_SYSTEMS = frozenset(
    [
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "bcachefs",
        "overlay",
        "squashfs",
        "erofs",
        "vfat",
        "tmpfs",
        "ramfs",
        "rootfs",
        "devtmpfs",
        "proc",
        "sysfs",
        "cgroup",
        "cgroup2",
    ]
)


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def landlock_version() -> int:
    """The version of Landlock's interface in this kernel; 0 if it has none or it is off."""
    if sys.platform != "linux":
        return 0
    version: int = ctypes.CDLL(None).syscall(
        _CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION
    )
    return max(version, 0)


def refuse_changes(writable: Sequence[Path], gpu_files: Sequence[Path] = ()) -> str:
    """Lets this process change files only under `writable`, for good.

    Whatever the folders are, the process also executes no file, opens no device but /dev/null and
    its like, and where the kernel can: connects to no port, and sends no signal to a process
    outside. Missing folders cannot be created either. Files that are already open stay writable.

    Args:
        writable: The folders. If none is given, files may be changed everywhere, as far as this
            kernel's Landlock can say so.
        gpu_files: Device files that it may open all the same, and call.

    Returns:
        "", or the reason why the system does not do it.
    """
    if sys.platform != "linux":
        return f"Landlock is not part of {sys.platform}"
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return os.strerror(ctypes.get_errno())
    if not writable and version == 1:
        return "moving files everywhere cannot be allowed by version 1 of Landlock"
    changes = _CHANGES | (_MOVE if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    devices = _DEVICE_CALLS if version >= 5 else 0
    readable = list(_readable())
    handled = changes | _EXECUTE | devices | (_READ_FILE if readable else 0)
    rules = _Ruleset(
        handled,
        _PORTS if version >= 4 else 0,
        _ABSTRACT_SOCKETS | _SIGNALS if version >= 6 else 0,
    )
    size = ctypes.c_size_t(ctypes.sizeof(rules))
    ruleset = library.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    change = changes & ~_MAKE_DEVICES
    try:
        for path in writable or [Path("/")]:
            _allow(library, ruleset, path, change)
        for path in readable:
            with contextlib.suppress(PermissionError):
                _allow(library, ruleset, path, _READ_FILE)
        for path in (Path(os.devnull), *gpu_files):
            _allow(library, ruleset, path, change | _READ_FILE | devices)
        if (
            library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            or library.syscall(_RESTRICT_SELF, ruleset, 0) != 0
        ):
            return os.strerror(ctypes.get_errno())
    except OSError as error:
        return f"{error.filename or 'a folder'}: {error.strerror}"
    finally:
        os.close(ruleset)
    return ""


def _readable() -> Iterator[Path]:
    """What a process may read: everything in / but devices, of which a few harmless ones.

    Nothing comes out, and reading is then not restricted, if / cannot be listed, or if something in
    it is on a file system that may not answer (a server that is away).
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
        entries = sorted(Path("/").iterdir())
    except OSError:
        return
    for mount in mounts:
        fields = mount.split()
        kind = fields[fields.index("-", 6) + 1] if "-" in fields[6:] else ""
        if fields[4].count("/") == 1 and kind not in _LOCAL_FILE_SYSTEMS:
            return
    yield from (entry for entry in entries if entry != _DEVICES)
    yield from (_DEVICES / name for name in _OPEN_DEVICES)


def _allow(library: ctypes.CDLL, ruleset: int, path: Path, handled: int) -> None:
    """Adds a rule for a path, if it exists. Raises OSError if the system refuses."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        access = handled if path.is_dir() else handled & _FILE_ONLY
        rule = _PathBeneath(access, descriptor)
        if access and library.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
