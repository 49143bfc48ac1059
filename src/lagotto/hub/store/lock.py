"""One writer at a time in a hub."""

from contextlib import AbstractContextManager
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.lock import folder_lock


def hub_lock(folder: Path) -> AbstractContextManager[None]:
    """Holds the hub for writing; raises HubError at once if another process holds it."""
    return folder_lock(folder, "hub", HubError)
