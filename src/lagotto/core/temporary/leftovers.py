"""Folders come in; what processes that have ended left in them goes out, and is removed.

A process that is killed removes nothing. So each temporary file and folder has its owner's tag in
its name, and the next command removes those whose owner has ended. What belongs to a process that
runs, to another machine or to another user stays.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lagotto.core.temporary.owner import is_abandoned, owner_tag

TEMPORARY_SUFFIX = ".tmp"
"""Ending of the files that a killed process may leave; they may be deleted at any time."""

FOLDER_PREFIX = "lagotto-"
"""What the names of folders in the system's folder for temporary files begin with."""

_DRAFT = ".draft-"
_LONGEST_NAME = 150


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that a killed process left, with its size."""

    path: str
    bytes: int


def temporary_name(name: str, number: int) -> str:
    """The hidden name under which a file is written before it gets its own."""
    return f".{name[:_LONGEST_NAME]}.{owner_tag()}-{number}{TEMPORARY_SUFFIX}"


@contextmanager
def temporary_folder(purpose: str = "work") -> Iterator[Path]:
    """A folder for temporary files while the block runs."""
    folder = make_temporary_folder(purpose)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_temporary_folder(purpose: str) -> Path:
    """A new folder for temporary files, which its maker removes; abandoned ones are removed now."""
    sweep_system_folder()
    return Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{purpose}-{owner_tag()}-"))


def make_socket_folder() -> Path:
    """As `make_temporary_folder`, but with a short name, and one at a time for a process.

    The whole path of a socket has 107 bytes at most, and some programs put theirs deep in a folder.
    """
    sweep_system_folder()
    base = min((tempfile.gettempdir(), "/tmp"), key=len)
    folder = Path(base, f"{FOLDER_PREFIX}{owner_tag()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def make_draft(folder: Path) -> Path:
    """A new hidden folder beside a folder that does not exist yet, to be renamed to it.

    Drafts in that place that a killed process left are removed. Raises OSError.
    """
    parent = folder.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path for path in _hidden(parent) if _DRAFT in path.name)
    prefix = f".{folder.name[:_LONGEST_NAME]}{_DRAFT}{owner_tag()}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def abandoned_drafts(folder: Path) -> list[Path]:
    """The drafts of one folder, beside it, that killed processes left."""
    prefix = f".{folder.name[:_LONGEST_NAME]}{_DRAFT}"
    return [path for path in _hidden(folder.absolute().parent) if path.name.startswith(prefix)]


def abandoned_files(folder: Path) -> list[Path]:
    """The temporary files right in a folder that killed processes left."""
    return [path for path in _hidden(folder) if path.name.endswith(TEMPORARY_SUFFIX)]


def sweep_system_folder() -> None:
    """Removes abandoned folders among the system's temporary files, once a process."""
    _sweep_temporary(tempfile.gettempdir(), os.getpid())


@lru_cache(maxsize=1024)
def sweep_files(folder: Path, process: int) -> None:
    """Removes abandoned temporary files in a folder, once a process, whose number is given."""
    remove_leftovers(abandoned_files(folder))


@lru_cache(maxsize=1024)
def _sweep_temporary(folder: str, process: int) -> None:
    remove_leftovers(
        path for path in _abandoned(Path(folder)) if path.name.startswith(FOLDER_PREFIX)
    )


def measure_leftover(path: Path) -> Leftover:
    """A leftover with the bytes in it."""
    total = 0
    with suppress(OSError):
        total = os.lstat(path).st_size if not path.is_dir() or path.is_symlink() else 0
    for base, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(base, name)).st_size
    return Leftover(str(path), total)


def remove_leftovers(paths: Iterable[Path]) -> list[Leftover]:
    """Removes files and folders; what cannot be removed stays. Links are not followed."""
    removed = []
    for path in paths:
        leftover = measure_leftover(path)
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not os.path.lexists(path):
            removed.append(leftover)
    return removed


def _hidden(folder: Path) -> Iterator[Path]:
    return (path for path in _abandoned(folder) if path.name.startswith("."))


def _abandoned(folder: Path) -> Iterator[Path]:
    """What lies in a folder, belongs to this user and has the tag of a process that has ended."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return
    for name in sorted(names):
        path = folder / name
        if is_abandoned(name) and _is_mine(path):
            yield path


def _is_mine(path: Path) -> bool:
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except OSError:
        return False
