"""Folders come in; Landlock then lets this process change files only in them.

Landlock needs no privileges. It does not cover reading files, nor changing their mode, owner and
times; before Linux 6.2 it does not cover truncation.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE = 1 << 1
_CHANGES = _WRITE_FILE | 0b1_1111_1111 << 4  # and remove or make any kind of directory entry
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # from versions 2 and 3 of the interface on
_FILE_ONLY = _WRITE_FILE | _TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def refuse_changes(writable: Iterable[Path]) -> str:
    """Lets this process change files only under `writable`, for good.

    Returns "", or the reason why the system does not do it. Missing folders cannot be created
    either. Files that are already open stay writable, and so does /dev/null.
    """
    if sys.platform != "linux":
        return f"Landlock is not part of {sys.platform}"
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return os.strerror(ctypes.get_errno())
    handled = _CHANGES | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    rules = _Ruleset(handled)
    size = ctypes.c_size_t(ctypes.sizeof(rules))
    ruleset = library.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    try:
        for path in (*writable, Path(os.devnull)):
            _allow(library, ruleset, path, handled)
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


def _allow(library: ctypes.CDLL, ruleset: int, path: Path, handled: int) -> None:
    """Adds a rule for a path, if it exists. Raises OSError if the system refuses."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        access = handled if path.is_dir() else handled & _FILE_ONLY
        rule = _PathBeneath(access, descriptor)
        if library.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
