"""One writer at a time in a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lagotto.core.errors import LagottoError
from lagotto.core.files import writing

LOCK_NAME = ".lock"


@contextmanager
def folder_lock(folder: Path, what: str, refusal: type[LagottoError]) -> Iterator[None]:
    """Holds the folder for writing; the kernel lets it go when the process ends, killed or not.

    The lock is on FOLDER/.lock, an empty file that stays. A child that is forked without exec
    shares the lock and would keep it. Raises `refusal` at once if another process holds it;
    `what` says in its message what the folder is.
    """
    path = folder / LOCK_NAME
    with writing(path):
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise refusal(
                f"another process is writing to {what} {folder}; wait for it, or stop it and run "
                "the command again"
            ) from error
        except OSError as error:
            raise refusal(
                f"{what} {folder} cannot be locked: {error.strerror}; keep it on a local disk"
            ) from error
        yield
