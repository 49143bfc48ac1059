"""One writer at a time in a hub."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.files import writing

LOCK_NAME = ".lock"


@contextmanager
def hub_lock(folder: Path) -> Iterator[None]:
    """Holds the hub for writing; the kernel lets it go when the process ends, killed or not.

    The lock is on HUB/.lock, an empty file that stays. A child that is forked without exec shares
    the lock and would keep it. Raises HubError at once if another process holds it.
    """
    path = folder / LOCK_NAME
    with writing(path):
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HubError(
                f"another process is writing to hub {folder}; wait for it, or stop it and run "
                "the command again"
            ) from error
        except OSError as error:
            raise HubError(
                f"hub {folder} cannot be locked: {error.strerror}; keep it on a local disk"
            ) from error
        yield
