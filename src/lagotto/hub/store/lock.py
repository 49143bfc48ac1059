"""The folder of a hub comes in; the right to write to it goes out, to one process at a time."""

from contextlib import AbstractContextManager
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.lock import folder_lock


def hub_lock(folder: Path) -> AbstractContextManager[None]:
    """Holds a hub for writing during a `with` block; readers do not need it.

    Raises:
        HubError: Another process holds the hub (raised at once), or it cannot be written.
    """
    return folder_lock(folder, "hub", HubError)
