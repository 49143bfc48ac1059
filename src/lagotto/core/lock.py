"""A folder comes in; the right to write to it goes out, to one process at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lagotto.core.errors import LagottoError
from lagotto.core.files import writing

LOCK_NAME = ".lock"


@contextmanager
def folder_lock(folder: Path, what: str, refusal: type[LagottoError]) -> Iterator[None]:
    """Holds a folder for writing while the `with` block runs; readers do not need the lock.

    The lock is on FOLDER/.lock, an empty file that stays. The operating system lets the lock go
    when its process ends, however it ends. Where a file system has no locks, `filelock` warns and
    uses a marker file instead.

    Args:
        folder: The folder to write to; it must exist.
        what: What the folder is, for the messages ("hub", "caption store").
        refusal: The class of the error that is raised if the folder cannot be locked.

    Raises:
        HubError: The lock file cannot be created or opened for writing.
        refusal: Another process holds the lock (raised at once), or the folder cannot be locked.
    """
    path = folder / LOCK_NAME
    with writing(path), path.open("a"):  # a file that cannot be written is no matter of the lock
        pass
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        holder = next(iter(_holders(folder) or ()), 0)
        who = f": process {holder}" if holder > 0 else ""
        raise refusal(
            f"another process is writing to {what} {folder}{who}; wait for it, or stop it and run "
            "the command again"
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise refusal(
            f"{what} {folder} cannot be locked: {reason}; keep it on a local disk"
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool | None:
    """Whether a process of this machine holds a folder for writing; None where that is not told.

    The lock is not taken for it: whoever asks for it in that moment would be refused.
    """
    holders = _holders(folder)
    return None if holders is None else bool(holders)


def _holders(folder: Path) -> list[int] | None:
    """The processes that hold a folder for writing; None where that is not told.

    A process in another container has no number here, which is 0 or below.
    """
    try:
        held = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
        number = os.stat(folder / LOCK_NAME).st_ino
    except FileNotFoundError:
        return [] if Path("/proc/locks").exists() else None
    except OSError:
        return None
    lines = (fields for line in held.splitlines() if len(fields := line.split()) >= 8)
    found = (fields[-4] for fields in lines if fields[-3].rpartition(":")[2] == str(number))
    return [int(process) if process.lstrip("-").isdigit() else 0 for process in found]
