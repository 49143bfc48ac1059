"""A folder and its successor come in; the successor stands in its place when it goes out.

Where the system can exchange two names in one step, there is no moment without the folder. Else
the old one is put aside for the moment between two renames; a kill in that moment leaves it aside,
and `restore` puts it back.
"""

import ctypes
import os
import platform
import shutil
import sys
from pathlib import Path

_HERE = -100
"""AT_FDCWD: a path is relative to the working folder."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux, and RENAME_SWAP of macOS."""

_ASIDE = ".aside"


def replace_folder(successor: Path, folder: Path) -> None:
    """Puts a folder in the place of another one beside it, and removes that one; raises OSError."""
    if not _exchange(successor, folder):
        aside = _aside(folder)
        if aside.exists():
            shutil.rmtree(aside)
        os.rename(folder, aside)
        try:
            os.rename(successor, folder)
        except OSError:
            os.rename(aside, folder)
            raise
        successor = aside
    shutil.rmtree(successor, ignore_errors=True)


def restore(folder: Path) -> None:
    """Puts a folder back that a kill between two renames left aside; raises OSError."""
    aside = _aside(folder)
    if aside.is_dir() and not os.path.lexists(folder):
        os.rename(aside, folder)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_ASIDE}")


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two names in one step; False where this system or disk cannot."""
    names = (os.fsencode(first), os.fsencode(second))
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return int(library.renamex_np(*names, _EXCHANGE)) == 0
        if platform.system() != "Linux":
            return False
        return int(library.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE)) == 0
    except (OSError, AttributeError, TypeError):
        return False
